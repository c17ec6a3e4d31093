#!/usr/bin/env python3
"""Proves that what was acknowledged is kept, whatever happens to the process or the disk.

    tests/durability/run.py [--rounds N | --long] [--seed N] [PROOF…]

    kill     SIGKILL in the middle of a storm of writes, round after round on the same directory
    order    no answer leaves before the sync that made its write durable has returned (with tests/shim/fault.c)
    full     the disk is full: 507 at once, nothing lost, neighbours committed, reading goes on and /readyz says so;
             everything works again by itself when space returns; with little space left, what makes room still works
    uploads  SIGKILL in the middle of uploads, replacements and deletions of files: none is lost, none is left over
    broken   the disk fails to write and to sync: no corruption, nothing acknowledged lost
    jobs     SIGKILL while mails are asked for and sent, and again while the rest is taken up: each that was
             acknowledged goes out, and none twice from one process
    notifications  SIGKILL while notifications are asked for, expanded and sent: each decision is made once, and
             each call is made, under the same id if it is made again
    restores  SIGKILL at every step of a restore, a restore under a storm of writes, a server that does not come up on
             what was restored: the old content or that of the archive, whole, and a server on it
    hostile  archives that are none, lie or are somebody else's are refused in words
    upgrades  SIGKILL at every step of an upgrade, and one that fails: what was there before is there again

The executable is $CONCH_BIN (default: target/release/conch). Needs Python 3.9 and a C compiler, on Linux.
"""

import argparse
import pathlib
import random
import sqlite3
import subprocess
import sys
import threading
import time

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).parent))

import book as keeping  # noqa: E402
from book import Book  # noqa: E402
from notifications import notifications  # noqa: E402
from post import Post  # noqa: E402
from restore import hostile, restores  # noqa: E402
from server import BINARY, ROOT, Gone, Server, temporary_directory  # noqa: E402
from storm import MARK, Storm, path, record_id  # noqa: E402
from upgrade import upgrades  # noqa: E402
from uploads import uploads  # noqa: E402

SHORT, LONG = 8, 50
# Bytes: more than the write-ahead log of small writes ever has, and what a big write exceeds by itself.
SPACE, BIGS = 24_000_000, 4


class Disk:
    """The preloaded library of a server: what it saw, and what it is told to do."""

    def __init__(self, place):
        self.library, self.log, self.control = place / "fault.so", place / "calls.log", place / "fault.txt"
        source = ROOT / "tests" / "shim" / "fault.c"
        subprocess.run(["cc", "-shared", "-fPIC", "-O2", "-Wall", "-o", self.library, source], check=True)
        self.env = {"LD_PRELOAD": str(self.library), "SHIM_LOG": str(self.log), "SHIM_MARK": MARK,
                    "SHIM_CONTROL": str(self.control)}

    def fail(self, *lines):
        """From now on the disk fails so; without lines it works again."""
        new = self.control.with_suffix(".new")
        new.write_text("".join(f"{line}\n" for line in lines))
        new.replace(self.control)

    def lines(self):
        return [line.split() for line in self.log.read_text().splitlines()]

    def faults(self):
        return sum(line[0] == "fault" for line in self.lines())


def kill(rounds, dice):
    """Grave: a crash that silently takes acknowledged writes back."""
    with temporary_directory() as place:
        server, book, epochs = Server(pathlib.Path(place) / "data"), Book(), set()
        server.start()
        admin = server.superuser()
        keeping.create_collections(admin)
        for number in range(rounds):
            with Storm(server, admin.token, book, clients=8, seed=f"{number:02}") as storm:
                storm.last(dice.uniform(0.1, 1.2))
                server.kill()
            server.start()
            rows, entries, epoch = keeping.check(book, server.dir)
            epochs.add(epoch)
            print(f"  round {number + 1}: {book.acknowledged} acknowledged, {len(rows)} rows, {entries} log entries")
        assert len(epochs) == 1, "a crash is no reason for a new epoch"
        assert book.acknowledged > 20 * rounds, "the storm hardly wrote"
        server.stop()


def order(_rounds, _dice):
    """No 200 leaves before the sync of its group has returned; without syncs the same test fails."""
    for mode, durable in (("full", True), ("normal", False)):
        with temporary_directory() as place:
            place = pathlib.Path(place)
            disk = Disk(place)
            server = Server(place / "data", ["--sync", mode], disk.env)
            server.start()
            admin = server.superuser()
            keeping.create_collections(admin)
            before = len(disk.lines())
            with Storm(server, admin.token, Book(), clients=16, seed="a") as storm:
                storm.last(2)
            server.stop()
            early, answers, syncs = early_answers(disk.lines()[before:])
        print(f"  --sync {mode}: {answers} answers with new records, {syncs} syncs, {early} too early")
        assert answers > 100, "the storm hardly wrote"
        if durable:
            assert early == 0, "answers left before their sync"
            assert syncs < answers, "writes were not committed in groups"
        else:
            assert early > 0, "without syncs this test has to fail: it does not see what it should"


def early_answers(lines):
    """Answers that carried a new record before a sync which began after its write to the WAL had returned."""
    written, durable, answered, early, syncs = {}, set(), set(), 0, 0
    syncing = None
    for line in lines:
        if line[:2] == ["write", "wal"] and not line[3].startswith("-"):
            for mark in line[4:]:
                written.setdefault(mark, None)
        elif line[:3] == ["sync", "wal", "begin"]:
            syncing = set(written)
        elif line[:3] == ["sync", "wal", "end"]:
            syncs += 1
            if line[3] == "0" and syncing:
                durable |= syncing
        elif line[:2] == ["send", "200"]:
            for mark in set(line[3:]) - answered:
                answered.add(mark)
                early += mark not in durable
    return early, len(answered), syncs


def full(_rounds, _dice):
    """Grave: a full disk that costs the neighbours of the write that met it, or everything until a restart."""
    with temporary_directory() as place:
        place = pathlib.Path(place)
        disk, book = Disk(place), Book()
        server = Server(place / "data", env=disk.env)
        server.start()
        admin = server.superuser()
        keeping.create_collections(admin)

        # Space for a log that is checkpointed in time, not for the big ones.
        disk.fail(f"ENOSPC write wal above={SPACE}")
        with Storm(server, admin.token, book, clients=8, seed="b") as storm:
            bigs = [big(server, admin.token, book, number) for number in range(BIGS)]
            storm.last(0.3)
        assert bigs == [507] * BIGS, f"the big writes were answered {bigs}"
        assert set(storm.statuses) <= {200, 204}, f"neighbours were answered {storm.statuses}"
        assert disk.faults() > 0
        rows, *_ = keeping.check(book, server.dir)
        print(f"  {BIGS} writes met the full disk (507), {sum(storm.statuses.values())} beside them did not")

        # No space at all: writes are refused, reads go on.
        disk.fail("ENOSPC write wal")
        with Storm(server, admin.token, book, clients=8, seed="c", refusals=[507]) as storm:
            for key in list(rows)[:20]:
                admin.expect(200, "GET", path(key))
            storm.last(0.5)
        assert set(storm.statuses) == {507}, storm.statuses
        keeping.check(book, server.dir)

        assert not_ready(server, "writes"), "a full disk is no secret"

        # Space returns.
        disk.fail()
        wait_until_ready(server)
        assert big(server, admin.token, book, 99) == 200
        with Storm(server, admin.token, book, clients=8, seed="d") as storm:
            storm.last(0.5)
        assert set(storm.statuses) <= {200, 204}, storm.statuses
        _, _, epoch = keeping.check(book, server.dir)
        server.kill()
        server.start()
        assert keeping.check(book, server.dir)[2] == epoch, "a full disk is no reason for a new epoch"
        scarce(server, disk, server.superuser())
        print(f"  with no space: reads answered, writes 507; afterwards {book.acknowledged} acknowledged, all there")
        server.stop()


def scarce(server, disk, admin):
    """Less than the reserve is free: nothing can be added, but signing in, reading and deleting go on."""
    made, body = path(("left", record_id("few", 0))), {"id": record_id("few", 0), "n": 0, "body": "x"}
    records = made.rsplit("/", 1)[0]
    admin.expect(200, "POST", records, body)
    disk.fail("ENOSPC room db above=1000000")
    while not not_ready(server, "disk"):
        time.sleep(0.1)
    admin.expect(507, "POST", records, {"n": 1, "body": "y"})
    admin.expect(507, "PATCH", made, {"n": 1})
    admin.expect(200, "GET", made)
    server.superuser()
    admin.expect(204, "DELETE", made)
    admin.expect(404, "GET", made)
    disk.fail()
    wait_until_ready(server)
    admin.expect(200, "POST", records, body)
    admin.expect(204, "DELETE", made)
    print("  with little space: nothing added (507), reads, logins and deletions go on, and all of it again by itself")


def not_ready(server, check):
    status, told = server.client().request("GET", "/readyz")
    return status == 503 and not told["checks"][check]["ok"]


def wait_until_ready(server):
    deadline = time.monotonic() + 10
    while server.client().request("GET", "/readyz")[0] != 200:
        assert time.monotonic() < deadline, "the server does not recover by itself"
        time.sleep(0.05)


def big(server, token, book, number):
    key = ("left", record_id("big", number))
    opened = book.open({key: 0})
    body = {"id": key[1], "n": 0, "body": "x" * (SPACE + 100_000)}
    status, _ = server.client(token).request("POST", "/api/collections/left/records", body)
    book.close(opened, done=status == 200)
    return status


def broken(rounds, dice):
    """Writes and syncs that fail here and there, in the log and in the database, and then a crash."""
    kinds = ["EIO write wal", "EIO sync wal", "ENOSPC write wal", "EIO write db", "ENOSPC write db", "EIO sync db"]
    with temporary_directory() as place:
        place = pathlib.Path(place)
        disk, book = Disk(place), Book()
        server = Server(place / "data", env=disk.env)
        server.start()
        admin = server.superuser()
        keeping.create_collections(admin)
        for number in range(rounds):
            seen = disk.faults()
            # A failed sync leaves open what a crash would find; the answer is an error, and that is all it says.
            with Storm(server, admin.token, book, clients=8, seed=f"{number:02}", refusals=[507], doubts=[500],
                       body="x" * 60_000) as storm:
                for _ in range(4):
                    kind = kinds[number % len(kinds)]
                    # The database file is written to by checkpoints only.
                    after = 0 if kind.endswith("db") else dice.randrange(30)
                    disk.fail(f"{kind} after={after} times={dice.randrange(1, 6)}")
                    storm.last(0.25)
                disk.fail()
                storm.last(0.2)
                if number % 2:
                    server.kill()
            if number % 2:
                server.start()
            keeping.check(book, server.dir)
            print(f"  {kinds[number % len(kinds)]}: {disk.faults() - seen} faults, answers {storm.statuses}")
        with Storm(server, admin.token, book, clients=8, seed="zz") as storm:
            storm.last(0.5)
        assert set(storm.statuses) <= {200, 204}, f"after the disk recovered: {storm.statuses}"
        keeping.check(book, server.dir)
        assert disk.faults() > rounds, "the disk hardly failed"
        server.stop()


MAILS = {"verification": "request-verification", "password-reset": "request-password-reset"}


def jobs(rounds, dice):
    """Grave: mails that die with the process, and queues that send them twice."""
    with temporary_directory() as place:
        server, post = Server(pathlib.Path(place) / "data"), Post()
        server.start()
        admin = server.superuser()
        admin.expect(200, "PATCH", "/api/settings", {
            "smtp": {"enabled": True, "host": "127.0.0.1", "port": post.port, "tls": False},
            "meta": {"senderName": "Conch", "senderAddress": "conch@example.com"}})
        for number in range(max(2, rounds // 10)):
            admin = admin.copy()
            people = [f"r{number}p{person}@example.com" for person in range(40)]
            for address in people:
                admin.expect(200, "POST", "/api/collections/users/records",
                             {"email": address, "password": "password-1", "passwordConfirm": "password-1"})
            begun, acknowledged = len(post.mails), set()

            def ask(share):
                client = server.client()
                try:
                    for address in share:
                        for kind, route in MAILS.items():
                            body = {"email": address}
                            client.expect(204, "POST", f"/api/collections/users/{route}", body)
                            acknowledged.add((address, kind))
                            client.expect(204, "POST", f"/api/collections/users/{route}", {"email": "no-" + address})
                except (Gone, OSError):
                    pass

            askers = [threading.Thread(target=ask, args=(people[first::4],)) for first in range(4)]
            for asker in askers:
                asker.start()
            time.sleep(dice.uniform(0.02, 0.3))
            server.kill()
            for asker in askers:
                asker.join()
            post.drained()
            at_death, waiting, deaths = len(post.mails), states(server), [time.monotonic()]
            # Once more while it takes up what the first one left.
            server.start()
            time.sleep(dice.uniform(0, 0.2))
            server.kill()
            post.drained()
            deaths.append(time.monotonic())
            server.start()
            deadline = deaths[-1] + 60
            while states(server):
                assert time.monotonic() < deadline, f"jobs are left: {states(server)}"
                time.sleep(0.2)
            check_mails(post.mails[begun:], acknowledged, deaths)
            twice = len(post.mails) - begun - len({mail[1:] for mail in post.mails[begun:]})
            print(f"  round {number + 1}: {len(acknowledged)} mails asked for, {at_death - begun} sent before the crash, "
                  f"jobs then {waiting}, {twice} sent twice")
            assert acknowledged and waiting, "the crash came too late"
        server.stop()
        post.close()


def states(server):
    """How many jobs of mails there are in each state."""
    connection = sqlite3.connect(f"file:{server.dir}/data.db?mode=ro", uri=True, timeout=10)
    try:
        sql = "SELECT state, count(*) FROM __conch_jobs WHERE kind = 'account-mail' GROUP BY state"
        return dict(connection.execute(sql))
    finally:
        connection.close()


def check_mails(mails, acknowledged, deaths):
    """All were sent, and none twice by the same process."""
    times = {}
    for at, *what in mails:
        times.setdefault(tuple(what), []).append(at)
    lost = acknowledged - times.keys()
    assert not lost, f"lost: {sorted(lost)}"
    for what, sent in times.items():
        assert not what[0].startswith("no-"), f"a stranger got a mail: {what}"
        lives = [sum(at > death for death in deaths) for at in sent]
        assert len(lives) == len(set(lives)), f"{what} at {sent}, deaths at {deaths}"


PROOFS = {"kill": kill, "uploads": uploads, "order": order, "full": full, "broken": broken, "jobs": jobs,
          "notifications": notifications, "restores": restores, "hostile": hostile, "upgrades": upgrades}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("proofs", nargs="*", metavar="PROOF", help="one or more of those above (default: all)")
    parser.add_argument("--rounds", type=int, help=f"rounds of `kill`, `uploads` and `broken` (default {SHORT})")
    parser.add_argument("--long", action="store_true", help=f"{LONG} rounds")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="of the random moments")
    arguments = parser.parse_args()
    unknown = set(arguments.proofs) - PROOFS.keys()
    if unknown:
        parser.error(f"no proof named {', '.join(sorted(unknown))}")
    if not BINARY.exists():
        raise SystemExit(f"{BINARY} is missing: run tests/run, which builds it, or set CONCH_BIN")
    print(f"seed {arguments.seed}")
    for name in arguments.proofs or PROOFS:
        print(f"{name}:", flush=True)
        started = time.monotonic()
        rounds = arguments.rounds or (LONG if arguments.long else SHORT)
        PROOFS[name](rounds, random.Random(arguments.seed))
        print(f"  ok ({time.monotonic() - started:.1f} s)", flush=True)


# A proof that hangs is a failure, too.
threading.excepthook = lambda arguments: (sys.__excepthook__(*arguments[:3]))

if __name__ == "__main__":
    main()
