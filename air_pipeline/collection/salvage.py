"""What can be read of damaged outboxes comes back into the outbox, a few pages at a time, while polls go on.

Belongs here: which rows of a damaged file are polls. Does not: how pages are read (`storage.sqlite_pages`), how a file
is set aside (`setting_aside`).

A poll that was delivered already may come back: to a store, writing it twice is the same write.
"""

import logging
from contextlib import closing
from dataclasses import replace

from air_pipeline.collection.outbox import Outbox
from air_pipeline.collection.outbox_rows import RowUnreadable, poll_of
from air_pipeline.collection.setting_aside import Aside, Remembered
from air_pipeline.storage.sqlite_pages import Pages, Row

log = logging.getLogger(__name__)

_PAGES_AT_ONCE = 256
_MOST_WAITING = 20_000
"""While more waits, no more is fetched: the outbox does not grow by what is safe in another file."""
_UNREADABLE = "it comes from a damaged outbox, and the row cannot be read: "


class Salvage:
    """Brings back what is in the damaged files beside an outbox; for one thread.

    What it does is done with each call: killed, it goes on where it was.
    """

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self._unusable: set[str] = set()

    def step(self) -> bool:
        """Reads some pages of the first damaged file that is not done; whether there may be more to do now.

        Raises:
            OutboxError: the outbox cannot be used.
        """
        left = [one for one in self._outbox.asides() if not one.is_done and one.file not in self._unusable]
        if not left or self._outbox.status().pending > _MOST_WAITING:
            return False
        try:
            with closing(Pages(self._outbox.path.with_name(left[0].file))) as pages:
                self._take(left[0], pages)
        except OSError as error:
            log.error("%s cannot be read; what is in it waits for the next start: %s", left[0].file, error)
            self._unusable.add(left[0].file)
        return True

    def _take(self, aside: Aside, pages: Pages) -> None:
        end = min(aside.next_page + _PAGES_AT_ONCE, pages.count + 1)
        found = _Found()
        for number in range(aside.next_page, end):
            for row in pages.rows(number):
                found.take(row)
        saved = aside.saved + len(found.polls) + len(found.quarantined)
        aside = replace(aside, next_page=end, saved=saved, is_done=end > pages.count)
        self._outbox.recall(found.remembered)
        self._outbox.save(aside, found.polls, found.quarantined)
        if aside.is_done:
            log.warning("%d polls were found in %s; remove it when you need it no more", aside.saved, aside.file)


class _Found:
    """What rows are, by their form."""

    def __init__(self) -> None:
        self.polls: list[tuple[int, str]] = []
        self.quarantined: list[tuple[int, str, str]] = []
        self.remembered = Remembered()

    def take(self, row: Row) -> None:
        match row:
            case (None, int(slot), str(text)):
                self._take_poll(slot, text)
            case (None, int(slot), str(text), str(reason), float() | int()):
                self.quarantined.append((slot, text, reason))
            case _:
                self.remembered.take(row)

    def _take_poll(self, slot: int, text: str) -> None:
        try:
            poll_of(text)
        except RowUnreadable as error:
            self.quarantined.append((slot, text, f"{_UNREADABLE}{error}"))
        else:
            self.polls.append((slot, text))
