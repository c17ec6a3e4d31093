// A chat: only the members of a room see it and what is said there.

import { type Starter, TIMES, USERS } from ".";

const starter: Starter = {
    collections: [
        {
            id: "starter_rooms01", name: "rooms", type: "base",
            listRule: "members.id ?= @request.auth.id", viewRule: "members.id ?= @request.auth.id",
            createRule: "@request.auth.id != '' && owner = @request.auth.id && members.id ?= @request.auth.id", updateRule: "owner = @request.auth.id", deleteRule: "owner = @request.auth.id",
            fields: [
                { name: "name", type: "text", required: true, presentable: true, max: 80 },
                { name: "topic", type: "text", max: 200 },
                { name: "owner", type: "relation", collectionId: USERS, maxSelect: 1 },
                { name: "members", type: "relation", collectionId: USERS, maxSelect: 500 },
                ...TIMES,
            ],
        },
        {
            id: "starter_message", name: "messages", type: "base",
            listRule: "room.members.id ?= @request.auth.id", viewRule: "room.members.id ?= @request.auth.id",
            createRule: "author = @request.auth.id && room.members.id ?= @request.auth.id",
            updateRule: "author = @request.auth.id && @request.body.room:changed = false", deleteRule: "author = @request.auth.id || room.owner = @request.auth.id",
            fields: [
                { name: "room", type: "relation", required: true, collectionId: "starter_rooms01", maxSelect: 1, cascadeDelete: true },
                { name: "author", type: "relation", collectionId: USERS, maxSelect: 1 },
                { name: "text", type: "text", presentable: true, max: 4000 },
                { name: "attachments", type: "file", maxSelect: 5, maxSize: 10485760, thumbs: ["100x100"] },
                ...TIMES,
            ],
            indexes: ["CREATE INDEX `idx_messages_room` ON `messages` (`room`, `created`)"],
        },
    ],
    records: [
        { collection: "rooms", key: "lobby", values: { name: "Lobby", topic: "Where everybody arrives" } },
        { collection: "messages", values: { room: "{lobby}", text: "Welcome!" } },
        { collection: "messages", values: { room: "{lobby}", text: "Add yourself to the members of this room, and your app hears this live." } },
    ],
};
export default starter;
