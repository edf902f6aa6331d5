"""Names of hosts: which are this machine's own, which a proxy may use, and where the UI may listen.

Belongs here: the names alone, pure. Does not: what else a request must be (`guard`), whether a port is free (`ports`).
"""

import ipaddress
import re
from collections.abc import Iterable
from contextlib import suppress
from typing import ClassVar, NamedTuple

from air_pipeline.running import UpError

BEHIND_PROXY = "AIR_PIPELINE_BEHIND_PROXY"
"""The variable that names proxies, with spaces between."""
_NETLOC = re.compile(r"([a-z0-9_][a-z0-9_.-]{0,252}|\[[0-9a-f:.]{2,45}\])(?::([0-9]{1,5}))?", re.ASCII)


class HostError(UpError):
    """The UI is not offered at such an address or under such a name; the message says what is possible."""

    exit_status: ClassVar[int] = 2


class Netloc(NamedTuple):
    """A host as a request names it, in lower case: `localhost:3000`, `[::1]`.

    Attributes:
        name: as it was given, with brackets or a dot at its end.
        port: empty if none was given.
    """

    name: str
    port: str

    def __str__(self) -> str:
        return f"{self.name}:{self.port}" if self.port else self.name

    @property
    def plain(self) -> str:
        """The name as the allow-list has it."""
        return _plain(self.name)


def read_netloc(text: str) -> Netloc | None:
    """The host and port of a text; None if it is none."""
    found = _NETLOC.fullmatch(text.lower())
    return Netloc(found[1], found[2] or "") if found else None


def is_here(name: str) -> bool:
    """Whether a plain name can only be this machine: no name server can make another host of it."""
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def proxy_names(given: Iterable[str]) -> frozenset[str]:
    """The names under which a proxy passes requests on, as the allow-list has them.

    Raises:
        HostError: one is no name of a host.
    """
    return frozenset(map(_proxy_name, given))


def _proxy_name(given: str) -> str:
    text = given.strip().lower()
    with suppress(UnicodeError):  # letters that are not ASCII travel in another spelling
        text = text.encode("idna").decode("ascii")
    found = read_netloc(f"[{text}]" if text.count(":") > 1 and not text.startswith("[") else text)
    if found is None or found.port:
        raise HostError(
            f"--behind-proxy {given!r} is no name of a host; give what stands between https:// and the next : or / of"
            " the proxy's address, such as air.example.org (in AIR_PIPELINE_BEHIND_PROXY several, with spaces between)"
        )
    return found.plain


def check_host(host: str, port: int, names: frozenset[str], machine: str) -> None:
    """Makes sure that the UI, which has no login, is not offered to a network without a proxy that has one.

    Args:
        host: the address at which it is to listen.
        port: its port.
        names: those of `--behind-proxy`.
        machine: what this machine is called.

    Raises:
        HostError: it would be.
    """
    if not names and not is_here(_plain(host)):
        raise HostError(
            f"the UI has no login, so it is not offered at {host or 'every address'}. For yourself, leave it at"
            f" 127.0.0.1, and where you sit: ssh -L {port}:127.0.0.1:{port} {machine} — for others, put a proxy with a"
            " login in front of it and name it: --behind-proxy air.example.org (docs/operating.md)"
        )


def url_of(host: str, port: int) -> str:
    """Where the UI that listens at an address is reached from this machine."""
    host = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 -- asked for, not bound
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def _plain(name: str) -> str:
    """A name in one spelling: without brackets, the dot at its end, or another way to write an address."""
    name = name.removeprefix("[").removesuffix("]") if name.startswith("[") else name.removesuffix(".")
    try:
        return str(ipaddress.ip_address(name))
    except ValueError:
        return name
