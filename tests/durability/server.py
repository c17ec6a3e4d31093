"""The executable under test on a directory of its own, and a client of it. Standard library only."""

import http.client
import json
import os
import pathlib
import signal
import socket
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = pathlib.Path(os.environ.get("CONCH_BIN", ROOT / "target" / "release" / "conch"))
EMAIL, PASSWORD = "root@example.com", "root-password-1"


class Gone(Exception):
    """The server ended the connection before it answered: nobody knows what became of the request."""


class Server:
    """`conch serve` on `dir`; started by `start`, ended by `kill` or `stop`."""

    def __init__(self, dir, args=(), env=None):
        self.dir = pathlib.Path(dir)
        self.args = list(args)
        self.env = {**os.environ, **(env or {})}
        self.port = free_port()
        self.process = None
        self.log = open(self.dir.parent / f"{self.dir.name}.log", "ab")
        # The preloaded library is for the server only.
        plain = {name: value for name, value in self.env.items() if name != "LD_PRELOAD"}
        subprocess.run([BINARY, "superuser", "upsert", EMAIL, PASSWORD, "--dir", self.dir],
                       check=True, stdout=self.log, stderr=self.log, env=plain)

    def start(self):
        command = [BINARY, "serve", "--http", f"127.0.0.1:{self.port}", "--dir", self.dir, *self.args]
        self.process = subprocess.Popen(command, stdout=self.log, stderr=self.log, env=self.env)
        deadline = time.monotonic() + 30
        while True:
            try:
                status, _ = self.client().request("GET", "/api/health")
                if status == 200:
                    return self
            except (OSError, Gone):
                pass
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"conch did not start (exit {self.process.poll()}), see {self.log.name}")
            time.sleep(0.01)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(timeout=30)
        assert code == 0, f"SIGTERM ended the server with {code}, see {self.log.name}"

    def client(self, token=None):
        return Client(self.port, token)

    def superuser(self):
        status, body = self.client().request("POST", "/api/collections/_superusers/auth-with-password",
                                             {"identity": EMAIL, "password": PASSWORD})
        assert status == 200, (status, body)
        return self.client(body["token"])


class Client:
    """One kept-alive connection."""

    def __init__(self, port, token=None):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self.port, self.token = port, token

    def copy(self):
        return Client(self.port, self.token)

    def request(self, method, path, body=None):
        """Status and parsed body; `Gone` when the answer did not come whole."""
        headers = {"Content-Type": "application/json"}
        if self.token:
            headers["Authorization"] = self.token
        try:
            self.connection.request(method, path, None if body is None else json.dumps(body), headers)
            answer = self.connection.getresponse()
            text = answer.read()
        except (OSError, http.client.HTTPException) as error:
            self.connection.close()
            raise Gone(str(error)) from error
        return answer.status, json.loads(text) if text else None

    def expect(self, status, method, path, body=None):
        got, answer = self.request(method, path, body)
        assert got == status, f"{method} {path}: {got} instead of {status}: {answer}"
        return answer


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def temporary_directory():
    return tempfile.TemporaryDirectory(prefix="conch-durability-", ignore_cleanup_errors=True)
