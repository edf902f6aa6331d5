"""When the clock is believed: the decision alone, and along made-up lives of machines."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from air_pipeline.collection.believing import (
    FAR_MS,
    HOLD_S,
    OLD_CLOCK_MS,
    Doubt,
    Moment,
    Reason,
    decide,
)
from air_pipeline.collection.schedule import next_slot
from air_pipeline.settings import Device

SLOT = 1_780_000_000_000
MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
START = SLOT - 30 * DAY
NOW = Moment(SLOT, 100.0, "boot", is_kept=False, newest=SLOT - 10_000, start=START, longest_ms=10_000)


def later(moment: Moment, seconds: float, step_ms: int = 0) -> Moment:
    """So much later, the clock set by so much meanwhile."""
    clock = moment.clock_ms + round(seconds * 1000) + step_ms
    return replace(moment, running_s=moment.running_s + seconds, clock_ms=clock)


@pytest.mark.parametrize("is_kept", [True, False, None])
def test_a_clock_that_goes_on_from_the_last_slot_is_believed(is_kept: bool | None) -> None:
    decision = decide(replace(NOW, is_kept=is_kept), None)
    assert decision.doubt is None
    assert decision.may_begin(SLOT)


@pytest.mark.parametrize("is_kept", [False, None])
@pytest.mark.parametrize(
    ("clock_ms", "newest", "reason", "against"),
    [
        (SLOT - 20 * MINUTE, SLOT, Reason.BEHIND, SLOT),
        (12_000, SLOT, Reason.BEHIND, SLOT),
        (12_000, None, Reason.BEFORE_START, START),
        (START - 1, None, Reason.BEFORE_START, START),
        (SLOT + DAY + 1, SLOT, Reason.AHEAD, SLOT),
        (SLOT + 3650 * DAY, SLOT, Reason.AHEAD, SLOT),
    ],
)
def test_slots_are_held_where_something_contradicts_a_clock_that_is_not_kept(
    is_kept: bool | None, clock_ms: int, newest: int | None, reason: Reason, against: int
) -> None:
    now = replace(NOW, clock_ms=clock_ms, newest=newest, is_kept=is_kept)
    decision = decide(now, None)
    assert decision.doubt is not None
    assert (decision.doubt.reason, decision.doubt.against) == (reason, against)
    assert decision.is_holding
    assert not decision.may_begin(clock_ms)
    assert decide(replace(now, is_kept=True), decision.doubt).may_begin(clock_ms)


@pytest.mark.parametrize("clock_ms", [SLOT - 10_000, SLOT + DAY, START, SLOT + 3650 * DAY])
def test_the_first_poll_ever_is_only_held_back_by_start(clock_ms: int) -> None:
    assert decide(replace(NOW, clock_ms=clock_ms, newest=None), None).may_begin(clock_ms)


def test_what_is_a_longest_interval_before_the_newest_slot_is_no_contradiction() -> None:
    """A device may still be due in a slot before one that another has begun."""
    edge = replace(NOW, newest=SLOT + HOUR, longest_ms=HOUR)
    assert decide(edge, None).may_begin(SLOT)
    assert not decide(edge, None).may_begin(SLOT - 1)
    assert decide(replace(edge, clock_ms=SLOT - 1), None).is_holding


def test_a_kept_clock_forgets_the_slots_of_a_wrong_one_and_no_others() -> None:
    decision = decide(replace(NOW, is_kept=True, newest=SLOT + 3650 * DAY), None)
    assert decision.may_begin(SLOT)
    assert SLOT + 10_000 < decision.forget_after < SLOT + 5 * MINUTE


def test_after_ten_minutes_slots_follow_the_clock_there_is_and_the_doubt_stays() -> None:
    now = replace(NOW, clock_ms=12_000)
    doubt = decide(now, None).doubt
    before, after = later(now, HOLD_S - 0.1), later(now, HOLD_S)
    assert decide(before, doubt).is_holding
    decision = decide(after, decide(before, doubt).doubt)
    assert decision.may_begin(after.clock_ms)
    assert decision.doubt is not None
    assert decision.doubt.is_over
    # The slots that it begins are its own: they make it no truer.
    much_later = replace(later(after, 5 * 86_400.0), newest=after.clock_ms)
    assert decide(much_later, decision.doubt).doubt == decision.doubt


def test_true_readings_of_the_last_hour_are_waited_for_and_older_last_slots_are_not() -> None:
    now = later(replace(NOW, clock_ms=SLOT - 2 * HOUR), HOLD_S)
    doubt = decide(replace(NOW, clock_ms=SLOT - 2 * HOUR), None).doubt
    assert decide(now, doubt).forget_after == now.clock_ms + OLD_CLOCK_MS < SLOT - 10_000


def test_a_clock_that_is_set_right_is_believed_at_once() -> None:
    now = replace(NOW, clock_ms=12_000)
    doubt = decide(now, None).doubt
    right = later(now, 60.0, SLOT - 12_000)
    assert decide(right, doubt) == decide(right, None)
    over = decide(later(now, HOLD_S), doubt).doubt
    corrected = decide(later(right, HOLD_S), over)
    assert corrected.doubt is None
    assert corrected.forget_after < SLOT + HOLD_S * 1000 + 5 * MINUTE  # what was begun meanwhile, if that was ahead


def test_a_clock_that_caught_up_was_wrong_and_may_collect() -> None:
    now = replace(NOW, clock_ms=SLOT - 5 * MINUTE)
    doubt = decide(now, None).doubt
    decision = decide(later(now, 300.0), doubt)
    assert decision.may_begin(SLOT)
    assert decision.doubt is not None
    assert decision.doubt.is_over


def test_the_hold_of_an_earlier_process_counts_and_that_of_an_earlier_boot_does_not() -> None:
    now = replace(NOW, clock_ms=SLOT - 20 * MINUTE)
    doubt = decide(now, None).doubt
    assert doubt is not None
    kept = Doubt.from_text(doubt.to_text())
    assert kept == doubt
    assert not decide(later(now, HOLD_S), kept).is_holding
    assert decide(replace(later(now, HOLD_S), boot="next"), kept).is_holding


_KEPT = Doubt(Reason.BEHIND, SLOT, SLOT, 0, "1", 20.0)


@pytest.mark.parametrize(
    "text",
    [
        *("", "{", "[]", "null", '{"reason": "behind"}', '{"reason": 1e999}', "[" * 100_000),
        *(replace(_KEPT, **{name: 10**18}).to_text() for name in ("against", "sure", "offset_ms")),
    ],
)
def test_a_doubt_that_cannot_be_read_is_none(text: str) -> None:
    assert Doubt.from_text(text) is None


DEVICE = Device("a", "http://a/", "UTC", 10_000, 5.0)

events = st.lists(
    st.tuples(st.just("wait"), st.sampled_from([1, 10, 300, 599, 601, 90_000]))
    | st.tuples(
        st.just("step"), st.sampled_from([-SLOT, -3 * DAY, -2 * HOUR, -20 * MINUTE, -10_000, HOUR, 2 * DAY, SLOT])
    )
    | st.tuples(st.just("kept"), st.sampled_from([True, False, None]))
    | st.tuples(st.just("restart"), st.just(0))
    | st.tuples(st.just("reboot"), st.sampled_from([0, -20 * MINUTE, -SLOT, 2 * DAY])),
    max_size=30,
)


@given(life=events)
def test_whatever_happens_to_a_machine(life: list[tuple[str, int]]) -> None:
    """No slot is begun twice or out of bounds while nothing is known of the clock, and none is held for too long."""
    now = NOW
    doubt: Doubt | None = None
    last: dict[str, int] = {"a": SLOT - 10_000, "gone": SLOT - 20_000}
    begun: set[int] = {last["a"]}
    held_since: float | None = None
    for event, value in life:
        if event == "wait":
            now = later(now, float(value))
        elif event == "step":
            now = later(now, 0.0, int(value))
        elif event == "kept":
            now = replace(now, is_kept=value)
        elif event == "restart":
            doubt = doubt and Doubt.from_text(doubt.to_text())
        else:
            now = replace(later(now, 30.0, int(value)), running_s=20.0, boot=f"{now.boot}+", is_kept=False)
            held_since = None
        newest = max(last.values())
        # What was begun by a clock that was doubted says nothing of one that was put right.
        sure = doubt.sure if doubt and doubt.boot == now.boot else newest
        decision = decide(replace(now, newest=newest), doubt)
        doubt = decision.doubt
        for name in [name for name, slot in last.items() if slot > decision.forget_after]:
            last[name] = now.clock_ms - 1
            begun.clear()  # from here on it is another clock's slots
        if decision.is_holding:
            held_since = now.running_s if held_since is None else held_since
            assert now.running_s - held_since < HOLD_S
            assert not now.is_kept
        else:
            held_since = None
        slot = next_slot(DEVICE, now.clock_ms, last["a"])
        if slot <= now.clock_ms and decision.may_begin(slot):
            assert slot not in begun
            assert slot > last["a"]
            if not now.is_kept and doubt is None and sure is not None:
                assert max(START, sure - now.longest_ms) <= slot <= sure + FAR_MS
            last["a"] = slot
            begun.add(slot)
