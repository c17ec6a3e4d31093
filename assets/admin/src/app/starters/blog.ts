// A blog: everybody reads what is published, signed-in people comment, authors write.

import { type Starter, TIMES, USERS } from ".";

const starter: Starter = {
    collections: [
        {
            id: "starter_tags001", name: "tags", type: "base", listRule: "", viewRule: "",
            fields: [{ name: "name", type: "text", required: true, presentable: true, max: 40 }],
            indexes: ["CREATE UNIQUE INDEX `idx_tags_name` ON `tags` (`name`)"],
        },
        {
            id: "starter_posts01", name: "posts", type: "base",
            listRule: "published = true || author = @request.auth.id", viewRule: "published = true || author = @request.auth.id",
            createRule: "@request.auth.id != '' && author = @request.auth.id", updateRule: "author = @request.auth.id", deleteRule: "author = @request.auth.id",
            fields: [
                { name: "title", type: "text", required: true, presentable: true, max: 200 },
                { name: "slug", type: "text", required: true, pattern: "^[a-z0-9-]+$" },
                { name: "body", type: "editor" },
                { name: "cover", type: "file", maxSelect: 1, maxSize: 5242880, mimeTypes: ["image/jpeg", "image/png", "image/webp"], thumbs: ["100x100", "800x0"] },
                { name: "tags", type: "relation", collectionId: "starter_tags001", maxSelect: 10 },
                { name: "author", type: "relation", collectionId: USERS, maxSelect: 1 },
                { name: "published", type: "bool" },
                ...TIMES,
            ],
            indexes: ["CREATE UNIQUE INDEX `idx_posts_slug` ON `posts` (`slug`)", "CREATE INDEX `idx_posts_published` ON `posts` (`published`, `created`)"],
        },
        {
            id: "starter_comment", name: "comments", type: "base",
            listRule: "post.published = true", viewRule: "post.published = true",
            createRule: "@request.auth.id != '' && author = @request.auth.id && post.published = true",
            updateRule: "author = @request.auth.id && @request.body.post:changed = false", deleteRule: "author = @request.auth.id || post.author = @request.auth.id",
            fields: [
                { name: "post", type: "relation", required: true, collectionId: "starter_posts01", maxSelect: 1, cascadeDelete: true },
                { name: "author", type: "relation", collectionId: USERS, maxSelect: 1 },
                { name: "text", type: "text", required: true, presentable: true, max: 2000 },
                ...TIMES,
            ],
            indexes: ["CREATE INDEX `idx_comments_post` ON `comments` (`post`, `created`)"],
        },
    ],
    records: [
        { collection: "tags", key: "news", values: { name: "news" } },
        { collection: "tags", key: "howto", values: { name: "how-to" } },
        {
            collection: "posts", key: "hello",
            values: { title: "Hello", slug: "hello", body: "<p>This is the first post. Everybody can read it, because <b>published</b> is on.</p>", tags: ["{news}"], published: true },
        },
        { collection: "posts", values: { title: "A draft", slug: "a-draft", body: "<p>Nobody but its author sees this one yet.</p>", tags: ["{howto}"], published: false } },
        { collection: "comments", values: { post: "{hello}", text: "The first comment." } },
    ],
};
export default starter;
