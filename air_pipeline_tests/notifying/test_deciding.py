"""What is told, and when, as functions of values."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from air_pipeline.notifying.deciding import Sight, decide, digest_due, is_quiet
from air_pipeline.settings.notify import Notify
from air_pipeline_tests.notifying.findings import unwell

WARSAW = ZoneInfo("Europe/Warsaw")
NOON = datetime(2026, 3, 20, 12, tzinfo=UTC)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
GARAGE, HALL = ("devices_reporting", "garage"), ("devices_reporting", "hall")
NIGHT = (time(22), time(7))
BAD, GRAVE = unwell("timeout"), unwell("timeout", grave=True)


def sight(condition, *unknown, key=GARAGE):
    return Sight({} if unknown else {key: condition}, frozenset(unknown))


def tell(rules, looks, zone=WARSAW):
    """What is told at each of (time, sight), one look after the other."""
    watched, told = {}, []
    for now, seen in looks:
        changes, watched = decide(watched, seen, rules, zone, now)
        told += [(now, change) for change in changes]
    return told


def every(step, start, *conditions, key=GARAGE):
    return [(start + step * number, sight(condition, key=key)) for number, condition in enumerate(conditions)]


def test_bad_and_good_again_are_each_told_once():
    looks = every(MINUTE, NOON, None, *[BAD] * 30, *[None] * 30)
    (first, bad), (second, good) = tell(Notify(wait=5 * MINUTE), looks)
    assert (first - NOON, bad.finding, bad.since - NOON) == (6 * MINUTE, BAD, MINUTE)
    assert (second - NOON, good.finding) == (36 * MINUTE, None)
    assert (good.since - NOON, good.until - NOON) == (MINUTE, 31 * MINUTE)


def test_what_lasts_shorter_than_the_wait_is_not_told():
    assert tell(Notify(wait=5 * MINUTE), every(MINUTE, NOON, *([BAD] * 5 + [None]) * 10)) == []


def test_a_moment_of_health_is_no_recovery():
    looks = every(MINUTE, NOON, *[BAD] * 10, *([None] * 5 + [BAD]) * 10)
    assert len(tell(Notify(wait=5 * MINUTE), looks)) == 1


def test_what_is_known_to_pass_has_its_own_patience():
    late = unwell(patience=2 * HOUR)
    [(when, _)] = tell(Notify(wait=5 * MINUTE), every(30 * MINUTE, NOON, *[late] * 8))
    assert when == NOON + 2 * HOUR


def test_what_nobody_can_say_stays_as_it_was():
    looks = [
        *every(MINUTE, NOON, *[BAD] * 10),
        *((NOON + (10 + n) * MINUTE, sight(None, "devices_reporting")) for n in range(10)),
        *every(MINUTE, NOON + 20 * MINUTE, *[BAD] * 10),
    ]
    assert len(tell(Notify(), looks)) == 1


def test_a_device_that_was_taken_out_is_forgotten_without_a_word():
    looks = [*every(MINUTE, NOON, *[BAD] * 10), *every(MINUTE, NOON + 10 * MINUTE, *[None] * 10, key=HALL)]
    [(_, only)] = tell(Notify(), looks)
    assert only.finding is BAD
    back = every(MINUTE, NOON + 20 * MINUTE, *[BAD] * 10)
    assert len(tell(Notify(), [*looks, *back])) == 2


def test_the_grave_come_first_and_good_news_last():
    rules = Notify(wait=timedelta())
    _, watched = decide({}, Sight({("a", ""): BAD}), rules, WARSAW, NOON)
    seen = Sight({("a", ""): None, ("b", ""): BAD, ("z", ""): GRAVE, ("c", ""): BAD})
    changes, _ = decide(watched, seen, rules, WARSAW, NOON + MINUTE)
    assert [change.key[0] for change in changes] == ["z", "b", "c", "a"]


@pytest.mark.parametrize(
    ("condition", "in_quiet_hours", "told_at"),
    [(BAD, "grave", time(7)), (GRAVE, "grave", time(23, 10)), (GRAVE, "nothing", time(7))],
)
def test_quiet_hours_are_kept_and_what_still_holds_is_told_at_their_end(condition, in_quiet_hours, told_at):
    rules = Notify(quiet_hours=NIGHT, in_quiet_hours=in_quiet_hours)
    start = datetime(2026, 3, 20, 23, tzinfo=WARSAW)
    [(when, _)] = tell(rules, every(10 * MINUTE, start, *[condition] * 60))
    assert when.astimezone(WARSAW).time() == told_at


def test_good_news_waits_for_the_morning():
    start = datetime(2026, 3, 20, 21, tzinfo=WARSAW)
    _, (when, good) = tell(Notify(quiet_hours=NIGHT), every(10 * MINUTE, start, *[BAD] * 20, *[None] * 60))
    assert (good.finding, when.astimezone(WARSAW).time()) == (None, time(7))


def test_what_passed_in_the_night_is_not_told():
    start = datetime(2026, 3, 20, 23, tzinfo=WARSAW)
    assert tell(Notify(quiet_hours=NIGHT), every(10 * MINUTE, start, *[BAD] * 40, *[None] * 40)) == []


def test_a_clock_that_was_far_ahead_silences_nobody():
    looks = [*every(MINUTE, NOON + timedelta(days=900), BAD), *every(MINUTE, NOON, *[BAD] * 10)]
    [(when, _)] = tell(Notify(wait=5 * MINUTE), looks)
    assert when == NOON + 5 * MINUTE


histories = st.lists(
    st.tuples(st.integers(1, 40), st.sampled_from([None, BAD, GRAVE])), min_size=1, max_size=12
)  # (so many looks, what each sees)
all_rules = st.builds(
    Notify,
    quiet_hours=st.none() | st.just(NIGHT) | st.just((time(1, 30), time(2, 30))),
    in_quiet_hours=st.sampled_from(["grave", "nothing"]),
    wait=st.sampled_from([timedelta(), 5 * MINUTE, 31 * MINUTE]),
)
# Noons before nights on which the clock is put forward, put back, and left alone.
starts = st.sampled_from([datetime(2026, month, day, 12, tzinfo=WARSAW) for month, day in ((3, 28), (10, 24), (6, 1))])


@given(histories, all_rules, starts, st.integers(0, 24))
def test_told_changes_alternate_last_and_keep_the_quiet(history, rules, start, hours):
    start = start.astimezone(UTC) + hours * HOUR
    conditions = [condition for number, condition in history for _ in range(number)]
    looks = every(7 * MINUTE, start, *conditions)
    seen = {now: one.holds[GARAGE] for now, one in looks}
    told = tell(rules, looks)
    assert [change.finding is None for _, change in told] == [bool(n % 2) for n in range(len(told))]
    for now, change in told:
        while_it_lasted = [at for at in seen if (change.until or change.since) <= at <= now]
        assert now - while_it_lasted[0] >= rules.wait
        assert all((seen[at] is None) == (change.finding is None) for at in while_it_lasted)
        if is_quiet(rules, WARSAW, now):
            assert rules.in_quiet_hours == "grave"
            assert change.finding is GRAVE


@given(histories, all_rules, starts)
def test_every_lasting_change_is_told(history, rules, start):
    """Whatever was before: a state that lasts for a day and a half is the last that was told, unless that was good."""
    conditions = [condition for number, condition in history for _ in range(number)]
    looks = every(7 * MINUTE, start.astimezone(UTC), *conditions, *[conditions[-1]] * 310)
    told = tell(rules, looks)
    if conditions[-1] is not None or told:
        assert (told[-1][1].finding is None) == (conditions[-1] is None)


def digests(rules, zone, start, days, step=10 * MINUTE, last=date(2000, 1, 1)):
    found, now = [], start
    while now < start + timedelta(days=days):
        due, last = digest_due(last, rules, zone, now)
        found += [now.astimezone(zone)] if due else []
        now += step
    return found


@given(
    st.sampled_from(["Europe/Warsaw", "America/New_York", "Australia/Lord_Howe", "Africa/Cairo", "UTC"]),
    st.times().map(lambda t: t.replace(microsecond=0)),
    st.sampled_from(
        [datetime(2026, 3, 5, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC), datetime(2026, 10, 20, tzinfo=UTC)]
    ),
)
def test_the_digest_comes_once_a_local_day_whatever_the_clock_does(zone, at, start):
    zone = ZoneInfo(zone)
    found = digests(Notify(digest=at), zone, start, 26, step=20 * MINUTE)
    dates = [one.date() for one in found]
    whole = [start.astimezone(zone).date() + timedelta(days=n) for n in range(1, 25)]
    assert len(dates) == len(set(dates))
    late = at > time(23, 35)  # no look may fall into what is left of the day
    assert late or set(whole) <= set(dates)


@pytest.mark.parametrize(
    ("day", "hour"),
    [(datetime(2026, 3, 29, tzinfo=WARSAW), "03:30+0200"), (datetime(2026, 10, 25, tzinfo=WARSAW), "02:30+0200")],
    ids=["a time that the clock skips", "a time that it shows twice"],
)
def test_the_digest_comes_at_a_time_that_there_is(day, hour):
    [when] = digests(Notify(digest=time(2, 30)), WARSAW, day.astimezone(UTC), 0.9)
    assert when.strftime("%H:%M%z") == hour


def test_a_digest_that_was_missed_comes_as_soon_as_it_can_on_its_day():
    rules = Notify(digest=time(8), quiet_hours=NIGHT)
    back = datetime(2026, 3, 20, 11, 5, tzinfo=WARSAW)
    assert digest_due(date(2026, 3, 19), rules, WARSAW, back) == (True, date(2026, 3, 20))
    assert digest_due(date(2026, 3, 20), rules, WARSAW, back) == (False, date(2026, 3, 20))
    at_night = datetime(2026, 3, 20, 23, tzinfo=WARSAW)
    assert digest_due(date(2026, 3, 19), rules, WARSAW, at_night) == (False, date(2026, 3, 19))


def test_the_first_digest_is_the_next_one():
    noon = datetime(2026, 3, 20, 12, tzinfo=WARSAW)
    assert digest_due(None, Notify(digest=time(8)), WARSAW, noon) == (False, date(2026, 3, 20))
    assert digest_due(None, Notify(digest=time(13)), WARSAW, noon) == (False, date(2026, 3, 19))
    assert digest_due(None, Notify(), WARSAW, noon) == (False, None)


def test_a_digest_of_a_clock_that_was_far_ahead_silences_nobody():
    due, last = digest_due(date(2030, 1, 1), Notify(digest=time(8)), WARSAW, NOON)
    assert (due, last) == (False, date(2026, 3, 20))
    assert digest_due(last, Notify(digest=time(8)), WARSAW, NOON + timedelta(days=1))[0]
