"""SIGKILL while notifications are asked for, expanded and sent: each decision is made once, and each call is made."""

import collections
import http.server
import json
import pathlib
import sqlite3
import threading
import time

from server import Gone, Server, temporary_directory

# People, notifications that are due, notifications for another day. The long form: 100,000 due, 1,000,000 future.
SHORT, LONG = (60, 100, 40), (1000, 100, 1000)
# What may be claimed at the moment of a crash, and so be sent twice.
CLAIMED = 512


class Receiver:
    """Takes webhooks and notes who heard what, under which id."""

    def __init__(self):
        self.calls = []
        # Ids of the deliveries that came.
        self.ids = set()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                try:
                    body = self.rfile.read(int(self.headers["content-length"]))
                    data = json.loads(body)["data"]
                    outer.calls.append((self.headers["webhook-id"], data["notification"], data["recipient"]["record"], data["delivery"]))
                    outer.ids.add(self.headers["webhook-id"])
                    self.send_response(200)
                    self.send_header("content-length", "0")
                    self.end_headers()
                except OSError:
                    self.close_connection = True

            def log_message(self, *_):
                pass

        class Listener(http.server.ThreadingHTTPServer):
            def handle_error(self, *_):
                pass  # A connection of a server that was killed.

            daemon_threads = True
            request_queue_size = 256

        self.server = Listener(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def heard(self):
        """How many different deliveries came."""
        return len(self.ids)

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def notifications(rounds, dice):
    """Grave: digests that vanish, mails that come twice, queues that live elsewhere and forget."""
    people, due, future = LONG if rounds >= 50 else SHORT
    kills = 8 if rounds < 50 else 20
    with temporary_directory() as place:
        receiver = Receiver()
        server = Server(pathlib.Path(place) / "data")
        server.start()
        admin = server.superuser()
        admin.expect(200, "PATCH", "/api/settings", {"notify": {"allowPrivate": True}})
        move_in(server, admin.token, people, receiver.url)

        keys = [f"due-{n}" for n in range(due)] + [f"future-{n}" for n in range(future)]
        dice.shuffle(keys)
        acknowledged, stop = {}, threading.Event()
        askers = [threading.Thread(target=ask, args=(server, admin.token, keys[first::4], acknowledged, stop)) for first in range(4)]
        for asker in askers:
            asker.start()
        seen = []
        for number in range(kills):
            # At different moments of one delivery after the other, and some time before the last.
            reach(receiver, due * people * (number + 1) // (kills + 2))
            time.sleep(dice.uniform(0, 0.02))
            server.kill()
            seen.append(receiver.heard())
            assert seen[-1] < due * people, f"crash {number + 1} came too late: everything had been sent ({seen})"
            server.start()
        for asker in askers:
            asker.join()
        wait(server, due * people, (due + future) * people)
        check(server, receiver, acknowledged, people, due, future, kills)
        twice = len(receiver.calls) - receiver.heard()
        print(f"  {kills} kills after {seen} calls; {due * people} due and {future * people} future deliveries; {twice} sent twice, under the same id")
        server.stop()
        receiver.close()


def reach(receiver, count):
    """Until so many have been told."""
    patience = time.monotonic() + 120
    while receiver.heard() < count:
        assert time.monotonic() < patience, f"{receiver.heard()} of {count} are told after two minutes"
        time.sleep(0.002)


def move_in(server, token, people, url):
    """Accounts, each with a webhook."""

    def some(share):
        client = server.client(token)
        for n in share:
            record = client.expect(200, "POST", "/api/collections/users/records", {
                "email": f"p{n}@example.com", "password": "password-1", "passwordConfirm": "password-1"})
            client.expect(200, "POST", "/api/notify/devices", {"kind": "webhook", "url": f"{url}/{n}", "user": f"users/{record['id']}"})

    movers = [threading.Thread(target=some, args=(range(first, people, 4),)) for first in range(4)]
    for mover in movers:
        mover.start()
    for mover in movers:
        mover.join()


def ask(server, token, keys, acknowledged, stop):
    """Sends one after the other; what was not answered is asked again under its key."""
    client = server.client(token)
    for key in keys:
        body = {"key": key, "to": [{"collection": "users"}], "channels": ["webhook"], "title": "{{ data.key }}", "data": {"key": key}}
        if key.startswith("future"):
            body["when"] = {"after": "30d"}
        while True:
            try:
                status, answer = client.request("POST", "/api/notify/send", body)
                if status == 200:
                    acknowledged[key] = answer["id"]
                    break
                assert status == 503, (status, answer)
            except (Gone, OSError):
                pass
            time.sleep(0.05)
        # So that crashes meet all of it at work.
        time.sleep(0.02)


def read(server, sql):
    connection = sqlite3.connect(f"file:{server.dir}/data.db?mode=ro", uri=True, timeout=10)
    try:
        return connection.execute(sql).fetchall()
    finally:
        connection.close()


def wait(server, due, all):
    """Until everything is expanded and everything that is due has ended."""
    newest, deadline = None, 0
    while True:
        [(rows, ended)] = read(server, "SELECT count(*), sum(state NOT IN ('scheduled', 'batched', 'sending')) FROM _deliveries")
        if (rows, ended) == (all, due):
            return
        if (rows, ended) != newest:
            newest, deadline = (rows, ended), time.monotonic() + 60
        assert time.monotonic() < deadline, f"{rows} of {all} deliveries, {ended} of {due} ended, and nothing moves: {states(server)}"
        time.sleep(0.5)


def states(server):
    return read(server, "SELECT state, substr(reason, 1, 60), count(*) FROM _deliveries GROUP BY 1, 2 LIMIT 20")


def check(server, receiver, acknowledged, people, due, future, kills):
    rows = read(server, "SELECT id, `key` FROM _notifications")
    assert len(rows) == due + future, f"{len(rows)} notifications for {due + future} keys"
    assert {key: id for id, key in rows} == acknowledged, "an answer named another notification"
    key_of = dict(rows)
    # Each decided once: one delivery for each notification and recipient.
    deliveries = read(server, "SELECT id, notification, recordRef, state, attempts FROM _deliveries")
    decided = collections.Counter((notification, record) for _, notification, record, _, _ in deliveries)
    assert len(decided) == (due + future) * people and set(decided.values()) == {1}
    for id, notification, record, state, attempts in deliveries:
        expected = "sent" if key_of[notification].startswith("due") else "scheduled"
        assert state == expected, f"{key_of[notification]} for {record} is {state}"
    # Each that was due arrived, nothing else did, and whatever came again had the same id.
    ids = {id: (notification, record) for id, notification, record, state, _ in deliveries if state == "sent"}
    heard = collections.defaultdict(set)
    for hook, notification, record, delivery in receiver.calls:
        assert ids.get(delivery) == (notification, record), f"{delivery} was never decided"
        heard[notification, record].add(hook)
    assert heard.keys() == set(ids.values()), f"{len(ids) - len(heard)} never arrived"
    assert all(len(hooks) == 1 for hooks in heard.values()), "a repetition had another id"
    twice = len(receiver.calls) - len(heard)
    assert twice <= kills * CLAIMED, f"{twice} were sent twice"
