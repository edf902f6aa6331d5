"""A device's address taken apart, and the request that is sent there.

Belongs here: from a URL to the bytes of a GET. Does not: the connection (`client`), who asks (`login`).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from importlib.metadata import version
from urllib.parse import quote, urlencode, urlsplit

from air_pipeline.devices.login import without_login
from air_pipeline.showing import without_secrets

_DEFAULT_PORTS = {"http": 80, "https": 443}
_ALONE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_KEPT = "!#$%&'()*+,/:;=?@[]~"
_NOT_OF_A_HEADER = re.compile(r"[\r\n\0]")


@dataclass(frozen=True, slots=True)
class Target:
    """Where a GET goes.

    Attributes:
        where: the URL without a user and password.
        is_secure: whether it is `https`.
        host: a name or an address, without brackets.
        port: as given, or the scheme's.
        path: with the query, as it is sent.
        headers: what is sent with each request.
        bare: a request with these alone.
    """

    where: str
    is_secure: bool
    host: str
    port: int
    path: str
    headers: Mapping[str, str]
    bare: bytes

    def request(self, more: Mapping[str, str]) -> bytes:
        """The bytes of a GET; of a header that is ours too, the given one is sent.

        Raises:
            ValueError: a header has characters that none can have.
        """
        if not more:
            return self.bare
        given = {name.lower() for name in more}
        headers = {name: value for name, value in self.headers.items() if name.lower() not in given} | dict(more)
        return _request(self.path, headers)

    def asked_by(self, user: str, password: str) -> "Target":
        """The same with who asks in its query, for devices that want to be told so there."""
        said = urlencode({"user": user, "password": password}, quote_via=quote)
        path = f"{self.path}{'&' if '?' in self.path else '?'}{said}"
        return replace(self, path=path, bare=_request(path, self.headers))


@lru_cache(maxsize=8192)
def target_of(url: str) -> Target:
    """Takes a URL apart.

    Raises:
        ValueError: nobody can be asked there.
    """
    where, _ = without_login(url.strip())
    parts = urlsplit(where)
    host, port = parts.hostname, parts.port
    if parts.scheme not in _DEFAULT_PORTS or not host:
        raise ValueError(f"{without_secrets(url)} is not a URL that starts with http:// or https://")
    host = host.replace("%25", "%", 1)  # before the network of a link-local address, RFC 6874
    if not host.isascii():
        host = host.encode("idna").decode()
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    path = quote(_ALONE.sub("%25", path), safe=_KEPT)
    default = _DEFAULT_PORTS[parts.scheme]
    name = f"[{host.partition('%')[0]}]" if ":" in host else host
    headers = {
        "Host": name if (port or default) == default else f"{name}:{port}",
        "User-Agent": f"air-pipeline/{_version()}",
        "Accept-Encoding": "identity",
        "Connection": "close",
    }
    return Target(where, parts.scheme == "https", host, port or default, path, headers, _request(path, headers))


def _request(path: str, headers: Mapping[str, str]) -> bytes:
    lines = [f"GET {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    if any(map(_NOT_OF_A_HEADER.search, lines)):
        raise ValueError("a header that is to be sent has the end of a line in it")
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


@cache
def _version() -> str:
    return version("air-pipeline")
