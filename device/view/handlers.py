"""What answers each request: four fixed files, a sign-in page, and the WebSocket that carries the results."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from tornado.web import Application, HTTPError, RequestHandler
from tornado.websocket import WebSocketClosedError, WebSocketHandler

from device.config import ViewConfig
from device.frame import Result
from device.view import access
from device.view.broadcast import Broadcast

_STATIC = Path(__file__).with_name("static")
_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
# Nothing from elsewhere, nothing inline, no frame around the page.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_COOKIE_DAYS = 30


def make_application(config: ViewConfig, broadcast: Broadcast) -> Application:
    """All that the server answers. The files are read here, once: no request names a path."""
    files = {path.name: path.read_bytes() for path in _STATIC.iterdir() if path.suffix in _TYPES}
    shared = {"config": config}
    return Application(
        [
            (r"/", Index, {**shared, "page": files["index.html"], "sign_in": files["sign-in.html"]}),
            (r"/live", Live, {**shared, "broadcast": broadcast}),
            *((f"/{name}", File, {**shared, "name": name, "content": files[name]}) for name in files),
        ],
        default_handler_class=Missing,
        default_handler_args=shared,
        websocket_max_message_size=64,
        log_function=lambda handler: None,  # A line a request would bury the answers.
    )


class _Guarded(RequestHandler):
    """Answers only to this machine's own names, and says nothing that it need not."""

    config: ViewConfig

    def set_default_headers(self) -> None:
        self.set_header("Content-Security-Policy", _POLICY)
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("Referrer-Policy", "no-referrer")  # The address may hold the token.
        self.set_header("Cross-Origin-Resource-Policy", "same-origin")
        self.set_header("Cache-Control", "no-store")
        self.clear_header("Server")

    def prepare(self) -> None:
        if not access.is_own_host(self.request.host, self.config.host):
            raise HTTPError(403, reason="Open this page by the board's address or its own name")

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.finish(f"{status_code}: {self._reason}\n")

    def log_exception(self, typ: Any, value: Any, tb: Any) -> None:
        """A stranger's bad request is no news; anything else is a bug."""
        if not isinstance(value, HTTPError):
            super().log_exception(typ, value, tb)

    @property
    def signed_in(self) -> bool:
        """No token is asked for, or the browser has brought the cookie for it."""
        given = self.get_cookie(access.COOKIE) or ""
        return not self.config.token or access.token_matches(given, access.cookie_for(self.config.token))


class Missing(_Guarded):
    """Every other path."""

    def initialize(self, config: ViewConfig) -> None:
        self.config = config

    def prepare(self) -> None:
        super().prepare()
        raise HTTPError(404)


class File(_Guarded):
    """A style sheet, a script or a picture: the same for everybody, and no secret."""

    def initialize(self, config: ViewConfig, name: str, content: bytes) -> None:
        self.config, self._name, self._content = config, name, content

    def get(self) -> None:
        self.set_header("Content-Type", f"{_TYPES[Path(self._name).suffix]}; charset=utf-8")
        self.finish(self._content)


class Index(_Guarded):
    """The page; or, without the token, the form that asks for it."""

    def initialize(self, config: ViewConfig, page: bytes, sign_in: bytes) -> None:
        self.config, self._page, self._sign_in = config, page, sign_in

    def get(self) -> None:
        given = self.get_query_argument("token", None)
        if given is not None and self.config.token and access.token_matches(given, self.config.token):
            # Lax, since with Strict the redirect after a link from elsewhere would come without the cookie.
            self.set_cookie(
                access.COOKIE,
                access.cookie_for(self.config.token),
                expires_days=_COOKIE_DAYS,
                httponly=True,
                samesite="Lax",
            )
            self.redirect("/", status=303)  # Takes the token out of the address bar.
        elif self.signed_in:
            self.finish(self._page)
        else:
            self.set_status(401)
            hint = "" if given is None else "That is not this board's token."
            self.finish(self._sign_in.replace(b"<!-- hint -->", hint.encode()))


class Live(_Guarded, WebSocketHandler):
    """One open page; the `Viewer` that `Broadcast` feeds. Tornado refuses it to pages of another origin."""

    def initialize(self, config: ViewConfig, broadcast: Broadcast) -> None:
        self.config, self._broadcast = config, broadcast
        self._asked = True
        self._sent: asyncio.Future[None] | None = None
        self.sent_s = 0.0
        self.shown: Result | None = None

    def prepare(self) -> None:
        super().prepare()
        if not self.signed_in:
            raise HTTPError(401)

    def open(self, *args: str, **kwargs: str) -> None:
        self.set_nodelay(True)
        self._broadcast.join(self)

    def on_message(self, message: str | bytes) -> None:
        self._asked = True

    def on_close(self) -> None:
        self._broadcast.leave(self)

    @property
    def ready(self) -> bool:
        """It has asked for more, and what was sent before has left: asking without reading gains nothing."""
        return self._asked and (self._sent is None or self._sent.done())

    def send(self, data: bytes) -> None:
        self._asked = False
        try:
            self._sent = self.write_message(data, binary=True)
        except WebSocketClosedError:
            return  # on_close comes next.
        self._sent.add_done_callback(lambda sent: sent.cancelled() or sent.exception())  # It may have gone meanwhile.

    def drop(self, reason: str) -> None:
        self.close(1001, reason)
