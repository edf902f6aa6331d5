"""The page of a day, `daily_report`: where it is, how it is replaced, what its head says of how it was made.

Belongs here: the file. Does not: what the page shows (`reports`).
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from html.parser import HTMLParser

from air_pipeline.places import DataPlace
from air_pipeline.storage.day_files import DayMetadata, DayNotBuilt, DayUnreadable, TableError
from air_pipeline.storage.shelf import Shelf, Stamp, shelf_at

PAGE = "daily_report"
_NAME = f"{PAGE}/{PAGE}.html"
_HEAD_BYTES = 65_536
"""More than the `<meta>` elements take, which come first in the head."""


@dataclass(frozen=True, slots=True)
class PageFile:
    """A handle of the page of one local date; nothing is opened until asked.

    Attributes:
        day: the local date.
        shelf: where it stands.
    """

    day: date
    shelf: Shelf

    @property
    def name(self) -> str:
        """Its name on the shelf."""
        return _NAME

    @property
    def path(self) -> DataPlace:
        """Where the file is, or would be."""
        return self.shelf.place(self.day, _NAME)

    @property
    def exists(self) -> bool:
        """Whether there is a page."""
        return self.stamp() is not None

    def stamp(self) -> Stamp | None:
        """What changes whenever the file is replaced; None where there is none."""
        return self.shelf.stamp(self.day, _NAME)

    def read(self) -> bytes:
        """All of it.

        Raises:
            OSError, TableError: it cannot be read.
        """
        return self.shelf.head(self.day, _NAME)

    def metadata(self, *, of_any_columns: bool = True) -> DayMetadata:
        """How the page was made, from the `<meta>` elements of its head; it has no columns of its own.

        Raises:
            DayNotBuilt: there is no page.
            DayUnreadable: it cannot be read, or was not written by us.
        """
        del of_any_columns
        try:
            head = self.shelf.head(self.day, _NAME, _HEAD_BYTES).decode("utf-8", "replace")
        except FileNotFoundError:
            raise DayNotBuilt(f"{self.day} has no {PAGE} yet ({self.path} is missing); {self._remedy()}") from None
        except OSError as error:
            raise DayUnreadable(f"{self.path} cannot be read ({error}); {self._remedy()}") from error
        texts = _MetaReader()
        texts.feed(head)
        try:
            return DayMetadata.from_texts(texts.found)
        except (KeyError, TypeError, ValueError) as error:
            raise DayUnreadable(f"{self.path} was not written by air_pipeline; {self._remedy()}") from error

    def publish(self, html: str) -> int:
        """Puts a page in its place, whole, and gives its size in bytes; a reader sees the old one or the new one.

        Raises:
            TableError: it cannot be written.
        """
        with self.staged(html) as size:
            return size

    @contextmanager
    def staged(self, html: str) -> Iterator[int]:
        """A page that is on the disk, and put in its place at the end of the block, unless that fails; its size.

        Raises:
            TableError: it cannot be written.
        """
        content = html.encode("utf-8")
        try:
            with self.shelf.staged(self.day, _NAME) as (partial, descriptor):
                partial.write_bytes(content)
                os.fsync(descriptor)
                yield len(content)
                self.shelf.put_file(self.day, _NAME, partial)
        except OSError as error:
            raise TableError(
                f"{PAGE} of {self.day} cannot be written ({error}); see to rights and space there"
            ) from error

    def _remedy(self) -> str:
        return f"build it with: air-pipeline build --from {self.day} --to {self.day}"


class _MetaReader(HTMLParser):
    """Gathers the named `<meta>` elements."""

    def __init__(self) -> None:
        super().__init__()
        self.found: dict[str, str] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Called at each element's start."""
        given = dict(attrs)
        if tag == "meta" and given.get("name"):
            self.found.setdefault(str(given["name"]), given.get("content") or "")


def page_file(data: DataPlace | Shelf, day: date) -> PageFile:
    """The handle of the page of a local date at a place."""
    return PageFile(day, shelf_at(data))


def days_with_page(data: DataPlace | Shelf) -> list[date]:
    """The local dates that have a page, in order."""
    return shelf_at(data).days(_NAME)
