"""Real receivers on loopback: an HTTP server that answers as a test says, and a mail server."""

import json
import ssl
import subprocess
import threading
from contextlib import contextmanager
from email import message_from_bytes, policy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, Envelope

from air_pipeline_tests.waiting import WITHIN_S


class Hook:
    """A webhook: `answers` are statuses for the next requests, then 200; None: it never answers."""

    def __init__(self, *answers):
        self.answers, self.bodies, self.requests = list(answers), [], []
        self.asked, self.released = threading.Event(), threading.Event()
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                hook.requests.append((self.path, dict(self.headers)))
                hook.bodies.append(json.loads(body))
                status = hook.answers.pop(0) if hook.answers else 200
                hook.asked.set()
                if status is None:
                    hook.released.wait(WITHIN_S)
                    return
                self.send_response(status)
                self.send_header("Location", hook.url("/elsewhere"))
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02})

    def url(self, path="/hook/very-secret"):
        return f"http://127.0.0.1:{self.server.server_port}{path}"

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.released.set()
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


class Post:
    """What a mail server took: mails as messages, envelopes beside them."""

    def __init__(self, refused=(), logins=None, says="250 taken"):
        self.refused, self.logins, self.envelopes, self.tried = refused, logins or {}, [], []
        self.says = says

    @property
    def mails(self):
        return [message_from_bytes(one.content, policy=policy.default) for one in self.envelopes]

    async def handle_RCPT(self, server, session, envelope, address, options):  # noqa: N802
        if address in self.refused:
            return "550 no such person"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope: Envelope):  # noqa: N802
        self.envelopes.append(envelope)
        return self.says

    def authenticate(self, server, session, envelope, mechanism, data):
        user, password = data.login.decode(), data.password.decode()
        self.tried.append((user, password))
        return AuthResult(success=self.logins.get(user) == password, handled=False)


class _Loopback(Controller):
    """The controller, at a free port that it tells."""

    def _trigger_server(self):
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()


@contextmanager
def mail_server(post, context=None, *, tls_from_the_start=False, no_password_without_tls=True):
    """A mail server with what it took; with a context it offers STARTTLS, or TLS from the first byte."""
    given = {"ssl_context": context} if tls_from_the_start else {"tls_context": context}
    controller = _Loopback(
        post,
        hostname="127.0.0.1",
        port=0,
        authenticator=post.authenticate,
        auth_require_tls=no_password_without_tls and not tls_from_the_start,
        **given,
    )
    controller.start()
    try:
        yield controller.port
    finally:
        controller.stop()


def certificate(directory):
    """A self-made certificate for 127.0.0.1: a context for a server, and the file that makes clients trust it."""
    cert, key = directory / "cert.pem", directory / "key.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"),
            *("-keyout", key, "-out", cert, "-days", "2", "-subj", "/CN=127.0.0.1"),
            *("-addext", "subjectAltName=IP:127.0.0.1"),
        ],
        check=True,
        capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    return context, cert
