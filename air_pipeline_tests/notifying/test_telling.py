"""Rounds, one after the other, to real servers, with the real file in between."""

import json
import subprocess
import sys
import threading
from datetime import UTC, datetime, time, timedelta
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from air_pipeline.notifying import sending, telling
from air_pipeline.notifying.deciding import Sight, Watched
from air_pipeline.notifying.sending import channels
from air_pipeline.notifying.telling import (
    KEPT,
    LONGEST_RETRY,
    Attempt,
    Failing,
    Outgoing,
    State,
    outcome,
    read_state,
    tell,
    with_the_clock,
)
from air_pipeline.settings import SettingsError
from air_pipeline.settings.notify import Email, Notify
from air_pipeline.state import StateDirectory
from air_pipeline_tests.notifying.findings import unwell
from air_pipeline_tests.notifying.receivers import Hook, Post, mail_server
from air_pipeline_tests.notifying.test_messages import bad, said
from air_pipeline_tests.waiting import WITHIN_S

NOON = datetime(2026, 3, 20, 12, tzinfo=UTC)
WARSAW = ZoneInfo("Europe/Warsaw")
AT_ONCE = timedelta()
GARAGE = ("devices_reporting", "garage")
BAD, WELL = Sight({GARAGE: unwell("timeout")}), Sight({GARAGE: None})


class Rounds:
    """Rounds on a clock of their own; nothing but the file is kept from one to the next."""

    def __init__(self, directory, rules):
        self.directory, self.rules, self.now = directory, rules, NOON

    def __call__(self, sight, after=timedelta(seconds=30)):
        self.now += after
        ways = channels(self.rules, {})
        return tell(
            StateDirectory(self.directory), self.rules, ways, sight, lambda: ["summary"], WARSAW, self.now, "attic"
        )

    @property
    def state(self):
        return read_state(StateDirectory(self.directory))


def kinds(hook):
    return [(body["kind"], body["level"]) for body in hook.bodies]


def test_a_change_is_told_once_and_so_is_its_end(tmp_path):
    with Hook() as hook:
        round_ = Rounds(tmp_path, Notify((hook.url(),), wait=AT_ONCE))
        for sight in (WELL, BAD, BAD, BAD, WELL, WELL):
            round_(sight)
        assert [body["title"] for body in hook.bodies] == [
            "air: garage gives no readings (timeout)",
            "air: garage gives readings again, after 1 min 30 s",
        ]


def test_what_failed_is_sent_again_later_under_the_same_id_and_arrives_once(tmp_path):
    with Hook(500, 503) as hook:
        round_ = Rounds(tmp_path, Notify((hook.url(),), wait=AT_ONCE))
        assert "answered 500" in round_(BAD)
        assert "answered 500" in round_(BAD, timedelta(seconds=29))
        assert len(hook.bodies) == 1  # the time of the next attempt had not come
        assert "answered 503" in round_(BAD, timedelta(seconds=1))
        round_(BAD, timedelta(seconds=59))
        assert len(hook.bodies) == 2
        assert round_(BAD, timedelta(seconds=1)) == "1 not well; 1 messages sent"
        for _ in range(5):
            round_(BAD, timedelta(hours=1))
    assert len({body["id"] for body in hook.bodies}) == 1
    assert len(hook.bodies) == 3
    assert round_.state.outgoing == ()


def test_everybody_gets_it_whoever_else_does_not(tmp_path):
    post = Post()
    with Hook(500) as broken, Hook() as hook, mail_server(post) as port:
        mail = Email(("me@example.org",), "air@example.org", "127.0.0.1", port, "plain")
        round_ = Rounds(tmp_path, Notify((broken.url(), hook.url()), mail, wait=AT_ONCE))
        round_(BAD)
        assert [len(broken.bodies), len(hook.bodies), len(post.mails)] == [1, 1, 1]
        round_(BAD)
        assert [len(broken.bodies), len(hook.bodies), len(post.mails)] == [2, 1, 1]
    assert post.mails[0]["Subject"] == "air: garage gives no readings (timeout)"


def test_one_that_hangs_costs_a_bounded_time_and_nobody_else(tmp_path, monkeypatch):
    monkeypatch.setattr(telling, "SEND_WITHIN_S", WITHIN_S)
    monkeypatch.setattr(sending, "WAIT_S", WITHIN_S)
    with Hook(None) as hanging, Hook() as hook:
        round_ = Rounds(tmp_path, Notify((hanging.url(), hook.url()), wait=AT_ONCE))
        with monkeypatch.context() as patch:
            # The time is up once the other one has its message, and not before, however slow the machine is.
            patch.setattr(telling, "time", SimpleNamespace(monotonic=iter([0.0, 0.0, WITHIN_S]).__next__))
            text = round_(BAD)
        assert f"took longer than {WITHIN_S:g} s" in text
        assert len(hook.bodies) == 1
        assert hanging.asked.wait(WITHIN_S)
        hanging.released.set()
        assert round_(BAD) == "1 not well; 1 messages sent"
        assert {body["id"] for body in hanging.bodies} == {hook.bodies[0]["id"]}


def test_messages_arrive_in_order_and_together_once_there_is_a_way(tmp_path):
    with Hook(500) as hook:
        round_ = Rounds(tmp_path, Notify((hook.url(),), wait=AT_ONCE))
        for sight in (BAD, WELL, BAD):
            round_(sight, timedelta(seconds=9))
        assert len(hook.bodies) == 1
        round_(BAD, timedelta(minutes=1))
        assert [body["level"] for body in hook.bodies] == ["mild", "mild", "well", "mild"]


_ONE_ROUND = """
import sys
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo
from air_pipeline.health import Finding, Level
from air_pipeline.notifying.deciding import Sight, Watched
from air_pipeline.notifying.sending import channels
from air_pipeline.notifying.telling import tell
from air_pipeline.settings.notify import Notify
from air_pipeline.state import StateDirectory

rules = Notify((sys.argv[2],), wait=timedelta())
sight = Sight({("devices_reporting", "garage"): Finding("devices_reporting", "garage", Level.WARNING, "timeout")})
now = datetime.fromisoformat(sys.argv[3])
tell(StateDirectory(Path(sys.argv[1])), rules, channels(rules), sight, list, ZoneInfo("Europe/Warsaw"), now, "attic")
"""


def test_what_was_killed_while_sending_is_sent_again_under_its_id(tmp_path):
    with Hook(None) as hook:
        killed = subprocess.Popen([sys.executable, "-c", _ONE_ROUND, tmp_path, hook.url(), NOON.isoformat()])
        assert hook.asked.wait(WITHIN_S)
        killed.kill()
        killed.wait(WITHIN_S)
        round_ = Rounds(tmp_path, Notify((hook.url(),), wait=AT_ONCE))
        for _ in range(3):
            round_(BAD)
        first, second = hook.bodies
    assert first == second


def test_nothing_is_sent_when_it_could_not_be_remembered(tmp_path):
    state = tmp_path / "no-directory"
    state.write_text("a file")
    with Hook() as hook:
        with pytest.raises(SettingsError, match="no-directory"):
            Rounds(state, Notify((hook.url(),), wait=AT_ONCE))(BAD)
        assert hook.bodies == []


NO_OFFSET = '{"watched": [{"check": "a", "subject": "", "since": "2026-03-20T12:00:00", "told": true, "well": null}]}'


@pytest.mark.parametrize(
    "garbage", ["", "{", "[]", "7", '{"watched": 5}', '{"watched": [{}]}', "\ud800", "[" * 99_999, NO_OFFSET]
)
def test_a_damaged_file_begins_anew(tmp_path, garbage):
    (tmp_path / "notified.json").write_bytes(garbage.encode("utf-8", "surrogatepass"))
    with Hook() as hook:
        Rounds(tmp_path, Notify((hook.url(),), wait=AT_ONCE))(BAD)
    assert len(hook.bodies) == 1
    assert json.loads((tmp_path / "notified.json").read_text())["watched"][0]["told"]


def test_the_digest_comes_with_what_is_not_well(tmp_path):
    with Hook() as hook:
        round_ = Rounds(tmp_path, Notify((hook.url(),), digest=time(15), wait=AT_ONCE))
        for _ in range(30):
            round_(BAD, timedelta(hours=1))
    assert kinds(hook) == [("change", "mild"), ("digest", "mild"), ("digest", "mild")]
    assert "summary" in hook.bodies[1]["text"]


def test_what_may_still_pass_is_in_no_digest(tmp_path):
    late = Sight(
        {
            ("days_built", "2026-03-20"): unwell(check="days_built", subject="2026-03-20", patience=timedelta(hours=2)),
            GARAGE: unwell("timeout"),
        }
    )
    with Hook() as hook:
        round_ = Rounds(tmp_path, Notify((hook.url(),), digest=time(14), quiet_hours=(time(12), time(14))))
        round_.now = NOON + timedelta(minutes=49)  # 13:49 in Warsaw
        round_(late)
        round_(late, timedelta(minutes=11))
    change, digest = hook.bodies
    assert (change["kind"], digest["kind"]) == ("change", "digest")
    assert [item["check"] for item in digest["items"]] == ["devices_reporting"]


def test_who_is_no_longer_told_waits_for_nothing(tmp_path):
    with Hook(500) as hook, Hook() as other:
        Rounds(tmp_path, Notify((hook.url(),), wait=AT_ONCE))(BAD)
        later = Rounds(tmp_path, Notify((other.url(),), wait=AT_ONCE))
        later(BAD, timedelta(hours=1))
        assert later.state.outgoing == ()
        assert later.state.failing == {}
        assert (len(hook.bodies), other.bodies) == (1, [])


def test_what_nobody_takes_is_given_up_after_a_week(tmp_path):
    with Hook(*[500] * 20) as hook:
        round_ = Rounds(tmp_path, Notify((hook.url(),), wait=AT_ONCE))
        round_(BAD)
        round_(BAD, KEPT - timedelta(seconds=1))
        assert len(round_.state.outgoing) == 1
        round_(BAD, timedelta(seconds=1))
        assert round_.state.outgoing == ()
        assert len(hook.bodies) == 2


def test_a_clock_that_was_far_ahead_delays_no_attempt(tmp_path):
    with Hook(500) as hook:
        round_ = Rounds(tmp_path, Notify((hook.url(),), wait=AT_ONCE))
        round_(BAD, timedelta(days=900))
        round_.now = NOON
        round_(BAD)
        assert len(hook.bodies) == 2


def test_the_clock_that_is_set_makes_nothing_last_longer_and_drops_no_message():
    since, message = NOON - timedelta(minutes=2), said(bad())
    before = with_the_clock(
        State(
            watched={GARAGE: Watched(since)},
            outgoing=(Outgoing(message, ("a",)),),
            failing={"a": Failing(1, NOON, "away")},
        ),
        "boot",
        100.0,
    )
    assert with_the_clock(before, "boot", 101.0) == before  # slewed
    years = timedelta(days=20_000)
    after = with_the_clock(before, "boot", 100.0 + years.total_seconds())
    assert after.watched[GARAGE].since == since + years
    assert after.failing["a"].retry_at == NOON + years
    assert datetime.fromisoformat(after.outgoing[0].message.at) == datetime.fromisoformat(message.at) + years
    other = with_the_clock(before, "another boot", 5000.0)
    assert (other.watched, other.offset_s) == (before.watched, 5000.0)
    assert State.from_text(after.to_text()) == after


@given(st.integers(1, 60))
def test_attempts_grow_rarer_down_to_one_an_hour(failures):
    state, now = State(outgoing=(Outgoing(said(bad()), ("a", "b")),)), NOON
    pauses = []
    for _ in range(failures):
        state = outcome(state, "a", Attempt("1", "no"), now)
        pauses.append(state.failing["a"].retry_at - now)
    assert pauses == sorted(pauses)
    assert pauses[0] == timedelta(seconds=30)
    assert pauses[-1] <= LONGEST_RETRY
    assert failures < 8 or pauses[-1] == LONGEST_RETRY
    arrived = outcome(state, "a", Attempt("1"), now)
    assert (arrived.failing, arrived.outgoing[0].channels) == ({}, ("b",))


def test_the_state_comes_back_as_it_went(tmp_path):
    with Hook(500) as hook:
        round_ = Rounds(tmp_path, Notify((hook.url(),), digest=time(8), wait=AT_ONCE))
        round_(BAD)
    state = round_.state
    assert state.watched
    assert state.outgoing
    assert state.failing
    assert state.digest
    assert State.from_text(state.to_text()) == state


def test_a_round_leaves_no_thread_behind(tmp_path):
    with Hook() as hook:
        rules = Notify((hook.url(),), wait=AT_ONCE)
        Rounds(tmp_path, rules)(BAD)
        [way] = channels(rules, {})
        left = [thread for thread in threading.enumerate() if thread.name == way.name]
        for thread in left:
            thread.join(WITHIN_S)
        assert not any(thread.is_alive() for thread in left)
