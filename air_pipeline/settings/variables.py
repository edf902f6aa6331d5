"""What `devices.yaml` leaves to the environment and to files: parts of addresses, passwords, what headers say.

Belongs here: from a name to what it says, and which values may be left so. Does not: other kinds of value (`values`).
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated
from urllib.parse import quote

from pydantic import BeforeValidator

from air_pipeline.settings.values import VARIABLE, is_address, shown

_VARIABLES = re.compile(r"\$([A-Za-z_][A-Za-z0-9_]*)")
_FILE = "file:"
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")  # RFC 9110, 5.6.2
_OUR_HEADERS = frozenset({"host", "connection", "content-length", "transfer-encoding", "accept-encoding", "expect"})


def with_variables(url: str, variables: Mapping[str, str]) -> str:
    """A device's address with what the environment says of each `$NAME` in it: quoted, unless it is the whole address.

    Raises:
        ValueError: one is not set, or makes no address; the message has its name and not what it says.
    """

    def said(found: re.Match[str]) -> str:
        value = variables.get(found[1], "").strip()
        if not value:
            raise ValueError(
                f"{found[0]} of the environment is not set; set it and start again, or write %24 for a $ that is meant"
            )
        return value if found[0] == url else quote(value, safe="")

    filled = _VARIABLES.sub(said, url)
    if filled != url and not (filled.isprintable() and is_address(filled)):
        raise ValueError(
            "is no address with what the environment says of its $NAME; set that to http://192.168.1.32/circumstances"
        )
    return filled


def said_by(value: str, variables: Mapping[str, str], *, ascii_alone: bool = False) -> str:
    """What `$NAME` of the environment or `file:` says, else the value itself.

    Raises:
        ValueError: it says nothing that can be sent; the message has the name and not what it says.
    """
    if VARIABLE.fullmatch(value):
        found = variables.get(value[1:], "").strip()
        if not found:
            raise ValueError(f"{value} of the environment is not set; set it and start again")
    elif value.startswith(_FILE):
        try:
            found = Path(value.removeprefix(_FILE)).expanduser().read_text(encoding="utf-8").strip()
        except (OSError, RuntimeError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) and error.strerror else "it is no text"
            raise ValueError(f"{value} cannot be read ({why}); make it a file that this user may read") from None
    else:
        return value
    if not found.isprintable() or not found or (ascii_alone and not found.isascii()):
        raise ValueError(f"{value} says nothing on one line that can be sent; set it again")
    return found


def _secret(value: object) -> str:
    if not isinstance(value, str) or not (VARIABLE.fullmatch(value) or value.startswith(_FILE)):
        raise ValueError(
            "does not stand in this file; name a variable, $STATION_PASSWORD, or a file, file:/etc/station"
        )
    return value


def _header_name(value: object) -> str:
    if not isinstance(value, str) or not _HEADER.fullmatch(value):
        raise ValueError(f"{shown(value)} is no name of a header; write it as X-Api-Key")
    if value.lower() in _OUR_HEADERS:
        raise ValueError(f"{value} is set by air_pipeline itself; leave it out, or say who asks under auth")
    return value


def _header_value(value: object) -> str:
    if not isinstance(value, str) or not value.strip() or not value.isascii() or not value.isprintable():
        raise ValueError("is not a text in ASCII; write one on one line in quotes, or name a variable or a file: $KEY")
    return value


Secret = Annotated[str, BeforeValidator(_secret)]
HeaderName = Annotated[str, BeforeValidator(_header_name)]
HeaderValue = Annotated[str, BeforeValidator(_header_value)]
