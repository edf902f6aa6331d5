"""The shelf in an object store: S3, or what speaks as it does (MinIO, Ceph, …), by s3fs.

Belongs here: the verbs as requests, and what may go wrong with these, in words. Does not: what a shelf is (`shelf`).

An object is visible once it is whole: a file is staged on this machine and put there by one request, a large one by one
upload in parts that counts when it is completed. Listings are of prefixes: a pattern would cost requests for each day.
Where the store is and who asks is said to the libraries by their own variables (AWS_*, FSSPEC_S3_*).
"""

import errno
import hashlib
import mimetypes
import os
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache
from io import RawIOBase
from pathlib import Path
from typing import Any, BinaryIO, ParamSpec, TypeVar, cast

from botocore.exceptions import BotoCoreError, NoCredentialsError, PartialCredentialsError
from fsspec.exceptions import FSTimeoutError
from s3fs import S3FileSystem
from s3fs.utils import FileExpired

from air_pipeline.places import ObjectAddress
from air_pipeline.replacing import staged_file
from air_pipeline.storage.shelf import Shelf, ShelfError, ShelfUnavailable, Stamp, day_of, place_of

PART_BYTES = 32 << 20
"""Of an upload in parts; s3fs begins one at twice that."""
CONNECT_WITHIN_S = 5.0
READ_WITHIN_S = 20.0
"""Each twice at most: a tick of the schedule and a check have to say that the store is away, and not to wait for it."""
_BLOCK_BYTES = 8 << 20
"""Read at once where somebody reads on: most days whole."""
_PARQUET = "application/vnd.apache.parquet"
_NO_BUCKET = "NoSuchBucket"
_NO_ANSWER_OF_S3 = "404"  # which says more of what it has not
_LATER = {408, 429}  # of HTTP: too slow, too much at once
_VARIABLES = "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
_P = ParamSpec("_P")
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class ObjectShelf:
    """The objects below an address; see `shelf.Shelf` for the verbs."""

    address: ObjectAddress

    def place(self, day: date | None, name: str) -> ObjectAddress:
        """Where a file is, or would be."""
        return self.address / place_of(day, name)

    def staged(self, day: date | None, name: str) -> AbstractContextManager[tuple[Path, int]]:
        """See `Shelf`; where temporary files are (TMPDIR). What a killed writer left there is removed by the next."""
        key = self._key(day, name)
        short = f"{hashlib.sha256(key.encode()).hexdigest()[:16]}-{name.rpartition('/')[2]}"
        return staged_file(_own_directory() / short, mode=0o600)

    def put_file(self, day: date | None, name: str, local: Path) -> None:
        """See `Shelf`."""
        kind = mimetypes.guess_type(name)[0] or _PARQUET
        self._ask(_system().put_file, str(local), self._key(day, name), chunksize=PART_BYTES, ContentType=kind)

    @contextmanager
    def open(self, day: date | None, name: str) -> Iterator[BinaryIO]:
        """See `Shelf`; reads that another object follows meanwhile fail, and do not mix the two."""
        file = self._ask(_system().open, self._key(day, name), "rb", block_size=_BLOCK_BYTES)
        with _ObjectFile(file, self._ask) as opened:
            yield cast("BinaryIO", opened)

    def head(self, day: date | None, name: str, size: int | None = None) -> bytes:
        """See `Shelf`: one request."""
        part = {} if size is None else {"start": 0, "end": size}
        return bytes(self._ask(_system().cat_file, self._key(day, name), max_concurrency=1, **part))

    def days(self, name: str) -> list[date]:
        """See `Shelf`: a request for a thousand days."""
        return sorted(self.listed(name))

    def stamp(self, day: date | None, name: str) -> Stamp | None:
        """See `Shelf`: one request, where there is such an object."""
        with suppress(FileNotFoundError):
            info = self._ask(_system().info, self._key(day, name))
            if info["type"] != "file":
                return None
            if not info.get("LastModified"):
                raise self._no_object_store("it says 200 and nothing of the object")
            return _stamp(info)
        return None

    def at_once(self) -> Shelf:
        """See `Shelf`."""
        return _Listed(self)

    def listed(self, name: str) -> dict[date, Stamp]:
        """The days that have such a file, with its stamp."""
        folder, file = name.split("/")
        below = f"{self._root}/{folder}"
        found = {}
        for path, info in self._ask(_system().find, below, detail=True).items():
            match path.removeprefix(f"{below}/").split("/"):
                case [one, name_there] if name_there == file and (day := day_of(one)):
                    found[day] = _stamp(info)
        return found

    @property
    def _root(self) -> str:
        return self.address.url.partition("://")[2]

    def _key(self, day: date | None, name: str) -> str:
        return f"{self._root}/{place_of(day, name)}"

    def _ask(self, verb: Callable[_P, _T], *arguments: _P.args, **options: _P.kwargs) -> _T:
        """What a request brings.

        Raises:
            FileNotFoundError: there is no such object.
            OSError: it was replaced while it was read.
            ShelfError: the store refuses.
            ShelfUnavailable: it does not answer.
        """
        try:
            return verb(*arguments, **options)
        except FileExpired as error:
            raise OSError(error.errno, "it was replaced while it was read; read it again") from error
        except FileNotFoundError as error:
            if _code(error) == _NO_BUCKET:
                raise ShelfError(
                    f"{self.address}: there is no bucket {self._root.partition('/')[0]!r}; make it, or set"
                    " AIR_PIPELINE_DATA to one that is there"
                ) from None
            if _code(error) == _NO_ANSWER_OF_S3:
                raise self._no_object_store(_said(error)) from None
            raise
        except (PermissionError, NoCredentialsError, PartialCredentialsError) as error:
            raise ShelfError(
                f"{self.address} may not be used ({_said(error)}); set {_VARIABLES}, to somebody who may list its"
                " bucket, and read and write below it"
            ) from None
        except FSTimeoutError:
            raise self._away("no answer in time") from None
        except BotoCoreError as error:
            raise self._away(_said(error)) from None
        except OSError as error:
            status = _status(error)
            if status is None or status >= 500 or status in _LATER:  # noqa: PLR2004 -- of HTTP: the server's fault
                raise self._away(_said(error)) from None
            raise ShelfError(
                f"{self.address} refuses what was asked ({_said(error)}); see to AIR_PIPELINE_DATA, the region and the"
                " endpoint (AWS_DEFAULT_REGION, FSSPEC_S3_ENDPOINT_URL)"
            ) from None

    def _no_object_store(self, why: str) -> ShelfError:
        return ShelfError(f"{self.address}: what answers is no object store ({why}); see to FSSPEC_S3_ENDPOINT_URL")

    def _away(self, why: str) -> ShelfUnavailable:
        return ShelfUnavailable(
            f"{self.address} does not answer ({why}); is the object store up, and FSSPEC_S3_ENDPOINT_URL or"
            " AWS_DEFAULT_REGION set for it?"
        )


@dataclass(frozen=True, slots=True)
class _Listed:
    """The shelf as listings show it, each made when a question first needs it."""

    shelf: ObjectShelf
    _listings: dict[str, dict[date, Stamp]] = field(default_factory=dict, compare=False, repr=False)

    def __getattr__(self, verb: str) -> Any:  # noqa: ANN401 -- all other verbs are those of the shelf itself
        return getattr(self.shelf, verb)

    def days(self, name: str) -> list[date]:
        """See `Shelf`."""
        return sorted(self._listed(name))

    def stamp(self, day: date | None, name: str) -> Stamp | None:
        """See `Shelf`."""
        return self.shelf.stamp(day, name) if day is None else self._listed(name).get(day)

    def at_once(self) -> Shelf:
        """See `Shelf`."""
        return cast("Shelf", self)

    def _listed(self, name: str) -> dict[date, Stamp]:
        if name not in self._listings:
            self._listings[name] = self.shelf.listed(name)
        return self._listings[name]


class _ObjectFile(RawIOBase):
    """An object that is read part by part, whose errors are those of its shelf."""

    def __init__(self, file: Any, ask: Callable[..., Any]) -> None:  # noqa: ANN401 -- s3fs has no types
        self._file = file
        self._ask = ask

    def read(self, size: int | None = -1, /) -> bytes:
        """The next bytes."""
        return bytes(self._ask(self._file.read, -1 if size is None else size))

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Goes to a position."""
        return int(self._file.seek(offset, whence))

    def tell(self) -> int:
        """The position."""
        return int(self._file.tell())

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def close(self) -> None:
        """Gives back what was read ahead."""
        self._file.close()
        super().close()


def _own_directory() -> Path:
    """A directory for temporary files that is this user's alone.

    Raises:
        OSError: there is something else of that name.
    """
    path = Path(tempfile.gettempdir()) / f"air_pipeline-{os.getuid()}"
    with suppress(FileExistsError):
        path.mkdir(0o700)
    seen = path.lstat()
    if not stat.S_ISDIR(seen.st_mode) or seen.st_uid != os.getuid():
        raise PermissionError(errno.EPERM, "it is not this user's; set TMPDIR to a directory that is", str(path))
    return path


def _system() -> S3FileSystem:
    return _system_of(os.getpid())


@lru_cache(maxsize=1)
def _system_of(process: int) -> S3FileSystem:
    """One for all threads of a process: it has a thread of its own for its connections, which no child inherits."""
    del process
    system = S3FileSystem(
        use_listings_cache=False,  # other machines write too
        skip_instance_cache=True,
        config_kwargs={
            "connect_timeout": CONNECT_WITHIN_S,
            "read_timeout": READ_WITHIN_S,
            "retries": {"max_attempts": 1},
            "user_agent_extra": "air_pipeline",
        },
    )
    system.retries = 1  # those of botocore do
    return system


def _stamp(info: dict[str, Any]) -> Stamp:
    return Stamp(int(info["size"]), info["LastModified"].timestamp(), str(info["ETag"]).strip('"'))


def _response(error: BaseException) -> dict[str, Any]:
    """What the store said, where s3fs made an error of Python's of it."""
    return getattr(error.__cause__, "response", None) or {}


def _code(error: BaseException) -> str:
    return str(_response(error).get("Error", {}).get("Code", ""))


def _status(error: BaseException) -> int | None:
    status: int | None = _response(error).get("ResponseMetadata", {}).get("HTTPStatusCode")
    return status


def _said(error: BaseException) -> str:
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__
