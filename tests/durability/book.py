"""What the clients were promised, and whether the database keeps it.

Collections `left` and `right` hold records with `n` (the number of updates so far) and `body`. Every record has one
writer, which knows what was acknowledged and what was still open when the server went away.
"""

import json
import sqlite3
import threading

GONE = "gone"
COLLECTIONS = ("left", "right")


def create_collections(client):
    client.expect(200, "PATCH", "/api/settings", {"batch": {"enabled": True, "maxRequests": 50, "timeout": 30}})
    for name in COLLECTIONS:
        client.expect(200, "POST", "/api/collections", {"name": name, "type": "base", "fields": [
            {"name": "n", "type": "number"},
            {"name": "body", "type": "text", "max": 40_000_000},
        ]})


class Book:
    """For each (collection, record) the states that it may be in: `n`, or GONE. One state is a promise."""

    def __init__(self):
        self.lock = threading.Lock()
        self.states = {}
        self.acknowledged = 0
        # Pairs that were created in one transaction, by record id.
        self.pairs = set()

    def open(self, changes):
        """Before a request: `changes` is {(collection, id): state after}. Returns what `close` needs."""
        with self.lock:
            before = {key: self.states.get(key, {GONE}) for key in changes}
            for key, after in changes.items():
                self.states[key] = before[key] | {after}
        return before, changes

    def close(self, opened, done):
        """After the answer: the request was acknowledged, or certainly refused."""
        before, changes = opened
        with self.lock:
            for key, after in changes.items():
                self.states[key] = {after} if done else before[key]
            self.acknowledged += done

    def settle(self, found):
        """What was open is now known."""
        for key in self.states:
            self.states[key] = {found.get(key, GONE)}


def read(dir):
    """The tables, the log and the epoch of a running server's database, in one snapshot."""
    database = sqlite3.connect(f"file:{dir}/data.db?mode=ro", uri=True, isolation_level=None)
    try:
        database.execute("BEGIN")
        rows = {}
        for name in COLLECTIONS:
            rows |= {(name, id): int(n) for id, n in database.execute(f"SELECT id, n FROM `{name}`")}
        ids = {name: (id, json.loads(fields)) for name, id, fields in
               database.execute("SELECT name, id, fields FROM _collections")}
        log = database.execute("SELECT seq, collection, record, kind, before FROM __conch_log ORDER BY seq").fetchall()
        epoch, = database.execute("SELECT value FROM __conch_meta WHERE key = 'epoch'").fetchone()
        integrity = [text for text, in database.execute("PRAGMA integrity_check")]
    finally:
        database.close()
    assert integrity == ["ok"], integrity
    return rows, log, epoch, ids


def check(book, dir):
    """Raises AssertionError unless the database keeps every promise; returns (rows, length of the log, epoch)."""
    rows, log, epoch, ids = read(dir)
    seqs = [entry[0] for entry in log]
    assert seqs == list(range(1, len(seqs) + 1)), "the log has a gap"

    for key, states in book.states.items():
        state = rows.get(key, GONE)
        assert state in states, f"{key} is {state}, promised was {states}"
    unknown = rows.keys() - book.states.keys()
    assert not unknown, f"rows that nobody wrote: {sorted(unknown)[:5]}"
    for id in book.pairs:
        halves = [("left", id) in rows, ("right", id) in rows]
        assert halves in ([True, True], [False, False]), f"the pair {id} is half there"

    check_log(rows, log, ids)
    book.settle(rows)
    return rows, len(seqs), epoch


def check_log(rows, log, ids):
    """Replays the log: it has to tell every row's whole life and end in the tables."""
    names = {ids[name][0]: name for name in COLLECTIONS}
    n_field = {name: next(field["id"] for field in ids[name][1] if field["name"] == "n") for name in COLLECTIONS}
    told = {}
    for seq, collection, record, kind, before in log:
        name = names.get(collection)
        if name is None:
            continue
        key, before = (name, record), json.loads(before) if before else None
        if kind == 0:
            assert key not in told, f"log {seq} creates {key} twice"
            told[key] = 0
        else:
            assert key in told, f"log {seq} changes {key}, which is not there"
            assert before[n_field[name]] == told[key], f"log {seq}: before-image {before} of {key}, which was {told[key]}"
            if kind == 1:
                told[key] += 1
            else:
                del told[key]
    assert told == rows, "the log does not end in the tables"
