"""Names of hosts: which a proxy may use, and where the UI may listen.

Belongs here: the names alone, pure. Does not: what else a request must be (`guard`), whether a port is free (`ports`).
"""

from collections.abc import Iterable
from contextlib import suppress
from typing import ClassVar

from air_pipeline.netloc import is_here, plain_name, read_netloc
from air_pipeline.running import UpError

BEHIND_PROXY = "AIR_PIPELINE_BEHIND_PROXY"
"""The variable that names proxies, with spaces between."""


class HostError(UpError):
    """The UI is not offered at such an address or under such a name; the message says what is possible."""

    exit_status: ClassVar[int] = 2


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
    if not names and not is_here(plain_name(host)):
        raise HostError(
            f"the UI has no login, so it is not offered at {host or 'every address'}. For yourself, leave it at"
            f" 127.0.0.1, and where you sit: ssh -L {port}:127.0.0.1:{port} {machine} — for others, put a proxy with a"
            " login in front of it and name it: --behind-proxy air.example.org (docs/operating.md)"
        )


def url_of(host: str, port: int) -> str:
    """Where the UI that listens at an address is reached from this machine."""
    host = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 -- asked for, not bound
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"
