// Reads a database file with Python's sqlite3 (Node 20 has no SQLite of its own).

import { run } from "./server.mjs";

const script = `
import json, sqlite3, sys
db = sqlite3.connect("file:" + sys.argv[1] + "?mode=ro", uri=True)
db.row_factory = sqlite3.Row
print(json.dumps([dict(row) for row in db.execute(sys.argv[2])]))
`;

export class Database {
    constructor(path) {
        this.path = path;
    }

    /** All rows of a query, as objects. */
    all(sql) {
        return JSON.parse(run("python3", ["-c", script, this.path, sql], { maxBuffer: 1 << 28 }).stdout);
    }
}
