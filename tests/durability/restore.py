"""Restores that are killed at every step, under writes, of archives that lie: what is there afterwards is the content of
before or that of the archive, whole, and the server is up on it."""

import http.client
import json
import os
import pathlib
import shutil
import sqlite3
import subprocess
import threading
import time
import warnings
import zipfile

import book as keeping
from book import Book
from server import BINARY, ROOT, Server, temporary_directory
from storm import Storm

FILE = b"what was uploaded " * 1000
JOURNAL = ".conch-swap/journal.json"


class Killer:
    """The preloaded library that ends the process between two steps on the disk."""

    def __init__(self, place):
        self.library, self.log = place / "die.so", place / "steps.log"
        source = ROOT / "tests" / "shim" / "die.c"
        subprocess.run(["cc", "-shared", "-fPIC", "-O2", "-Wall", "-o", self.library, source, "-ldl"], check=True)

    def env(self, **when):
        return {"LD_PRELOAD": str(self.library), **{name: str(value) for name, value in when.items()}}

    def count(self, run):
        """How many steps `run` takes; it is given the environment."""
        self.log.unlink(missing_ok=True)
        run(self.env(DIE_LOG=self.log))
        return len(self.log.read_text().splitlines())


def restore(dir, archive, env=None):
    """`conch backup restore`: exit code and everything that it said."""
    done = subprocess.run([BINARY, "backup", "restore", str(archive), "--dir", str(dir)], capture_output=True, text=True,
                          env={**os.environ, **(env or {})}, timeout=120)
    return done.returncode, done.stdout + done.stderr


def pack(dir, target):
    """The content of a directory that nobody serves, as the wire's archive."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(pathlib.Path(dir).rglob("*")):
            name = str(path.relative_to(dir))
            if path.is_file() and name.split("/")[0] in ("data.db", "data.db-wal", "auxiliary.db", "storage"):
                archive.write(path, name)


def upload(client, name, content=FILE):
    """A record with a file."""
    boundary = "a-boundary"
    body = (f'--{boundary}\r\nContent-Disposition: form-data; name="name"\r\n\r\n{name}\r\n--{boundary}\r\n'
            f'Content-Disposition: form-data; name="f"; filename="{name}.bin"\r\n\r\n').encode()
    body += content + f"\r\n--{boundary}--\r\n".encode()
    connection = http.client.HTTPConnection("127.0.0.1", client.port, timeout=30)
    connection.request("POST", "/api/collections/things/records", body,
                       {"Authorization": client.token, "Content-Type": f"multipart/form-data; boundary={boundary}"})
    answer = connection.getresponse()
    text = answer.read()
    assert answer.status == 200, (answer.status, text)
    connection.close()
    return json.loads(text)


def found(server):
    """The names of the things, each of which must have its file, whole."""
    client = server.superuser()
    records = client.expect(200, "GET", "/api/collections/things/records?perPage=100")["items"]
    for record in records:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
        connection.request("GET", f"/api/files/things/{record['id']}/{record['f']}")
        answer = connection.getresponse()
        assert answer.status == 200 and answer.read() == FILE, f"the file of {record['name']}: {answer.status}"
        connection.close()
    return sorted(record["name"] for record in records)


def epoch(dir):
    database = sqlite3.connect(f"file:{dir}/data.db?mode=ro", uri=True, timeout=10)
    try:
        value, = database.execute("SELECT value FROM __conch_meta WHERE key = 'epoch'").fetchone()
        return value
    finally:
        database.close()


def kept(dir, prefix):
    return sorted(path for path in pathlib.Path(dir).iterdir() if path.name.startswith(prefix))


def two_states(place):
    """A directory that held `then` when the archive was made, and holds `now`."""
    server, archive = Server(place / "data"), place / "then.zip"
    server.start()
    root = server.superuser()
    root.expect(200, "POST", "/api/collections", {"name": "things", "type": "base", "fields": [
        {"name": "name", "type": "text"}, {"name": "f", "type": "file", "maxSelect": 1}]})
    stays, goes = upload(root, "stays"), upload(root, "goes")
    server.stop()
    pack(server.dir, archive)
    server.start()
    root = server.superuser()
    root.expect(204, "DELETE", f"/api/collections/things/records/{goes['id']}")
    upload(root, "new")
    assert stays["name"] == "stays" and found(server) == ["new", "stays"]
    server.stop()
    return server, archive


THEN, NOW = ["goes", "stays"], ["new", "stays"]


def restores(rounds, dice):
    with temporary_directory() as place:
        place = pathlib.Path(place)
        server, archive = two_states(place)
        killer = Killer(place)
        killed_anywhere(place, server, archive, killer, rounds, dice)
        crashing(server, archive, killer, place)
        spoiled(server, archive, killer, place)
    under_writes()
    temporary()


def at_work_on(server, dir):
    """The server of another directory, not started."""
    other = object.__new__(Server)
    other.__dict__.update(server.__dict__)
    other.dir = dir
    return other


def killed_anywhere(place, server, archive, killer, rounds, dice):
    """Without a server: before every step, or before some of them."""
    work = place / "work"

    def fresh():
        shutil.rmtree(work, ignore_errors=True)
        shutil.copytree(server.dir, work)

    fresh()
    answers = []
    steps = killer.count(lambda env: answers.append(restore(work, archive, env)))
    assert answers[0][0] == 0, answers[0][1]
    epochs, results = {epoch(server.dir)}, {"now": 0, "then": 0}
    # The last steps are those that count: half of the rounds are theirs.
    moments = set(dice.sample(range(1, steps + 1), min(rounds, steps)))
    moments |= set(dice.sample(range(max(1, steps - 60), steps + 1), min(rounds, 60)))
    for moment in sorted(moments):
        fresh()
        code, said = restore(work, archive, killer.env(DIE_AT=moment))
        assert code in (0, -9), (code, said)
        other = at_work_on(server, work)
        other.start()
        things, its = found(other), epoch(work)
        other.stop()
        assert things in (THEN, NOW), f"killed before step {moment}: {things}"
        assert not (work / JOURNAL).exists(), "what was begun is not finished"
        if things == NOW:
            assert its == epoch(server.dir) and not kept(work, "before_restore_"), f"step {moment}"
            results["now"] += 1
        else:
            assert its not in epochs, "a restored log is another log"
            epochs.add(its)
            before, = kept(work, "before_restore_")
            assert (before / "storage").is_dir() and epoch(before) == epoch(server.dir)
            results["then"] += 1
    print(f"  killed before {len(moments)} of {steps} steps: {results['now']} times as before, {results['then']} times "
          "restored")
    assert all(results.values()), results


def crashing(server, archive, killer, place):
    """A server that dies each time before it is up on what was restored: the fourth start has the old content."""
    work = place / "crashing"
    shutil.copytree(server.dir, work)
    code, said = restore(work, archive, killer.env(DIE_AFTER="journal.json"))
    assert code == -9 and json.loads((work / JOURNAL).read_text())["phase"] == "out", said
    other = at_work_on(server, work)
    command = [BINARY, "serve", "--http", f"127.0.0.1:{server.port}", "--dir", work]
    for attempt in range(1, 4):
        process = subprocess.Popen(command, stdout=server.log, stderr=server.log)
        deadline = time.monotonic() + 30
        while json.loads((work / JOURNAL).read_text()).get("attempts") != attempt and time.monotonic() < deadline:
            time.sleep(0.002)
        process.kill()
        process.wait()
        journal = json.loads((work / JOURNAL).read_text())
        assert (journal["phase"], journal["attempts"]) == ("trial", attempt), journal
    other.start()
    assert found(other) == NOW
    other.stop()
    failed, = kept(work, "failed_restore_")
    ended = json.loads((work / ".conch-swap/last.json").read_text())
    assert (failed / "data.db").exists() and ended["reason"] and ended["kept"] == failed.name, ended
    print("  a server that died three times before it was up: the old content came back by itself")


def spoiled(server, archive, killer, place):
    """What was decided for is broken when it comes in: one start, and the old content is served."""
    work = place / "spoiled"
    shutil.copytree(server.dir, work)
    code, said = restore(work, archive, killer.env(DIE_AFTER="journal.json"))
    assert code == -9, said
    (work / ".conch-swap/new/data.db").write_bytes(b"no database at all, but long enough to be looked at\n" * 100)
    other = at_work_on(server, work)
    other.start()
    assert found(other) == NOW and kept(work, "failed_restore_") and not kept(work, "before_restore_")
    # And it can be restored after all.
    other.stop()
    code, said = restore(work, archive)
    assert code == 0 and "Restored" in said, said
    other.start()
    assert found(other) == THEN
    other.stop()
    print("  content that broke before it was in place: the old one was served at once")


def under_writes():
    """A running server under a storm: nobody is refused, and what was acknowledged until then is in the kept folder."""
    with temporary_directory() as place:
        place = pathlib.Path(place)
        server, book, archive = Server(place / "data"), Book(), place / "then.zip"
        server.start()
        root = server.superuser()
        keeping.create_collections(root)
        server.stop()
        pack(server.dir, archive)
        server.start()
        pid, root, before = server.process.pid, server.superuser(), epoch(server.dir)
        refused, over = [], threading.Event()
        stream = EventStream(server.port)
        knocking = threading.Thread(target=knock, args=(server.port, refused, over), daemon=True)
        knocking.start()
        with Storm(OneLife(server), root.token, book, clients=8, seed="r") as storm:
            storm.last(0.5)
            code, said = restore(server.dir, archive)
        over.set()
        knocking.join()
        assert code == 0, said
        assert stream.ended() == "clean", f"the stream ended: {stream.ended()}"
        assert not refused, f"connections were refused: {refused[:3]}"
        assert server.process.poll() is None and server.process.pid == pid
        root = server.superuser()
        for name in keeping.COLLECTIONS:
            assert root.expect(200, "GET", f"/api/collections/{name}/records")["totalItems"] == 0
        assert epoch(server.dir) != before
        folder, = kept(server.dir, "before_restore_")
        rows, *_ = keeping.check(book, folder)
        assert book.acknowledged > 20, "the storm hardly wrote"
        # Afterwards it is a server like any other.
        again = Book()
        with Storm(server, root.token, again, clients=4, seed="s") as storm:
            storm.last(0.3)
        keeping.check(again, server.dir)
        # And back to what was put aside.
        code, said = restore(server.dir, folder.name)
        assert code == 0, said
        keeping.check(book, server.dir)
        server.stop()
        print(f"  under a storm: {book.acknowledged} writes acknowledged before are all in the kept folder ({len(rows)} "
              "rows), nobody was refused a connection, the process and its port stayed")


class OneLife:
    """Clients that do not connect again: they speak to one process only."""

    def __init__(self, server):
        self.server = server

    def client(self, token):
        client = self.server.client(token)
        client.connection.connect()
        client.connection.auto_open = 0
        return client


class EventStream:
    """A realtime client that notices how its stream ends."""

    def __init__(self, port):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self.connection.request("GET", "/api/realtime")
        self.answer = self.connection.getresponse()
        assert self.answer.status == 200
        self.how = None
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    def read(self):
        try:
            while self.answer.readline():
                pass
            self.how = "clean"
        except (OSError, http.client.HTTPException) as error:
            self.how = repr(error)

    def ended(self):
        self.thread.join(30)
        return self.how


def knock(port, refused, over):
    """Connects anew again and again; an answer may be late, but the door is never shut."""
    while not over.is_set():
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        try:
            connection.request("GET", "/api/health")
            connection.getresponse().read()
        except ConnectionRefusedError as error:
            refused.append(repr(error))
        except (OSError, http.client.HTTPException):
            # It was taken by the process that was about to end.
            pass
        finally:
            connection.close()
        time.sleep(0.005)


def temporary():
    """A temporary server on a port of the system's choice comes back at the same place."""
    process = subprocess.Popen([BINARY, "serve", "--temp"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        first = json.loads(process.stdout.readline())
        with temporary_directory() as place:
            archive = pathlib.Path(place) / "then.zip"
            copy = pathlib.Path(place) / "copy"
            copy.mkdir()
            source = sqlite3.connect(f"file:{first['dir']}/data.db?mode=ro", uri=True)
            target = sqlite3.connect(copy / "data.db")
            source.backup(target)
            source.close()
            target.close()
            pack(copy, archive)
            code, said = restore(first["dir"], archive)
            assert code == 0, said
        second = json.loads(process.stdout.readline())
        for key in ("url", "dir", "pid", "password"):
            assert first[key] == second[key], (key, first, second)
        connection = http.client.HTTPConnection("127.0.0.1", int(first["url"].rsplit(":", 1)[1]), timeout=30)
        for token in (first["token"], second["token"]):
            connection.request("GET", "/api/settings", headers={"Authorization": token})
            answer = connection.getresponse()
            answer.read()
            assert answer.status == 200, answer.status
        connection.close()
    finally:
        process.terminate()
        process.wait(30)
    assert not pathlib.Path(first["dir"]).exists(), "a temporary directory goes with its server"
    print("  a temporary server came back on its port, in its directory, with its account")


def hostile(_rounds, _dice):
    """Archives that are none, lie, or are somebody else's: refused in words, and the server goes on."""
    with temporary_directory() as place:
        place = pathlib.Path(place)
        server, archive = two_states(place)
        server.start()
        # Made by the official way, so that only what a case does to it is wrong.
        unpacked = place / "unpacked"
        with zipfile.ZipFile(archive) as good:
            good.extractall(unpacked)
        database = (unpacked / "data.db").read_bytes()
        cases = {}

        def case(name, words, entries, after=None):
            path = place / f"{name}.zip"
            with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
                for entry, content in entries:
                    made.writestr(entry, content)
            if after:
                path.write_bytes(after(path.read_bytes()))
            cases[path] = words

        def changed(sql, source=database):
            path = place / "changed.db"
            path.write_bytes(source)
            connection = sqlite3.connect(path, isolation_level=None)
            connection.executescript("PRAGMA journal_mode = DELETE;" + sql)
            connection.close()
            return path.read_bytes()

        link = zipfile.ZipInfo("storage/link")
        link.external_attr = 0o120777 << 16
        case("slip", "", [("data.db", database), ("../../outside", b"x")])
        case("absolute", "", [("data.db", database), ("/tmp/conch-outside", b"x")])
        case("link", "", [("data.db", database), (link, b"/etc/passwd")])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            case("twice", "", [("data.db", database), ("data.db", b"x")])
        case("empty", "data.db", [("storage/a", b"x")])
        case("not_sqlite", "", [("data.db", b"no database" * 1000)])
        case("stranger", "another program", [("data.db", changed("CREATE TABLE notes (text)", b""))])
        case("pocketbase", "PocketBase", [("data.db", changed("CREATE TABLE _collections (id); CREATE TABLE _migrations (f)", b""))])
        case("newer", "newer Conch", [("data.db", changed("INSERT INTO __conch_migrations VALUES (9999, 'future', 0)"))])
        case("settings", "opened on it", [("data.db", changed("UPDATE _params SET value = 'c2VjcmV0' WHERE id = 'settings'"))])
        case("collections", "", [("data.db", changed("UPDATE _collections SET fields = '[' WHERE name = 'things'"))])
        case("cut", "", [("data.db", database)], lambda text: text[:len(text) // 2])
        case("damaged", "", [("data.db", database)], lambda text: text[:2000] + bytes(50) + text[2050:])
        page = bytearray(database)
        page[4096 * 5:4096 * 7] = b"\x5a" * 8192
        case("pages", "", [("data.db", bytes(page))])
        bomb = place / "bomb.zip"
        with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as made, made.open("data.db", "w", force_zip64=True) as entry:
            for _ in range(1200):
                entry.write(bytes(1 << 20))
        cases[bomb] = ""
        (place / "text.zip").write_text("no archive at all")
        cases[place / "text.zip"] = ""
        for path, words in cases.items():
            started = time.monotonic()
            code, said = restore(server.dir, path)
            assert code == 1 and words in said and "panic" not in said, f"{path.name}: {code} {said}"
            assert not (server.dir / JOURNAL).exists() and not list((server.dir / ".conch-swap").glob("new/*")), path
            assert time.monotonic() - started < 20, path
        assert found(server) == NOW and server.process.poll() is None
        for outside in (place / "outside", pathlib.Path("/tmp/conch-outside"), server.dir / "outside"):
            assert not outside.exists(), outside
        server.stop()
        # Without a server the same words are said.
        for name, words in (("newer", "newer Conch"), ("pocketbase", "PocketBase")):
            code, said = restore(server.dir, place / f"{name}.zip")
            assert code == 1 and words in said, said
        code, said = restore(place / "unborn", archive)
        assert code == 0, f"into a directory that was not there: {said}"
        server.start()
        assert found(server) == NOW
        server.stop()
        print(f"  {len(cases)} archives that are none of ours: refused in words, and the server goes on")
