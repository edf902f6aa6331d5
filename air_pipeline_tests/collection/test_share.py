"""Which devices a collector may begin, by what the others told: decided with a real store, on a clock that is held."""

import json
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import date
from pathlib import Path

import pytest

from air_pipeline.collection import share as share_module
from air_pipeline.collection.share import SILENT_AFTER_S, Kept, Share, read_share
from air_pipeline.devices.polls import Outcome
from air_pipeline.settings import MAIN, Device, Settings
from air_pipeline.state import StateDirectory
from air_pipeline.storage.sqlite import SqliteStore
from air_pipeline.storage.store import StoreUnavailable, Told
from air_pipeline_tests.days.deployments import poll
from air_pipeline_tests.running_pipeline import now_ms


def settings(**whose: str) -> Settings:
    """Devices, and the collector of each."""
    devices = (Device(name, f"http://{name}/", "UTC", collector=collector) for name, collector in whose.items())
    return Settings("UTC", date(2026, 11, 1), tuple(devices))


BEFORE = settings(hall="edge-1", attic="edge-2", loft="edge-1")
AFTER = settings(hall="edge-2", attic="edge-2", loft="edge-1")


class Store(SqliteStore):
    """A store that others tell of themselves in, and that may be away."""

    away = False

    def last_told(self) -> dict[str, Told]:
        if self.away:
            raise StoreUnavailable("it is away")
        return super().last_told()

    def word(self, name: str, by: Settings | None, ago_s: float = 1.0) -> None:
        """As a collector of that name tells that goes by these settings; of before shares, by none."""
        self.tell(Told(name, now_ms() - round(ago_s * 1000), {"shares": by.shares} if by else {"pending": 0.0}))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with closing(Store(tmp_path / "readings.sqlite")) as store:
        yield store


@pytest.fixture
def elapsed(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time that goes by, in its first place."""
    held = [1000.0]
    monkeypatch.setattr(share_module, "boottime", lambda: held[0])
    return held


def edge_2(tmp_path: Path, by: Settings, last: dict[str, int] | None = None) -> Share:
    share = Share("edge-2", StateDirectory(tmp_path / "edge-2"), last or {}, is_alone=False)
    share.take(by)
    return share


def polled(share: Share) -> list[str]:
    """What it has polled now, as the thread that polls takes it up."""
    change = share.changed()
    assert change is not None
    return [device.id for device in change.settings.devices]


def test_a_device_waits_for_the_one_that_may_still_poll_it(tmp_path: Path, store: Store) -> None:
    store.word("edge-1", BEFORE)
    share = edge_2(tmp_path, BEFORE)
    share.look(store)
    assert polled(share) == ["attic"]
    share.take(AFTER)
    assert polled(share) == ["attic"]  # which goes on meanwhile
    share.look(store)
    assert share.changed() is None
    kept = read_share(StateDirectory(tmp_path / "edge-2"))
    assert kept.waits == {"hall": "edge-1 may still poll it, by another devices.yaml than here"}
    assert 0 <= time.time() - kept.since < SILENT_AFTER_S
    store.word("edge-1", AFTER)
    share.look(store)
    change = share.changed()
    assert change is not None
    assert [device.id for device in change.settings.devices] == ["hall", "attic"]
    assert change.anew == {"hall"}  # the present slot may have been edge-1's
    assert not share.waits


@pytest.mark.parametrize("word", [BEFORE, None])
def test_it_waits_for_any_other_that_goes_by_other_settings_or_is_of_an_older_version(
    tmp_path: Path, store: Store, word: Settings | None
) -> None:
    store.word("edge-1", AFTER)
    store.word("edge-3", word)
    share = edge_2(tmp_path, AFTER)
    share.look(store)
    assert share.left_out == ["attic", "hall"]
    assert polled(share) == []


def test_one_that_told_nothing_for_75_seconds_is_waited_for_no_longer(
    tmp_path: Path, store: Store, elapsed: list[float]
) -> None:
    store.word("edge-1", BEFORE, ago_s=0)
    share = edge_2(tmp_path, AFTER)
    share.look(store)
    elapsed[0] += SILENT_AFTER_S - 5
    share.look(store)
    assert share.waits
    elapsed[0] += 6
    share.look(store)
    assert not share.waits
    assert polled(share) == ["hall", "attic"]


def test_a_clock_that_is_wrong_elsewhere_makes_nobody_wait_for_longer(
    tmp_path: Path, store: Store, elapsed: list[float]
) -> None:
    """A word of the future is as old as it is unchanged here; one that changes is of somebody who runs."""
    store.word("edge-1", BEFORE, ago_s=-3600)
    store.word("edge-3", BEFORE, ago_s=3600)
    share = edge_2(tmp_path, AFTER)
    share.look(store)
    store.word("edge-3", BEFORE, ago_s=3599)
    elapsed[0] += SILENT_AFTER_S + 1
    share.look(store)
    assert "edge-1" not in str(read_share(StateDirectory(tmp_path / "edge-2")).waits)
    assert share.waits
    elapsed[0] += SILENT_AFTER_S + 1
    share.look(store)
    assert not share.waits


def test_a_clock_that_is_minutes_behind_elsewhere_makes_nobody_a_dead_one(
    tmp_path: Path, store: Store, elapsed: list[float]
) -> None:
    """Who hears of it for the first time does not know how old its word is, and listens."""
    store.word("edge-1", BEFORE, ago_s=5 * 60)
    share = edge_2(tmp_path, AFTER)
    share.look(store)
    assert share.waits
    elapsed[0] += SILENT_AFTER_S + 1
    share.look(store)
    assert not share.waits


def test_while_the_store_is_away_own_devices_are_polled_and_others_not_taken(tmp_path: Path, store: Store) -> None:
    store.away = True
    share = edge_2(tmp_path, AFTER, {"attic": 1_000})  # which it polled last before it was started
    share.look(store)
    assert polled(share) == ["attic"]
    assert share.left_out == ["hall"]
    assert "it is away" in read_share(StateDirectory(tmp_path / "edge-2")).waits["hall"]
    store.away = False
    share.look(store)
    assert polled(share) == ["hall", "attic"]


def test_one_alone_polls_at_once_whatever_the_store_says(tmp_path: Path, store: Store) -> None:
    """As ever: what it polled before without a question, what is new after one that nobody has to answer."""
    store.away = True
    alone = Share(MAIN, StateDirectory(tmp_path / "main"), {"hall": 1_000}, is_alone=False)
    alone.take(settings(hall=MAIN, attic=MAIN))
    assert polled(alone) == ["hall"]
    alone.look(store)
    change = alone.changed()
    assert change is not None
    assert (len(change.settings.devices), change.anew) == (2, frozenset())
    assert not (tmp_path / "main").exists()


def test_who_had_others_beside_is_not_alone_before_they_are_known_to_have_gone(
    tmp_path: Path, store: Store, elapsed: list[float]
) -> None:
    """Not by the settings alone, nor after a restart: the others may go by those of before."""
    before = settings(hall="edge-1", attic=MAIN)
    store.word("edge-1", before)
    main = Share(MAIN, StateDirectory(tmp_path), {}, is_alone=False)
    main.take(before)
    main.look(store)
    store.away = True
    share = Share(MAIN, StateDirectory(tmp_path), {"attic": 1_000}, is_alone=False)
    share.take(settings(hall=MAIN, attic=MAIN))
    assert polled(share) == []
    share.look(store)
    assert polled(share) == ["attic"]
    assert share.left_out == ["hall"]
    store.away = False
    share.look(store)
    assert share.waits
    elapsed[0] += SILENT_AFTER_S
    share.look(store)
    assert not share.waits
    assert read_share(StateDirectory(tmp_path)) == Kept()


def test_with_a_store_of_its_own_nobody_is_waited_for(tmp_path: Path, store: Store) -> None:
    store.word("edge-1", BEFORE)
    share = Share("edge-2", StateDirectory(tmp_path / "edge-2"), {}, is_alone=True)
    share.take(AFTER)
    assert polled(share) == ["hall", "attic"]


def test_what_another_has_polled_since_is_not_ones_own_any_more(tmp_path: Path, store: Store) -> None:
    """It was moved away and back while this one was off: by the store, who polled it last is the other."""
    store.word("edge-1", BEFORE)
    store.write([poll(5_000, "hall"), poll(5_000, "attic", outcome=Outcome.OK)])
    share = edge_2(tmp_path, AFTER, {"hall": 4_000, "attic": 5_000})
    share.look(store)
    assert polled(share) == ["attic"]
    assert share.left_out == ["hall"]


def test_what_was_given_away_waits_when_it_comes_back_also_after_a_restart(tmp_path: Path, store: Store) -> None:
    store.away = True
    share = edge_2(tmp_path, AFTER, {"hall": 4_000, "attic": 5_000})
    share.look(store)
    share.take(BEFORE)
    assert polled(share) == ["attic"]
    share.look(store)
    again = edge_2(tmp_path, AFTER, {"hall": 4_000, "attic": 5_000})
    again.look(store)
    assert polled(again) == ["attic"]
    assert again.left_out == ["hall"]


def test_it_is_told_that_a_device_was_let_go_once_nobody_asks_it_any_more(tmp_path: Path, store: Store) -> None:
    share = edge_2(tmp_path, AFTER)
    share.look(store)
    share.changed()
    share.settle(is_done=True)
    assert share.told == AFTER.shares
    share.take(BEFORE)
    assert share.told == ""
    share.settle(is_done=True)  # before the thread that polls has taken it up
    assert share.told == ""
    share.changed()
    share.settle(is_done=False)
    assert share.told == ""
    share.settle(is_done=True)
    assert share.told == BEFORE.shares


def test_settings_that_change_during_a_look_are_looked_at_anew(tmp_path: Path, store: Store) -> None:
    """What was found by those of before says nothing of them."""
    share = edge_2(tmp_path, BEFORE)
    store.word("edge-1", BEFORE)
    look = store.last_told

    def meanwhile() -> dict[str, Told]:
        found = look()
        share.take(AFTER)
        return found

    store.last_told = meanwhile  # type: ignore[method-assign]
    share.look(store)
    assert share.wake.is_set()
    assert share.left_out == ["attic", "hall"]
    store.last_told = look  # type: ignore[method-assign]
    share.look(store)
    assert share.left_out == ["attic", "hall"]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"waits": 1}', '{"given": 3}', '{"since": "long"}'])
def test_whatever_the_file_says_there_is_a_share(tmp_path: Path, text: str) -> None:
    state = StateDirectory(tmp_path)
    state.share.write_text(text)
    assert read_share(state) == Kept()
    state.share.write_text(json.dumps({"given": ["hall"]}))
    assert read_share(state).given == ("hall",)
