"""Uploads, replacements and deletions of files while the server is killed: every acknowledged file is there, whole, and
soon nothing is left that no record names."""

import hashlib
import http.client
import json
import os
import pathlib
import random
import sqlite3
import threading
import time

from server import Server, temporary_directory

CLIENTS = 12
# Seconds until what a killed run had begun is taken up again, and some more.
PATIENCE = 90


class Uploader(threading.Thread):
    """One client with records of its own."""

    def __init__(self, server, token, number, seed):
        super().__init__(daemon=True)
        self.server, self.token, self.number = server, token, number
        self.dice = random.Random(f"{seed}/{number}")
        self.over = threading.Event()
        # What was acknowledged: by record id the digests of its files. Records in doubt are not in it.
        self.files, self.acknowledged, self.broken = {}, 0, []
        self.connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)

    def run(self):
        try:
            while not self.over.is_set():
                self.step()
        except (OSError, http.client.HTTPException):
            # The server has gone: the last request is in doubt, and was taken out of the book before it was sent.
            pass
        finally:
            self.connection.close()

    def step(self):
        known = sorted(self.files)
        choice = self.dice.random()
        if not known or choice < 0.5:
            self.send("POST", "/api/collections/attic/records")
        elif choice < 0.8:
            self.send("PATCH", f"/api/collections/attic/records/{self.forget(known)}")
        else:
            status, _ = self.request("DELETE", f"/api/collections/attic/records/{self.forget(known)}", b"", {})
            assert status == 204, status
            self.acknowledged += 1

    def forget(self, known):
        record = self.dice.choice(known)
        del self.files[record]
        return record

    def send(self, method, path):
        """One to three files, of which the larger ones are under way for a while."""
        boundary = f"b{self.dice.randrange(10 ** 12)}"
        body, digests = b"", []
        for number in range(self.dice.randrange(1, 4)):
            content = self.dice.randbytes(self.dice.choice([0, 10, 5000, 200_000]))
            digests.append(hashlib.sha256(content).hexdigest())
            body += (f'--{boundary}\r\nContent-Disposition: form-data; name="f"; filename="f{number}.bin"\r\n\r\n'.encode()
                     + content + b"\r\n")
        body += f"--{boundary}--\r\n".encode()
        status, text = self.request(method, path, body, {"Content-Type": f"multipart/form-data; boundary={boundary}"})
        assert status == 200, (status, text)
        record = json.loads(text)
        self.files[record["id"]] = dict(zip(record["f"], digests))
        self.acknowledged += 1

    def request(self, method, path, body, headers):
        self.connection.request(method, path, body, {"Authorization": self.token, **headers})
        answer = self.connection.getresponse()
        return answer.status, answer.read()


def uploads(rounds, dice):
    """Grave: files without records, and records without files, after a crash."""
    with temporary_directory() as place:
        server = Server(pathlib.Path(place) / "data")
        server.start()
        admin = server.superuser()
        made = admin.expect(200, "POST", "/api/collections", {"name": "attic", "type": "base", "fields": [
            {"name": "f", "type": "file", "maxSelect": 5}]})
        book, left = {}, 0
        for number in range(rounds):
            clients = [Uploader(server, admin.token, client, f"{dice.random()}") for client in range(CLIENTS)]
            for client in clients:
                client.start()
            time.sleep(dice.uniform(1, 2.5))
            server.kill()
            for client in clients:
                client.over.set()
                client.join(60)
                assert not client.is_alive(), "a client hangs"
                book |= client.files
            acknowledged = sum(client.acknowledged for client in clients)
            assert acknowledged > 0, "the storm hardly wrote"
            left += len(orphans(server.dir, made["id"])[0])
            server.start()
            records = check(server.dir, made["id"], book)
            print(f"  round {number + 1}: {acknowledged} acknowledged, {records} records, all their files are there")
        begun = time.monotonic()
        while True:
            files, marks = orphans(server.dir, made["id"])
            if not files and not marks:
                break
            assert time.monotonic() - begun < PATIENCE, f"still there: {sorted(files)[:5]} {marks[:5]}"
            time.sleep(0.2)
        print(f"  {left} files without a record after the kills; none {time.monotonic() - begun:.0f} s after the last start")
        assert left > 0, "no kill hit a write: this test proves nothing"
        server.stop()


def read(dir):
    """The files of each record."""
    database = sqlite3.connect(f"file:{dir}/data.db?mode=ro", uri=True)
    try:
        return {id: json.loads(files) for id, files in database.execute("SELECT id, f FROM attic")}
    finally:
        database.close()


def check(dir, collection, book):
    """Every file that a record names is there; those of acknowledged records are what was sent."""
    rows = read(dir)
    folder = dir / "storage" / collection
    for record, files in rows.items():
        for name in files:
            assert (folder / record / name).is_file(), f"{record} names {name}, which is not there"
            assert (folder / record / f"{name}.attrs").is_file(), f"{name} of {record} has lost its type"
    for record, digests in book.items():
        assert set(rows.get(record, [])) == set(digests), f"{record} was acknowledged with {digests}"
        for name, digest in digests.items():
            assert hashlib.sha256((folder / record / name).read_bytes()).hexdigest() == digest, f"{name} of {record}"
    return len(rows)


def orphans(dir, collection):
    """Files that no record names, and marks of files that are said to be on their way."""
    # Folders may go away under the walk.
    walk = ((pathlib.Path(folder), names) for folder, _, names in os.walk(dir / "storage"))
    found = {folder / name for folder, names in walk for name in names if folder.name != ".placing"}
    named = {dir / "storage" / collection / record / name for record, files in read(dir).items() for name in files}
    named |= {path.with_name(f"{path.name}.attrs") for path in named}
    return found - named, list((dir / "storage" / ".placing").iterdir())
