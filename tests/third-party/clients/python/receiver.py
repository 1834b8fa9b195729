"""A program of the customer's that webhooks are sent to."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from asking import until
from standardwebhooks import Webhook, WebhookVerificationError


@dataclass(frozen=True)
class Request:
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Told:
    """A webhook whose signature is good."""

    delivery: str
    kind: str
    data: dict[str, object]


class Receiver:
    """Listens on a port of this machine and keeps what comes."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        kept = self.requests

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                kept.append(Request(headers, body))
                self.send_response(204)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/hook"

    def told(self, kind: str, secret: str) -> Told:
        """The first webhook of a kind, verified as its receiver should."""

        def find() -> Told | None:
            for request in list(self.requests):
                told = verified(request, secret)
                if told.kind == kind:
                    return told
            return None

        return until(find, f"a webhook {kind}")


def verified(request: Request, secret: str) -> Told:
    """Reads a webhook after its signature was checked, and a changed one is refused."""
    webhook = Webhook(secret)
    event = webhook.verify(request.body, request.headers)
    try:
        webhook.verify(request.body + b" ", request.headers)
    except WebhookVerificationError:
        return Told(request.headers["webhook-id"], event["type"], event["data"])
    raise AssertionError("a changed body has the same signature")
