"""Clients that write as fast as they can and keep book."""

import random
import threading
import time

from book import GONE
from server import Gone

MARK = "zzq"
DONE, REFUSED, OPEN = "done", "refused", "open"


class Storm:
    """`clients` threads, each with records of its own: creates, updates, deletes, and pairs in one batch.

    A status in `refusals` certainly changed nothing; one in `doubts` leaves open whether it did.
    """

    def __init__(self, server, token, book, clients, seed, refusals=(), doubts=(), body=""):
        self.server, self.token, self.book, self.body = server, token, book, body
        self.refusals, self.doubts = set(refusals), set(doubts)
        self.statuses = {}
        self.failure = None
        self.over = threading.Event()
        self.threads = [threading.Thread(target=self.run, args=(f"{seed}{number:02}",), daemon=True)
                        for number in range(clients)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        for thread in self.threads:
            thread.join()
        if self.failure:
            raise self.failure

    def last(self, seconds):
        time.sleep(seconds)

    def run(self, name):
        dice, client, mine, number = random.Random(name), self.server.client(self.token), [], 0
        try:
            while not self.over.is_set():
                act = dice.random()
                if act < 0.2:
                    number += 1
                    self.create_pair(client, record_id(name, number))
                elif act < 0.5 or not mine:
                    number += 1
                    key = ("left", record_id(name, number))
                    if self.create(client, key) == DONE:
                        mine.append(key)
                else:
                    key = mine.pop(dice.randrange(len(mine)))
                    if act > 0.9:
                        self.send(client, {key: GONE}, "DELETE", path(key))
                    elif self.update(client, key) != OPEN:
                        mine.append(key)
        except Gone:
            pass
        except Exception as failure:  # noqa: BLE001: raised in the main thread
            self.failure = failure

    def create(self, client, key):
        name, id = key
        body = {"id": id, "n": 0, "body": self.body}
        return self.send(client, {key: 0}, "POST", f"/api/collections/{name}/records", body)

    def create_pair(self, client, id):
        """Both or none. Nobody changes them afterwards."""
        self.book.pairs.add(id)
        requests = [{"method": "POST", "url": f"/api/collections/{name}/records", "body": {"id": id, "n": 0}}
                    for name in ("left", "right")]
        self.send(client, {("left", id): 0, ("right", id): 0}, "POST", "/api/batch", {"requests": requests})

    def update(self, client, key):
        n, = self.book.states[key]
        return self.send(client, {key: n + 1}, "PATCH", path(key), {"n": n + 1})

    def send(self, client, changes, method, path, body=None):
        opened = self.book.open(changes)
        status, answer = client.request(method, path, body)
        self.statuses[status] = self.statuses.get(status, 0) + 1
        if status in (200, 204):
            self.book.close(opened, done=True)
            return DONE
        if status in self.refusals:
            self.book.close(opened, done=False)
            return REFUSED
        if status in self.doubts:
            return OPEN
        raise AssertionError(f"{method} {path}: {status} {answer}")


def path(key):
    return f"/api/collections/{key[0]}/records/{key[1]}"


def record_id(name, number):
    """15 characters that the preloaded library recognises in pages and answers."""
    return f"{MARK}{name:0>5}{number:07}"
