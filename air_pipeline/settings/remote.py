"""A file of settings in an object store, at `s3://bucket/devices.yaml`, which all machines read.

Belongs here: its text, and what changes with it. Does not: files of this machine, what is in either (`file`).

Whoever asks within a few seconds gets what was read last, so that a text is always that of its stamp, and who looks
every second makes few requests. Nothing is ever written there.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any, NamedTuple

from air_pipeline.settings import SettingsError

KEEP_S = 10.0
"""How long what was read counts as what there is."""
LARGEST_BYTES = 10_000_000
"""Ten thousand devices have a tenth of it."""
_CONNECT_WITHIN_S, _ANSWER_WITHIN_S = 5, 10
_ADDRESS = re.compile(r"s3:/+(.+)")  # of a path, too: it swallows a slash


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """An object, by its address."""

    address: str

    def __str__(self) -> str:
        return self.address

    @property
    def name(self) -> str:
        """The last part of the address."""
        return self.address.rpartition("/")[2]

    def beside(self, name: str) -> "RemoteFile":
        """Another one with the same address but for the last part."""
        return RemoteFile(f"{self.address.rpartition('/')[0]}/{name}")

    def exists(self) -> bool:
        """Whether it is there; so it may be where the store does not answer."""
        return not isinstance(_now(self.address).error, FileNotFoundError)

    def stamp(self) -> str | None:
        """What changes whenever the object does; None where there is none, or the store does not answer."""
        return _now(self.address).stamp

    def content(self) -> bytes:
        """What is in it.

        Raises:
            FileNotFoundError: there is no such object.
            OSError: it cannot be read.
            SettingsError: this installation cannot read any.
        """
        found = _now(self.address)
        if found.error is not None:
            raise found.error
        return found.content


ConfigFile = Path | RemoteFile
"""Where `devices.yaml` is, and `marks.yaml` beside it."""


def remote_file(text: str) -> RemoteFile | None:
    """The object that an address names; None of what is no such address."""
    found = _ADDRESS.fullmatch(text)
    return RemoteFile(f"s3://{found[1]}") if found else None


class _Read(NamedTuple):
    until: float
    stamp: str | None = None
    content: bytes = b""
    error: OSError | None = None


_READ: dict[str, _Read] = {}


def _now(address: str) -> _Read:
    """What there is at an address, or was a moment ago."""
    last = _READ.get(address)
    if last is None or monotonic() >= last.until:
        last = _READ[address] = _read(address, last)
    return last


def _read(address: str, last: _Read | None) -> _Read:
    system, path = _opened(address)
    try:
        info = system.info(path)
        stamp = str(info.get("ETag") or system.ukey(path))
        if last is not None and last.stamp == stamp:
            return last._replace(until=monotonic() + KEEP_S)
        content = system.cat_file(path) if info["size"] <= LARGEST_BYTES else None
    except OSError as error:
        return _Read(monotonic() + KEEP_S, error=error)
    except Exception as error:  # noqa: BLE001 - what is below raises its own where nobody listens or no key is known
        return _Read(monotonic() + KEEP_S, error=OSError(" ".join(str(error).split()) or type(error).__name__))
    if content is None:
        return _Read(monotonic() + KEEP_S, error=OSError(f"it is larger than {LARGEST_BYTES // 1_000_000} MB"))
    return _Read(monotonic() + KEEP_S, stamp, content)


def _opened(address: str) -> tuple[Any, str]:
    try:
        # With aiohttp and botocore, half a second: only who keeps settings there pays for it.
        from s3fs import S3FileSystem
    except ImportError:
        raise SettingsError(
            f"{address}: what reads object stores is an extra; install it: pip install 'air-pipeline[s3]'"
        ) from None
    within = {"connect_timeout": _CONNECT_WITHIN_S, "read_timeout": _ANSWER_WITHIN_S, "retries": {"max_attempts": 1}}
    system = S3FileSystem(use_listings_cache=False, config_kwargs=within)
    system.retries = 1  # its own, around each request
    return system, address.removeprefix("s3://")
