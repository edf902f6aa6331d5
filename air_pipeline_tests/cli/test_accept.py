"""`air-pipeline accept`, from the device that answers to the line in devices.yaml, and what is said otherwise."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from air_pipeline.collection.lease import CollectorLock
from air_pipeline.collection.outbox import Outbox
from air_pipeline.devices.polls import Outcome, Poll
from air_pipeline.devices.simulator import Profile, Simulator
from air_pipeline.settings.identity import with_identity
from air_pipeline_tests.cli.shell import Shell
from air_pipeline_tests.running_pipeline import now_ms

WAS = "ecda3b1d09d8"
IS = b"station"[:6].hex()  # what the simulator says

HEAD = "timezone: UTC\nstart: 2026-11-01\ninterval: 150s\n"


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    profiles = [
        Profile("station", kind="airgradient"),
        Profile("rohr", kind="airrohr"),
        Profile("plug", kind="tasmota"),
    ]
    with Simulator(profiles) as running:
        yield running


@pytest.fixture
def home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], simulator: Simulator
) -> Shell:
    """Somebody whose device was WAS; another one answers at its address."""
    shell = Shell(tmp_path, monkeypatch, capsys)
    entry = f"  - id: station  # in the hall\n    url: {simulator.url('station')}\n    kind: airgradient\n"
    shell.config.write_text(f"{HEAD}devices:  # all of them\n{entry}", encoding="utf-8")
    with closing(Outbox(shell.environment.state.outbox)) as box:
        box.remember("station", identity=WAS)
    return shell


def test_who_answers_is_shown_and_written_once_that_is_wanted(home: Shell, simulator: Simulator) -> None:
    before = home.config.read_text()
    home.config.chmod(0o640)
    assert home("poll").out.startswith("station: rejected: another device answers at this address: it says that it is ")
    shown = home("accept", "station")
    assert shown.status == 0
    assert f"station: it was {WAS}; {IS} answers at {simulator.url('station')}" in " ".join(shown.out.split())
    assert home.config.read_text() == before
    assert home("accept", "station", "--yes").status == 0
    assert home.config.read_text() == before.replace("hall\n", f'hall\n    identity: "{IS}"\n')
    assert home.config.stat().st_mode & 0o777 == 0o640
    assert home("poll").status == 0
    assert "there is nothing to accept" in home("accept", "station", "--yes").out


def test_while_a_collector_runs_it_is_known_from_that_who_answers(home: Shell, simulator: Simulator) -> None:
    """A device is asked by one alone."""
    assert home("accept", "station").status == 0  # once, by itself
    asked = len(simulator.requests("station").times_ms)
    with CollectorLock(home.environment.state), closing(Outbox(home.environment.state.outbox)) as box:
        assert "it is not known which device answers for station" in home.refused("accept", "station", status=2)
        said = f"another device answers at this address: it says that it is {IS}, and {WAS} answered before"
        box.remember("station", notes=f"{said}; write the address …")
        box.add([Poll("station", now_ms(), Outcome.REJECTED, 40.0, 150.0, 200)])
        ran = home("accept", "station", "--yes")
        assert (ran.status, f'identity: "{IS}"' in home.config.read_text()) == (0, True), ran
    assert len(simulator.requests("station").times_ms) == asked


def test_what_cannot_be_accepted_is_said_with_the_reason(home: Shell, simulator: Simulator) -> None:
    more = "".join(
        f"  - {{id: {name}, kind: {kind}, url: '{simulator.url(name)}', sensors: {{sds011: [pm25]}}}}\n"
        for name, kind in (("rohr", "airrohr"), ("plug", "tasmota"))
    )
    home.config.write_text(home.config.read_text() + more)
    before = home.config.read_text()
    assert "does not say which one it is: there is nothing to accept" in home.refused("accept", "rohr", status=2)
    assert "nothing that tells one from another is in its document" in home.refused("accept", "plug", status=2)
    simulator.set_fault("station", "http_500")
    assert "answered with status 500; nothing was changed" in home.refused("accept", "station", status=2)
    assert "there is no device 'hall'" in home.refused("accept", "hall", status=2)
    assert home.config.read_text() == before


ALONE = "id: a, url: http://a/, kind: shelly"
OTHER = "- {id: b, url: http://b/, kind: shelly, identity: a}\n"


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (  # two lines more, and a comment that stays
            "  - id: a  # µ\n    url: http://a/\n    kind: shelly",
            "  - id: a  # µ\n    identity: X1\n    url: http://a/\n    kind: shelly",
        ),
        (
            "- url: http://a/\r\n  kind: shelly\r\n  id: a",
            "- url: http://a/\r\n  kind: shelly\r\n  id: a\r\n  identity: X1\r\n",
        ),
        (f"- {{{ALONE}}}  # µ", "- {id: a, identity: X1, url: http://a/, kind: shelly}  # µ"),
        (
            '- kind: shelly\n  identity: "A B"  # old\n  id: a\n  url: http://a/\n',
            "- kind: shelly\n  identity: X1  # old\n  id: a\n  url: http://a/\n",
        ),
        (f"- {{'identity': x, {ALONE}}}", f"- {{'identity': X1, {ALONE}}}"),
        (f"{OTHER}- {{identity: x, {ALONE}}}", f"{OTHER}- {{identity: X1, {ALONE}}}"),
    ],
)
def test_one_place_of_the_text_changes(text: str, wanted: str) -> None:
    head = f"{HEAD}devices:\n"
    head = head.replace("\n", "\r\n") if "\r\n" in text else head
    assert with_identity(head + text, "devices.yaml", "a", "X1") == head + wanted


@pytest.mark.parametrize(
    "text",
    [
        f"- &a {{{ALONE}, identity: &x old}}\n- {{<<: *a, id: b, url: http://b/, identity: *x}}",
        f"- {{{ALONE}, identity: 'o\n    ld'}}",
    ],
)
def test_what_would_change_more_than_that_is_left_to_a_person(text: str) -> None:
    assert with_identity(f"{HEAD}devices:\n{text}", "devices.yaml", "a", "X1") is None


def test_where_the_file_is_left_alone_the_line_to_write_is_said(home: Shell, simulator: Simulator) -> None:
    url = simulator.url("station")
    one, other = (
        f"- &a {{id: station, url: {url}, kind: airgradient, identity: &x old}}",
        f"{{<<: *a, id: b, url: {url}x",
    )
    text = f"{HEAD}devices:\n{one}\n- {other}, identity: *x}}\n"
    home.config.write_text(text)
    ran = home("accept", "station", "--yes")
    assert (ran.status, home.config.read_text()) == (2, text)
    assert f'write below id: station by hand: identity: "{IS}"' in ran.err
