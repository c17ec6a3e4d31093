"""A directory of an older Conch: it is copied, upgraded and looked at; killed at any step, or broken by the upgrade, it is
what it was before."""

import os
import pathlib
import re
import shutil
import sqlite3
import subprocess

from restore import JOURNAL, NOW, Killer, at_work_on, found, kept, two_states
from server import BINARY, ROOT, temporary_directory

MIGRATIONS = sorted((ROOT / "assets" / "migrations").glob("*.sql"))


def version(dir):
    database = sqlite3.connect(f"file:{dir}/data.db?mode=ro", uri=True, timeout=10)
    try:
        return database.execute("SELECT max(number) FROM __conch_migrations").fetchone()[0]
    finally:
        database.close()


def make_old(dir, spoil=""):
    """Takes a directory back to the first version: without whatever later migrations made."""
    database = sqlite3.connect(dir / "data.db", isolation_level=None)
    for path in MIGRATIONS[1:]:
        for table in re.findall(r"CREATE TABLE `(__conch_\w+)`", path.read_text()):
            database.execute(f"DROP TABLE IF EXISTS `{table}`")
    database.execute("DELETE FROM __conch_migrations WHERE number > 1")
    database.executescript(spoil)
    database.close()


def touch(dir, env=None):
    """Any command that opens the directory."""
    done = subprocess.run([BINARY, "superuser", "ips", "--dir", dir], capture_output=True, text=True, timeout=60,
                          env={**os.environ, **(env or {})})
    return done.returncode, done.stdout + done.stderr


def upgrades(rounds, dice):
    newest = len(MIGRATIONS)
    with temporary_directory() as place:
        place = pathlib.Path(place)
        server, _ = two_states(place)
        make_old(server.dir)
        killer, work = Killer(place), place / "work"

        def fresh(spoil=""):
            shutil.rmtree(work, ignore_errors=True)
            shutil.copytree(server.dir, work)
            if spoil:
                make_old(work, spoil)

        # Killed before any step, it is of one version or the other, and the next start upgrades it.
        fresh()
        steps = killer.count(lambda env: touch(work, env))
        assert version(work) == newest
        old, new = 0, 0
        for moment in sorted(dice.sample(range(1, steps + 1), min(2 * rounds, steps))):
            fresh()
            code, said = touch(work, killer.env(DIE_AT=moment))
            assert code in (0, -9), said
            old, new = old + (version(work) == 1), new + (version(work) == newest)
            other = at_work_on(server, work)
            other.start()
            assert found(other) == NOW and version(work) == newest
            other.stop()
            copy = kept(work, "before_upgrade_")[-1]
            assert version(copy) == 1 and not (work / JOURNAL).exists()
        assert old + new == min(2 * rounds, steps) and old, (old, new)
        print(f"  killed in an upgrade: {old} times before it, {new} times after it, upgraded by the next start; a copy is kept")

        # What the rooms cannot be opened over afterwards comes back.
        fresh("UPDATE _params SET value = 'c2VjcmV0' WHERE id = 'settings'")
        before = (work / "data.db").read_bytes()
        for _ in range(3):
            code, said = touch(work)
            assert code == 1 and "could not be upgraded" in said and "as it was before" in said, said
            assert version(work) == 1 and not (work / JOURNAL).exists() and not kept(work, "before_upgrade_")
        assert len((work / "data.db").read_bytes()) == len(before) and (work / "storage").is_dir()
        repaired = sqlite3.connect(work / "data.db", isolation_level=None)
        repaired.execute("DELETE FROM _params WHERE id = 'settings'")
        repaired.close()
        other = at_work_on(server, work)
        other.start()
        assert found(other) == NOW and version(work) == newest
        other.stop()
        print("  an upgrade that cannot be opened afterwards is taken back, with the reason, each time")

        # An older executable meets a newer directory.
        database = sqlite3.connect(work / "data.db", isolation_level=None)
        database.execute("INSERT INTO __conch_migrations VALUES (9999, 'future', 0)")
        database.close()
        code, said = touch(work)
        assert code == 1 and "newer Conch" in said and version(work) == 9999, said
        print("  a newer directory is refused and left as it is")
