"""Saying who asks: the answers to a device's challenge, basic (RFC 7617) and digest (RFC 7616).

Belongs here: from a challenge to a header, and the challenge of each device, kept so that its next poll needs none.
Does not: the exchange (`client`), where passwords come from (`settings`).
"""

import base64
import hashlib
import re
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from threading import Lock
from urllib.parse import unquote
from urllib.request import parse_http_list, parse_keqv_list

_SCHEMES = re.compile(r",\s*(?=(?:basic|digest)\b)", re.IGNORECASE)
_QUOTED, _ESCAPED = re.compile(r'["\\]'), r"\\\g<0>"
_HASHES: Mapping[str, Callable[[bytes], "hashlib._Hash"]] = {
    "MD5": lambda data: hashlib.md5(data, usedforsecurity=False),  # the devices' choice
    "SHA-256": hashlib.sha256,
}


@dataclass(slots=True)
class Challenge:
    """What a device asked for: digest with these fields, or basic without any; and how often it was answered."""

    fields: Mapping[str, str] = field(default_factory=dict)
    answered: int = 0


class Challenges:
    """The last challenge of each device. Safe from several threads."""

    def __init__(self) -> None:
        """Knows none yet."""
        self._lock = Lock()
        self._last: dict[tuple[str, str], Challenge] = {}

    def take(self, url: str, user: str, headers: Iterable[str]) -> bool:
        """Takes note of the challenges in the headers of an answer; whether one of them can be answered."""
        found = next((one for header in headers for one in _SCHEMES.split(header) if _is_known(one)), None)
        with self._lock:
            if found is None:
                self._last.pop((url, user), None)
            else:
                scheme, _, rest = found.strip().partition(" ")
                fields = _fields(rest) if scheme.lower() == "digest" else {}
                self._last[url, user] = Challenge(fields)
        return found is not None

    def authorization(self, url: str, user: str, password: str, path: str) -> str | None:
        """The header for a GET of a path, by the last challenge of this address; None if there is none."""
        with self._lock:
            challenge = self._last.get((url, user))
            if challenge is None:
                return None
            challenge.answered += 1
            number = challenge.answered
        if not challenge.fields:
            return basic(user, password)
        return digest(challenge.fields, user, password, path, number, secrets.token_hex(8))


def basic(user: str, password: str) -> str:
    """The header of a login that is sent as it is."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def without_login(url: str) -> tuple[str, tuple[str, str] | None]:
    """An address without the user and password in it, and these."""
    scheme, slashes, rest = url.partition("://")
    place = re.split(r"[/?#]", rest, maxsplit=1)[0]
    login, there, _ = place.rpartition("@")
    if not (slashes and there):
        return url, None
    user, _, password = login.partition(":")
    return f"{scheme}://{rest[len(login) + 1 :]}", (unquote(user), unquote(password))


def digest(fields: Mapping[str, str], user: str, password: str, path: str, number: int, cnonce: str) -> str:
    """The header that proves the password for a GET without saying it.

    Args:
        fields: those of the challenge.
        user: who asks.
        password: what is proved.
        path: with the query.
        number: how often this challenge is answered by now.
        cnonce: any text of ours.
    """
    algorithm = fields.get("algorithm", "MD5")

    def hashed(*parts: str) -> str:
        return _HASHES[algorithm.upper().removesuffix("-SESS")](":".join(parts).encode("latin-1")).hexdigest()

    # A header is bytes, and a character each: those of the device as they came, ours as UTF-8.
    user, password = user.encode().decode("latin-1"), password.encode().decode("latin-1")
    nonce, realm, count = fields["nonce"], fields.get("realm", ""), f"{number:08x}"
    secret = hashed(user, realm, password)
    if algorithm.upper().endswith("-SESS"):
        secret = hashed(secret, nonce, cnonce)
    said = {"username": user, "realm": realm, "nonce": nonce, "uri": path}
    bare = {"algorithm": algorithm} if "algorithm" in fields else {}
    if "qop" in fields:
        said["response"] = hashed(secret, nonce, count, cnonce, "auth", hashed("GET", path))
        said["cnonce"] = cnonce
        bare |= {"qop": "auth", "nc": count}
    else:
        said["response"] = hashed(secret, nonce, hashed("GET", path))
    if "opaque" in fields:
        said["opaque"] = fields["opaque"]
    quoted = [f'{name}="{_QUOTED.sub(_ESCAPED, value)}"' for name, value in said.items()]
    return "Digest " + ", ".join([*quoted, *(f"{name}={value}" for name, value in bare.items())])


def _is_known(challenge: str) -> bool:
    scheme, _, rest = challenge.strip().partition(" ")
    if scheme.lower() != "digest":
        return scheme.lower() == "basic"
    fields = _fields(rest)
    ways = [way.strip() for way in fields.get("qop", "auth").split(",")]
    is_hash = fields.get("algorithm", "MD5").upper().removesuffix("-SESS") in _HASHES
    return "nonce" in fields and is_hash and "auth" in ways


def _fields(text: str) -> dict[str, str]:
    return {name.lower(): value for name, value in parse_keqv_list(_pairs(text)).items()}


def _pairs(text: str) -> list[str]:
    return [pair for pair in parse_http_list(text) if "=" in pair and not pair.endswith("=")]
