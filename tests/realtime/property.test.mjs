// Random accounts, rules over relations, hidden fields, e-mail addresses, account changes, broken networks, restarts and
// kills: every picture ends up as the list that its owner may see, and nobody was ever told what it could not have read.
//
// The client is that of docs/realtime.md. All that it takes in goes through an oracle: some version of the record must
// have been visible to that account, under the rule and the relations of the moment, with just these fields.

import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { pathToFileURL } from "node:url";
import { breakable } from "../harness/network.mjs";
import { freePort, remove, startConchOn, temporaryDirectory } from "../harness/server.mjs";

const long = Boolean(process.env.CONCH_TEST_LONG);
const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
const pick = (from) => from[Math.floor(Math.random() * from.length)];
const chance = (part) => Math.random() < part;

/** Rules with what they mean: the record, who asks ({ id, roles } as it was in that phase), and the teams. */
const rules = [
    ["public = true || owner = @request.auth.id && owner != ''", (doc, who) => doc.public || doc.owner === who.id],
    ["team.members.id ?= @request.auth.id && @request.auth.id != ''", (doc, who, teams) => teams[doc.team]?.includes(who.id)],
    ["public = true || (team.members.id ?= @request.auth.id && @request.auth.id != '' && level > 1)", (doc, who, teams) => doc.public || teams[doc.team]?.includes(who.id) && doc.level > 1],
    ["@request.auth.role = 'staff' || public = true", (doc, who) => doc.public || who.roles.has("staff")],
    ["@collection.teams.id ?= team && @collection.teams.open ?= true && level < 4", (doc, who, teams) => teams[doc.team] && teams.open.has(doc.team) && doc.level < 4],
];

class World {
    teams = { open: new Set() };
    versions = new Map();
    roles = new Map();
    rule = 0;

    note(record) {
        if (!this.versions.has(record.id)) this.versions.set(record.id, []);
        this.versions.get(record.id).push(record);
    }

    /** What rules depended on; the phase before counts, too, as telling takes its time. */
    begin() {
        this.before = this.now;
        this.now = {
            rule: rules[this.rule][1], teams: { ...this.teams, open: new Set(this.teams.open) },
            roles: new Map([...this.roles].map(([id, role]) => [id, new Set([role])])),
        };
    }

    setRole(id, role) {
        this.roles.set(id, role);
        this.now?.roles.get(id)?.add(role);
    }

    visible(doc, id, phases) {
        return phases.some((phase) => phase?.rule(doc, { id, roles: phase.roles.get(id) ?? new Set() }, phase.teams));
    }
}

/** A picture that remembers everything that it is given. */
class Watched extends Map {
    taken = [];

    constructor(world, collection, user) {
        super();
        Object.assign(this, { world, collection, user });
    }

    set(id, record) {
        this.taken.push([record, [this.world.now, this.world.before]]);
        return super.set(id, record);
    }

    /** What it was given and should not have been. An event may come before the writer has its answer: so, afterwards. */
    faults() {
        const { world, collection, user } = this;
        return this.taken.filter(([record, phases]) => {
            const fits = (version) => Object.entries(record).every(([name, value]) => JSON.stringify(version[name]) === JSON.stringify(value));
            const readable = (version) => collection === "users"
                ? !("email" in record) || version.emailVisibility || record.id === user.id
                : world.visible(version, user.id, phases);
            const secrets = ["password", "tokenKey", "hint", "secret"].filter((name) => name in record);
            return secrets.length || !world.versions.get(record.id)?.some((version) => fits(version) && readable(version));
        }).map(([record]) => ({ collection, user: user.id, record, versions: world.versions.get(record.id) }));
    }
}

test("nobody hears what it could not read, and every picture is true in the end", { timeout: long ? 1_200_000 : 120_000 }, async (t) => {
    const dir = temporaryDirectory(), http = `127.0.0.1:${await freePort()}`;
    const page = readFileSync(new URL("../../docs/realtime.md", import.meta.url), "utf8");
    writeFileSync(join(dir, "client.mjs"), page.match(/## A client in thirty lines\n\n```js\n([\s\S]*?)```/)[1]);
    const { follow } = await import(pathToFileURL(join(dir, "client.mjs")));
    let server = await startConchOn(dir, { http });
    const call = async (method, path, body, token = server.token) => {
        const response = await fetch(server.url + path, {
            method, headers: { "content-type": "application/json", ...(token && { authorization: token }) }, body: body && JSON.stringify(body),
        });
        const text = await response.text();
        assert.ok(response.status < 300, `${method} ${path}: ${response.status} ${text}`);
        return text ? JSON.parse(text) : null;
    };
    const world = new World();
    const write = async (method, path, body) => {
        const made = await call(method, path, body);
        if (made?.id) world.note(made);
        return made;
    };
    const list = async (collection, token) =>
        (await call("GET", `/api/collections/${collection}/records?perPage=1000&skipTotal=1`, undefined, token)).items;

    // Collections, accounts, teams.
    const users = await call("GET", "/api/collections/users");
    await call("PATCH", "/api/collections/users", {
        listRule: "", viewRule: "", fields: [...users.fields, { name: "role", type: "text" }, { name: "hint", type: "text", hidden: true }],
    });
    const teams = await call("POST", "/api/collections", { name: "teams", type: "base", fields: [
        { name: "members", type: "relation", collectionId: users.id, maxSelect: 9 }, { name: "open", type: "bool" }] });
    await call("POST", "/api/collections", { name: "docs", type: "base", fields: [
        { name: "title", type: "text" }, { name: "owner", type: "text" }, { name: "public", type: "bool" }, { name: "level", type: "number" },
        { name: "team", type: "relation", collectionId: teams.id, maxSelect: 1 }, { name: "secret", type: "text", hidden: true }] });
    const accounts = [];
    for (let index = 0; index < 4; index += 1) {
        const email = `u${index}@example.com`, password = "12345678";
        const { id } = await write("POST", "/api/collections/users/records", { email, password, passwordConfirm: password, hint: "hush", role: "guest" });
        world.setRole(id, "guest");
        const { token } = await call("POST", "/api/collections/users/auth-with-password", { identity: email, password }, "");
        accounts.push({ id, token });
    }
    const watchers = [...accounts, { id: "", token: "" }];
    const ids = [], teamIds = [];
    for (let index = 0; index < 3; index += 1) teamIds.push((await call("POST", "/api/collections/teams/records", {})).id);

    const change = async () => {
        const dice = Math.random();
        if (dice < 0.35 || ids.length < 8) {
            const made = await write("POST", "/api/collections/docs/records", {
                title: `t${world.versions.size}`, owner: pick(watchers).id, public: chance(0.3), level: Math.floor(Math.random() * 6),
                team: pick([...teamIds, ""]), secret: "hush" });
            ids.push(made.id);
        } else if (dice < 0.75) {
            await write("PATCH", `/api/collections/docs/records/${pick(ids)}`, pick([
                { owner: pick(watchers).id }, { public: chance(0.5) }, { level: Math.floor(Math.random() * 6) }, { team: pick([...teamIds, ""]) },
                { title: "x".repeat(Math.random() * 300) }, { secret: `hush ${Math.random()}` }]));
        } else if (dice < 0.85) {
            await call("DELETE", `/api/collections/docs/records/${ids.splice(Math.floor(Math.random() * ids.length), 1)[0]}`);
        } else {
            const { id } = pick(accounts);
            const changes = pick([{ emailVisibility: chance(0.5) }, { name: `n${Math.random()}` }, { hint: `hush ${Math.random()}` }, { role: pick(["guest", "staff"]) }]);
            // What somebody may see with it is noted before anybody can.
            if (changes.role) world.setRole(id, changes.role);
            await write("PATCH", `/api/collections/users/records/${id}`, changes);
        }
    };

    const agree = async (picture, token, what) => {
        const sorted = (records) => [...records].sort((a, b) => (a.id < b.id ? -1 : 1));
        for (let round = 0; ; round += 1) {
            const [seen, expected] = [sorted(picture.values()), sorted(await list(picture.collection, token))];
            if (JSON.stringify(seen) === JSON.stringify(expected)) return;
            if (round === 200) assert.deepEqual(seen, expected, what);
            await pause(100);
        }
    };

    let taken = 0, restarts = 0;
    for (let phase = 0; phase < (long ? 40 : 5); phase += 1) {
        // Relations are those of the moment and no event tells of them: they change while nobody looks.
        for (const id of teamIds) {
            const members = accounts.filter(() => chance(0.4)).map((account) => account.id), open = chance(0.5);
            await call("PATCH", `/api/collections/teams/records/${id}`, { members, open });
            world.teams[id] = members;
            if (open) world.teams.open.add(id); else world.teams.open.delete(id);
        }
        world.rule = phase % rules.length;
        await call("PATCH", "/api/collections/docs", { listRule: rules[world.rule][0], viewRule: rules[world.rule][0] });
        world.before = null;
        world.begin();
        const enough = new AbortController(), following = [], pictures = [], networks = [];
        for (const user of watchers) {
            const network = await breakable(server.url);
            networks.push(network);
            for (const collection of ["docs", "users"]) {
                const picture = new Watched(world, collection, user);
                pictures.push(picture);
                following.push(follow(network.url, collection, user.token, picture, () => list(collection, user.token), enough.signal));
            }
        }
        for (let round = 0; round < 3; round += 1) {
            const breaks = networks.filter(() => chance(0.5)).map((network) => network.break(Math.random() * 300));
            for (let count = 0; count < 20; count += 1) await change();
            if (chance(0.5) || phase === 0 && round === 1) {
                restarts += 1;
                await server.stop(pick(["SIGTERM", "SIGKILL"]));
                server = await startConchOn(dir, { http });
                for (let count = 0; count < 10; count += 1) await change();
            }
            await Promise.all(breaks);
            // Rules change under those who listen, or are away.
            if (round === 1 && chance(0.5)) {
                world.rule = Math.floor(Math.random() * rules.length);
                world.begin();
                await call("PATCH", "/api/collections/docs", { listRule: rules[world.rule][0], viewRule: rules[world.rule][0] });
            }
        }
        for (const picture of pictures) await agree(picture, picture.user.token, `phase ${phase}, ${rules[world.rule][0]}, ${picture.collection} of '${picture.user.id}'`);
        taken += pictures.reduce((sum, picture) => sum + picture.taken.length, 0);
        enough.abort();
        networks.forEach((network) => network.stop());
        await Promise.all(following);
        assert.deepEqual(pictures.flatMap((picture) => picture.faults()).slice(0, 2), [], `phase ${phase}, ${rules[world.rule][0]}`);
    }
    t.diagnostic(`${taken} records were taken in, ${restarts} restarts, ${world.versions.size} records written`);
    assert.ok(taken > 300);
    await server.stop();
    remove(dir);
});
