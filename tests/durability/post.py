"""A mail server that notes what it gets. Standard library only; slow on purpose, so that a crash meets it at work."""

import email
import email.policy
import re
import socketserver
import threading
import time

SECONDS_PER_MAIL = 0.05


class Post:
    """Listens on `port`; `mails` is a list of (time, recipient, what the link in it confirms)."""

    def __init__(self):
        self.mails = []
        self.sessions, self.changed = 0, threading.Condition()
        outer = self

        class Session(socketserver.StreamRequestHandler):
            def handle(self):
                outer.count(1)
                try:
                    self.converse()
                except OSError:
                    pass
                finally:
                    outer.count(-1)

            def say(self, text):
                self.wfile.write(text.encode() + b"\r\n")

            def converse(self):
                recipient = None
                self.say("220 post")
                while line := self.rfile.readline():
                    word = line[:4].upper()
                    if word == b"RCPT":
                        recipient = re.search(rb"<(.*)>", line)[1].decode()
                    if word == b"DATA":
                        self.say("354 go on")
                        outer.note(recipient, self.letter())
                        time.sleep(SECONDS_PER_MAIL)
                    if word == b"QUIT":
                        return self.say("221 bye")
                    self.say("250 fine")

            def letter(self):
                lines = []
                while (line := self.rfile.readline()) not in (b".\r\n", b""):
                    lines.append(line.removeprefix(b"."))
                return b"".join(lines)

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True

        self.server = Server(("127.0.0.1", 0), Session)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def count(self, more):
        with self.changed:
            self.sessions += more
            self.changed.notify_all()

    def drained(self):
        """Waits until everything is noted that a server which was killed had sent before."""
        with self.changed:
            assert self.changed.wait_for(lambda: self.sessions == 0, 30), "a session of a dead server goes on"

    def note(self, recipient, letter):
        message = email.message_from_bytes(letter, policy=email.policy.default)
        text = message.get_body(("html", "plain")).get_content()
        self.mails.append((time.monotonic(), recipient, re.search(r"/auth/confirm-([a-z-]+)/", text)[1]))

    def close(self):
        self.server.shutdown()
        self.server.server_close()
