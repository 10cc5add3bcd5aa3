"""A web server for one page on this computer, which no other page or computer can read or use.

It listens on 127.0.0.1. Every request has to carry a random token in its path, which other users of
the computer don't know, and the server's own address as its Host: a name that somebody lets point
to 127.0.0.1 (DNS rebinding) gets nothing. What changes something must come from the page itself.
"""

from __future__ import annotations

import hmac
import json
import secrets
import socketserver
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

MOST_BODY = 64_000  # bytes of one request


class Answer(NamedTuple):
    """What a request gets: text of a kind, or for ``application/json`` what becomes it."""

    status: HTTPStatus
    content: Any
    kind: str = "application/json"


_NOT_FOUND = Answer(HTTPStatus.NOT_FOUND, "Not Found\n", "text/plain")


class Server(ThreadingHTTPServer):
    """Serves one page.

    Parameters
    ----------
    read : callable
        Gets the address of a GET request, relative to the page (``""`` and ``"?…"`` are the page
        itself), and returns an Answer; None if there is no such thing.
    change : callable
        Gets the address and the JSON object of a POST request, and returns the same.
    port : int
        Where to listen; 0 finds a free port.

    Attributes
    ----------
    url
        The address of the page.
    """

    daemon_threads = True

    def __init__(
        self,
        read: Callable[[str], Answer | None],
        change: Callable[[str, dict[str, Any]], Answer | None],
        port: int = 0,
    ) -> None:
        self.read, self.change = read, change
        self.token = secrets.token_urlsafe(24)
        super().__init__(("127.0.0.1", port), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}/{self.token}/"

    def server_bind(self) -> None:
        """Bind without asking for this computer's name, which can take seconds."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Stay quiet about browsers that hang up: what fails in a page is answered there."""


class _Handler(BaseHTTPRequestHandler):
    server: Server
    server_version, sys_version = "mlmusic", ""
    timeout = 20  # seconds that a silent connection may hold a thread

    def do_GET(self) -> None:
        path = self._admitted()
        if path is None:
            return
        if path == "" or path.startswith("?") or self._from_page():
            self._send(self.server.read(path) or _NOT_FOUND)

    def do_POST(self) -> None:
        path = self._admitted()
        if path is None or not self._from_page():
            return
        body = self._body()
        if body is not None:
            self._send(self.server.change(path, body) or _NOT_FOUND)

    def _admitted(self) -> str | None:
        """Return the address after the token; None if the request was refused."""
        port = self.server.server_port
        if self.headers.get_all("Host", []) not in ([f"127.0.0.1:{port}"], [f"localhost:{port}"]):
            return self._refuse(HTTPStatus.FORBIDDEN)
        before, token, path = [*self.path.split("/", 2), "", ""][:3]
        if before or not hmac.compare_digest(token.encode(), self.server.token.encode()):
            return self._refuse(HTTPStatus.FORBIDDEN)
        if self.path.count("/") < 2:  # relative addresses would miss the token
            return self._refuse(HTTPStatus.NOT_FOUND)
        return path

    def _from_page(self) -> bool:
        """Whether the browser says that the page itself asks; other programs don't say."""
        own = f"http://{self.headers['Host']}"
        site = self.headers.get("Sec-Fetch-Site", "same-origin")
        if site == "same-origin" and self.headers.get("Origin", own) == own:
            return True
        self._refuse(HTTPStatus.FORBIDDEN)
        return False

    def _body(self) -> dict[str, Any] | None:
        """Return the JSON object that was sent; None if the request was refused."""
        if self.headers.get_content_type() != "application/json":
            return self._refuse(HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
        length = self.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdigit()):
            return self._refuse(HTTPStatus.LENGTH_REQUIRED)
        if len(length) > 9 or int(length) > MOST_BODY:
            return self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        try:
            body = json.loads(self.rfile.read(int(length)))
        except (ValueError, RecursionError):
            body = None
        return body if isinstance(body, dict) else self._refuse(HTTPStatus.BAD_REQUEST)

    def _refuse(self, status: HTTPStatus) -> None:
        self._send(Answer(status, f"{status.phrase}\n", "text/plain"))

    def _send(self, answer: Answer) -> None:
        text = answer.content
        if answer.kind == "application/json":
            text = json.dumps(text)
        data = text.encode("utf-8", "replace")
        self.send_response(answer.status)
        for name, value in (
            ("Content-Type", f"{answer.kind}; charset=utf-8"),
            ("Content-Length", str(len(data))),
            ("Cache-Control", "no-store"),
            ("Content-Security-Policy", "frame-ancestors 'none'"),
            ("Cross-Origin-Opener-Policy", "same-origin"),
            ("Cross-Origin-Resource-Policy", "same-origin"),
            ("Referrer-Policy", "no-referrer"),
            ("X-Content-Type-Options", "nosniff"),
            ("X-Frame-Options", "DENY"),
        ):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args: Any) -> None:
        """Say nothing: a log would show the token."""
