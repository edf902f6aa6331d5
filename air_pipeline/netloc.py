"""The host that a request names: reading it, and telling whether it can only be this machine.

Belongs here: what holds for every server of ours. Does not: which other names the UI answers to (`running.hosts`).
"""

import ipaddress
import re
from typing import NamedTuple

_NETLOC = re.compile(r"([a-z0-9_][a-z0-9_.-]{0,252}|\[[0-9a-f:.]{2,45}\])(?::([0-9]{1,5}))?", re.ASCII)


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
        return plain_name(self.name)


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


def plain_name(name: str) -> str:
    """A name in one spelling: without brackets, the dot at its end, or another way to write an address."""
    name = name.removeprefix("[").removesuffix("]") if name.startswith("[") else name.removesuffix(".")
    try:
        return str(ipaddress.ip_address(name))
    except ValueError:
        return name
