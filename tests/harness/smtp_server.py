"""A real mail server for one test: aiosmtpd on a free port.

Takes its options as one JSON argument and says what happens in JSON lines on stdout: first {"event":"ready","port":…},
then one {"event":"mail",…} per accepted mail. Ends when its stdin does.
"""

import email
import email.policy
import json
import ssl
import sys

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

options = json.loads(sys.argv[1])
auth = options.get("auth")
tls = options.get("tls")


def say(event):
    print(json.dumps(event), flush=True)


class Handler:
    async def handle_EHLO(self, server, session, envelope, hostname, responses):
        session.host_name = hostname
        return responses

    async def handle_RCPT(self, server, session, envelope, address, rcpt_options):
        if options.get("refuse"):
            return options["refuse"]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        raw = envelope.content
        message = email.message_from_bytes(raw, policy=email.policy.default)

        def part(kind):
            found = message.get_body(preferencelist=(kind,))
            return found.get_content().replace("\r\n", "\n") if found else ""

        say({
            "event": "mail",
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "subject": str(message["subject"] or ""),
            "headers": [[name.lower(), str(value)] for name, value in message.items()],
            "html": part("html"),
            "text": part("plain"),
            "raw": raw.decode("utf-8", "replace"),
            "ehlo": session.host_name,
            "encrypted": tls == "implicit" or session.ssl is not None,
            "login": getattr(session, "login_name", None),
            "mechanism": getattr(session, "mechanism", None),
        })
        return "250 kept"


def authenticate(server, session, envelope, mechanism, data):
    if not isinstance(data, LoginPassword):
        return AuthResult(success=False, handled=False)
    user, password = data.login.decode(), data.password.decode()
    session.login_name, session.mechanism = user, mechanism
    if user == auth["user"] and password == auth["password"]:
        return AuthResult(success=True)
    return AuthResult(success=False, handled=False)


def context():
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(options["cert"], options["key"])
    return made


class Server(Controller):
    def factory(self):
        return SMTP(
            self.handler,
            enable_SMTPUTF8=options["utf8"],
            decode_data=False,
            hostname="smtp.test",
            tls_context=context() if tls == "starttls" else None,
            require_starttls=False,
            auth_required=bool(auth),
            auth_require_tls=False,
            authenticator=authenticate if auth else None,
            auth_exclude_mechanism=[name for name in ("PLAIN", "LOGIN") if auth and auth.get("only", name) != name],
        )


# The controller checks its server by connecting to it, so the port has to be known before: the suite picks it.
server = Server(Handler(), hostname=options["host"], port=options["port"],
                ssl_context=context() if tls == "implicit" else None)
server.start()
say({"event": "ready", "port": options["port"]})
sys.stdin.read()
server.stop()
