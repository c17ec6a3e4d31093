// What the grid is held against: 100,000 numbered records, records with everything in them, and hostile ones.

import { pictures } from "../harness/pictures.mjs";

/** The title of the record that was made as number `n`. */
export const titleOf = (n) => `Record number ${n}`;

export async function seed(root, count = 100_000) {
    const field = (name, type, more = {}) => ({ name, type, ...more });
    const stamps = [field("created", "autodate", { onCreate: true }), field("updated", "autodate", { onCreate: true, onUpdate: true })];
    const collections = await root.collections.import([
        { name: "authors", type: "base", fields: [field("name", "text", { presentable: true }), ...stamps] },
    ]).then(() => root.collections.getFullList());
    const authors = collections.find(({ name }) => name === "authors");
    const users = collections.find(({ name }) => name === "users");
    await root.collections.import([
        { name: "many", type: "base", fields: [field("n", "number"), field("title", "text"), field("group", "select", { values: ["red", "green", "blue"], maxSelect: 1 }), field("done", "bool"), ...stamps],
            indexes: ["CREATE INDEX many_n ON many (n)"] },
        { name: "every", type: "base", fields: [
            field("title", "text"), field("n", "number"), field("ok", "bool"), field("mail", "email"), field("link", "url"), field("day", "date"),
            field("tags", "select", { values: ["a", "b", "c"], maxSelect: 3 }), field("data", "json"), field("body", "editor"), field("picture", "file", { maxSelect: 3 }),
            field("secret", "file", { maxSelect: 1, protected: true }), field("author", "relation", { collectionId: authors.id, maxSelect: 1 }),
            field("authors", "relation", { collectionId: authors.id, maxSelect: 60 }), field("where", "geoPoint"), field("quiet", "text", { hidden: true }), field("source", "text", { max: 200_000 }), ...stamps] },
        { name: "wide", type: "base", fields: Array.from({ length: 200 }, (_, at) => field(`field_${at}`, "text")) },
        { name: "empty", type: "base", fields: [field("title", "text"), field("n", "number")] },
        { name: "looked", type: "view", viewQuery: "SELECT id, title, n FROM many WHERE n < 50" },
    ]);
    // In one statement: what a recursive table counts up.
    await root.send("/api/sql", { method: "POST", body: { query: `INSERT INTO many (id, n, title, "group", done, created, updated)
        WITH RECURSIVE up(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM up WHERE n < ${count - 1})
        SELECT printf('r%014d', n), n, 'Record number ' || n, CASE n % 3 WHEN 0 THEN 'red' WHEN 1 THEN 'green' ELSE 'blue' END, n % 2,
            strftime('%Y-%m-%d %H:%M:%S.000Z', 1700000000 + n, 'unixepoch'), '2026-01-01 00:00:00.000Z' FROM up` } });
    const people = [];
    for (let at = 0; at < 50; at += 1) people.push(await root.collection("authors").create({ name: at === 0 ? "Ada Lovelace" : `Author ${at}` }));
    const picture = new File([pictures["plain.png"]], "picture.png", { type: "image/png" });
    const every = await root.collection("every").create({
        title: "All of it", n: 12.5, ok: true, mail: "ada@example.com", link: "https://example.com/a?b=c", day: "2026-01-31 12:00:00.000Z", tags: ["a", "c"], data: { deep: [1, 2, { x: null }] },
        body: "<p>Hello <b>bold</b> world</p>", picture: [picture, new File(["plain"], "notes.txt")], secret: new File([pictures["plain.png"]], "secret.png"),
        author: people[0].id, authors: people.map(({ id }) => id), where: { lon: 13.405, lat: 52.52 }, quiet: "only for superusers", source: "<b>bold</b> <script>1</script>",
    });
    await root.collection("every").create({
        title: "<script>document.title='run'</script><img src=x onerror=\"document.title='run'\">", mail: "", link: "", body: `<p>${"long ".repeat(200_000)}</p>`, data: "{broken",
        author: people[1].id,
    });
    await root.collection("every").create({ title: `\u202Eשלום עולם ${"א".repeat(4_000)}`, n: -0.000001, data: Array.from({ length: 2_000 }, (_, at) => ({ at })) });
    await root.collection("every").create({ title: "👩‍👩‍👧‍👦 =1+1", tags: ["b"] });
    await root.collection("wide").create(Object.fromEntries(Array.from({ length: 200 }, (_, at) => [`field_${at}`, `value ${at} ${"x".repeat(200)}`])));
    const account = await root.collection(users.name).create({ email: "eve@example.com", password: "password-of-eve", passwordConfirm: "password-of-eve", verified: true, name: "Eve" });
    return { people, every, account };
}
