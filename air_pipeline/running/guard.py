"""Who gets in: Dagster's UI has no login and obeys whoever reaches it, so requests of other pages do not reach it.

Belongs here: the decision, a pure function, and the ASGI application that asks it. Does not: how Dagster's server is
made to use it (`webserver`), names of hosts (`hosts`).

A page of anybody, open in a browser on this machine, can have the browser ask 127.0.0.1. What it cannot do is choose
what the browser says with it: the Host, the Origin, Sec-Fetch-*, and that a POST is JSON, unless an OPTIONS allowed it.
These decide. What is no browser says what it likes: a program on this machine is not kept out.
"""

import logging
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

from air_pipeline.netloc import is_here, read_netloc
from air_pipeline.running.hosts import BEHIND_PROXY

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

HEADERS = (
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
)
"""Of every answer: no page shows it in a frame, takes it as a picture or script, or keeps hold of its window."""
SAY_EVERY_S = 60.0
_LOG = logging.getLogger(__name__)
_DECIDING = frozenset({"host", "origin", "sec-fetch-site", "sec-fetch-mode", "sec-fetch-dest", "content-type"})
_DEFAULT_PORTS = {"http": "80", "https": "443"}
_LONGEST_SAID = 120


def why_not(scope: Scope, names: frozenset[str]) -> str | None:
    """Why a request is refused, as a sentence that says what to do; None if it may pass.

    Args:
        scope: an HTTP request or the begin of a WebSocket, as ASGI has it.
        names: of the hosts that the UI answers to, beside those of this machine itself.
    """
    headers: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name = raw_name.decode("latin-1").lower()
        if name in headers and name in _DECIDING:
            return f"The request has the header {name} twice; send it once."
        headers.setdefault(name, raw_value.decode("latin-1").strip())
    return (
        (scope["path"] != "/server_info" and _wrong_host(headers, names))
        or _wrong_origin(headers)
        or _wrong_site(scope, headers)
        or (scope["type"] == "http" and _wrong_method(scope, headers))
        or None
    )


def _wrong_host(headers: Mapping[str, str], names: frozenset[str]) -> str:
    """The Host must be a name of ours: a name of somebody's that leads to this machine makes his page one of ours."""
    host = read_netloc(headers.get("host", ""))
    if host is None:
        return "The request names no host; ask for the UI under http://localhost and its port."
    if is_here(host.plain) or host.plain in names:
        return ""
    return (
        f"The UI does not answer to the name {host.plain}. On its own machine, ask for localhost. If a proxy with a"
        f" login passes requests on under that name, start the UI with --behind-proxy {host.plain}, or with"
        f" {BEHIND_PROXY}={host.plain} in its environment."
    )


def _wrong_origin(headers: Mapping[str, str]) -> str:
    """An Origin, if there is one, must be what was asked for."""
    origin = headers.get("origin")
    if origin is None:
        return ""
    scheme, _, rest = origin.lower().partition("://")
    page, host = read_netloc(rest), read_netloc(headers.get("host", ""))
    default = _DEFAULT_PORTS.get(scheme)
    if page and host and default:
        if page.name == host.name and (page.port or default) == (host.port or default):
            return ""
        where = f"a page of {page} and not of {host}"
    else:
        where = "a page that does not say where it is from"
    return (
        f"This was asked for by {where}; the UI obeys its own pages alone. If it is behind a proxy, the proxy must pass"
        " on the header Host as it came (nginx: proxy_set_header Host $http_host)."
    )


def _wrong_site(scope: Scope, headers: Mapping[str, str]) -> str:
    """Where the browser says that another page has a hand in it, only a tab that opens the UI may."""
    if headers.get("sec-fetch-site", "none") in {"same-origin", "none"}:
        return ""
    opens_a_tab = headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest") == "document"
    if opens_a_tab and scope["type"] == "http" and scope["method"] in {"GET", "HEAD"}:
        return ""
    return "This was asked for by a page of another site; open the UI in a tab of its own."


def _wrong_method(scope: Scope, headers: Mapping[str, str]) -> str:
    """What may change something is a POST of JSON, which no page can send elsewhere without asking first (OPTIONS)."""
    if scope["method"] in {"GET", "HEAD"}:
        # The segment is stripped: Dagster's router takes "/graphql\n" for /graphql. What accepts HTML gets GraphiQL.
        asks_graphql = any(part.strip().lower() == "graphql" for part in scope["path"].split("/"))
        if asks_graphql and "text/html" not in headers.get("accept", ""):
            return "GraphQL is answered to a POST with Content-Type: application/json; in a browser, open /graphql."
        return ""
    if scope["method"] == "POST":
        if headers.get("content-type", "").partition(";")[0].strip().lower() == "application/json":
            return ""
        return "A POST must be JSON and say so: Content-Type: application/json."
    return "The UI takes GET, HEAD and POST alone."


class Guard:
    """An application that nobody but its own pages, programs and known proxies reach."""

    def __init__(self, app: App, names: frozenset[str], refusals: "Refusals | None" = None) -> None:
        self._app = app
        self._names = names
        self._refusals = refusals or Refusals()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Asks the application, or refuses; an answer says who may see it."""
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
        elif reason := why_not(scope, self._names):
            self._refusals.note(scope, reason)
            await _refuse(scope, send, reason)
        else:
            await self._app(scope, receive, _with_headers(send))


def is_guarded(headers: Mapping[str, str]) -> bool:
    """Whether an answer with these headers came through the guard."""
    return all(headers.get(name.decode()) == value.decode() for name, value in HEADERS)


def _with_headers(send: Send) -> Send:
    async def send_guarded(message: Message) -> None:
        if message["type"] in {"http.response.start", "websocket.http.response.start"}:
            message["headers"] = [*message.get("headers", ()), *HEADERS]
        await send(message)

    return send_guarded


async def _refuse(scope: Scope, send: Send, reason: str) -> None:
    """Answers 403 with the reason, a WebSocket's begin too."""
    kind = "http.response"
    if scope["type"] == "websocket":
        if "websocket.http.response" not in scope.get("extensions", {}):
            await send({"type": "websocket.close", "code": 1008, "reason": ""})  # which a server answers with 403
            return
        kind = "websocket.http.response"
    body = f"{reason}\n".encode()
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", b"%d" % len(body)),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
    ]
    await send({"type": f"{kind}.start", "status": 403, "headers": [*headers, *HEADERS]})
    await send({"type": f"{kind}.body", "body": body})


class Refusals:
    """What is said in the log of requests that were refused: the first at once, then one a minute and how many more."""

    def __init__(
        self,
        say: Callable[[str], None] = _LOG.warning,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._say = say
        self._clock = clock
        self._silent_until = float("-inf")
        self._unsaid = 0

    def note(self, scope: Scope, reason: str) -> None:
        """Says it now, or counts it."""
        if self._clock() < self._silent_until:
            self._unsaid += 1
            return
        asked = ascii(f"{scope.get('method', 'WebSocket')} {scope['path']}"[:_LONGEST_SAID])
        more = f" ({self._unsaid} more since the last one that was told)" if self._unsaid else ""
        self._say(f"refused {asked}: {reason}{more}")
        self._silent_until = self._clock() + SAY_EVERY_S
        self._unsaid = 0
