"""`air-pipeline mark` from the command to the file, the days, the explanation, and back."""

import json
import os
import pwd
import re
import stat
import threading
from contextlib import closing
from datetime import date
from pathlib import Path

import pytest

from air_pipeline.deployment import open_deployment
from air_pipeline.health import Level
from air_pipeline.health.seen import seen_from_outside
from air_pipeline.health.set_up import configuration_valid
from air_pipeline.marking import add_marks
from air_pipeline.settings import Mark
from air_pipeline.settings.marks import HEAD, marks_file
from air_pipeline_tests.cli.shell import Shell
from air_pipeline_tests.collection.disks import fill, small_disk
from air_pipeline_tests.days.deployments import build, contents

DAY = date(2024, 11, 21)
SETTINGS = """\
timezone: Europe/Warsaw
start: 2024-11-20
interval: 10m
devices:
  - {id: hall, url: http://127.0.0.1:9/hall, sensors: {dht22: [temperature, humidity]}}
  - {id: lab, url: http://127.0.0.1:9/lab, sensors: {dht22: [temperature]}, timezone: Asia/Tokyo}
"""
IN_THE_FRIDGE = (
    *("mark", "hall", "dht22_temperature", "--from", "2024-11-21T08:00", "--to", "2024-11-21T09:30"),
    *("--bad", "in the fridge"),
)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    """Somebody with two devices who has no readings yet."""
    shell = Shell(tmp_path, monkeypatch, capsys)
    shell.config.write_text(SETTINGS, encoding="utf-8")
    monkeypatch.setenv("AIR_PIPELINE_CONFIG", str(shell.config))
    monkeypatch.delenv("SUDO_UID", raising=False)
    monkeypatch.setenv("AIR_PIPELINE_STATE", str(shell.state))
    return shell


def build_day() -> list[bytes]:
    """Builds the day; the bytes of its tables."""
    deployment = open_deployment()
    with closing(deployment.store):
        build(deployment, DAY)
    found: list[bytes] = contents(deployment, DAY)
    return found


def this_user() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"user {os.getuid()}"


def marks(home: Shell) -> list[dict[str, str]]:
    ran = home("mark", "--json")
    assert ran.status == 0, ran
    found: list[dict[str, str]] = json.loads(ran.out)
    return found


def test_a_mark_goes_from_the_command_to_the_day_and_its_explanation_and_away_again(home: Shell) -> None:
    home.seed(0, [DAY], 600_000)
    before = build_day()
    ran = home(*IN_THE_FRIDGE)
    assert (ran.status, ran.err) == (0, "")
    user = re.escape(this_user())
    said, what_now = ran.out.splitlines()
    assert f"{marks_file(home.config)}: hall dht22_temperature, 2024-11-21 08:00 to 2024-11-21 09:30" in said
    assert re.search(rf"\(Europe/Warsaw\): bad, in the fridge \({user}, 20\d\d-\S+\)$", said)
    assert "to be built again: 2024-11-21; air-pipeline up does it by itself" in what_now
    assert what_now.endswith("air-pipeline build --from 2024-11-21 --to 2024-11-21")
    assert build_day() != before
    explained = home("explain", "--device", "hall", "--series", "dht22_temperature", "--at", "2024-11-21T09:20")
    assert ", 4 (bad)" in explained.out
    assert re.search(rf"^  marked · bad: in the fridge \({user}, 20\d\d-\S+\)$", explained.out, re.MULTILINE)
    after = home("explain", "--device", "hall", "--series", "dht22_temperature", "--at", "2024-11-21T09:30", "--json")
    assert json.loads(after.out)["judged"]["flag"] == 1
    away = home("mark", "hall", "--remove")
    assert away.status == 0
    assert "no longer marked" in away.out
    assert "to be built again: 2024-11-21" in away.out
    assert build_day() == before
    assert marks_file(home.config).read_text() == HEAD


def test_it_is_kept_beside_devices_yaml_for_people_to_read_and_edit(home: Shell) -> None:
    home(*IN_THE_FRIDGE)
    file = marks_file(home.config)
    lines = file.read_text().removeprefix(HEAD).splitlines()
    assert lines[:6] == [
        "- device: hall",
        "  series: dht22_temperature",
        "  from: 2024-11-21T08:00:00+01:00",
        "  to: 2024-11-21T09:30:00+01:00",
        "  verdict: bad",
        "  why: in the fridge",
    ]
    file.write_text(f"# ours\n{file.read_text()}# theirs\n")
    home("mark", "lab", "--from", "2024-11-21", "--to", "2024-11-22", "--suspect", "painted: white")
    text = file.read_text()
    assert text.startswith("# ours\n")
    assert "# theirs\n- device: lab\n  from: 2024-11-21T00:00:00+09:00\n" in text
    assert '  why: "painted: white"\n' in text
    assert home.environment.state.last_valid_marks.read_text() == text


def test_several_series_or_all_of_a_device_are_marked_at_once(home: Shell) -> None:
    span = ("--from", "2024-11-21", "--to", "2024-11-22", "--bad", "x")
    home("mark", "hall", "dht22_temperature", "dht22_humidity", "dht22_temperature", *span)
    home("mark", "hall", "*", "dht22_humidity", *span)
    home("mark", "lab", *span)
    assert [(one["device"], one["series"]) for one in marks(home)] == [
        ("hall", "dht22_temperature"),
        ("hall", "dht22_humidity"),
        ("hall", "*"),
        ("lab", "*"),
    ]
    shown = home("mark", "hall", "dht22_humidity").out.splitlines()
    assert len(shown) == 2
    assert shown[0].startswith("hall dht22_humidity, 2024-11-21 00:00 to 2024-11-22 00:00 (Europe/Warsaw): bad, x (")
    assert shown[1].startswith("hall all series, ")


def test_times_are_those_of_the_clock_at_the_device_and_end_now(home: Shell) -> None:
    home("mark", "lab", "--from", "-2h", "--good", "it was so")
    home("mark", "lab", "--from", "2024-11-21T08:00", "--to", "2024-11-21T09:00+01:00", "--good", "it was so")
    now, then = marks(home)
    assert now["from"].endswith("+09:00")
    assert then["from"] == "2024-11-21T08:00:00+09:00"
    assert then["to"] == "2024-11-21T17:00:00+09:00"


def test_of_a_mark_that_reaches_beyond_what_is_taken_away_the_rest_stays(home: Shell) -> None:
    home(*IN_THE_FRIDGE)
    [whole] = marks(home)
    home("mark", "hall", "dht22_temperature", "--from", "2024-11-21T08:30", "--to", "2024-11-21T09:00", "--remove")
    assert marks(home) == [
        {**whole, "to": "2024-11-21T08:30:00+01:00"},
        {**whole, "from": "2024-11-21T09:00:00+01:00"},
    ]
    ran = home("mark", "hall", "--to", "2024-11-21T08:30", "--remove", "--json")
    assert json.loads(ran.out) == {
        "marks": [{**whole, "to": "2024-11-21T08:30:00+01:00"}],
        "built_again": [],
        "not_built_yet": ["2024-11-21"],
    }
    assert [one["from"] for one in marks(home)] == ["2024-11-21T09:00:00+01:00"]


def test_a_mark_of_all_series_stays_where_one_is_taken_away_and_that_is_said(home: Shell) -> None:
    home("mark", "hall", "--from", "2024-11-21", "--to", "2024-11-22", "--bad", "x")
    ran = home("mark", "hall", "dht22_humidity", "--remove")
    assert ran.status == 2
    assert "what is marked of all series of hall stays (1)" in ran.err
    assert "nothing is marked of hall dht22_humidity at such a time" in ran.err
    assert len(marks(home)) == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("hall", "--from", "-2h", "--bad", "x", "--good", "y"), "only one is meant"),
        (("hall", "--from", "-2h", "--bad", "x", "--remove"), "only one is meant"),
        (("hall", "--from", "-2h"), "add --suspect, --bad or --good with the reason, or --remove"),
        (("--from", "-2h", "--bad", "x"), "name the device"),
        (("hall", "--bad", "x"), "say from when"),
        (("hall", "--from", "-2h", "--bad", " "), "--bad wants the reason, on one line"),
        (("hall", "--from", "-2h", "--bad", "a\nb"), "--bad wants the reason, on one line"),
        (("hal", "--from", "-2h", "--bad", "x"), "did you mean hall?"),
        (("hall", "dht22_temprature", "--from", "-2h", "--bad", "x"), "did you mean dht22_temperature?"),
        (("hall", "--from", "2024-11-21", "--to", "2024-11-20", "--bad", "x"), "put the earlier one first"),
        (("hall", "--from", "soon", "--bad", "x"), "'soon' is not a time"),
        (("hall", "--remove"), "nothing is marked of hall at such a time"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_what_can(home: Shell, arguments: tuple[str, ...], said: str) -> None:
    assert said in home.refused("mark", *arguments, status=2)
    assert not marks_file(home.config).exists()


def test_a_mistake_in_the_file_is_named_and_nothing_is_written_over_it(home: Shell) -> None:
    home(*IN_THE_FRIDGE)
    file = marks_file(home.config)
    broken = file.read_text().replace("verdict: bad", "verdict: bed")
    file.write_text(broken)
    line = broken.splitlines().index("  verdict: bed") + 1
    for command in (IN_THE_FRIDGE, ("mark",), ("mark", "hall", "--remove"), ("build",)):
        said = home.refused(*command, status=2)
        assert f"{file}:{line}: [1].verdict: 'bed' is none of suspect, bad, good; did you mean bad?" in said
    assert file.read_text() == broken


def test_marks_of_what_there_never_was_are_shown_and_can_be_taken_away(home: Shell) -> None:
    file = marks_file(home.config)
    file.write_text("- {device: hal, from: 2024-11-21, to: 2024-11-22, verdict: bad, why: x}\n")
    shown = home("mark")
    assert shown.out.startswith("hal all series, 2024-11-21 00:00")
    assert "there never was what some marks are of: device hal; did you mean hall?" in shown.err
    [found] = configuration_valid.findings(seen_from_outside(home.variables))
    assert (found.level, found.text.endswith("device hal; did you mean hall?")) == (Level.WARNING, True)
    assert home("mark", "hal", "--remove").status == 0
    assert home("mark").err == "nothing is marked by hand\n"


def test_nobody_s_mark_is_lost_where_several_mark_at_once(home: Shell) -> None:
    """Each reads the file, and writes it: who comes in between would be forgotten."""
    deployment = open_deployment()
    said = [Mark("hall", "*", n * 1000, (n + 1) * 1000, "bad", f"number {n}") for n in range(12)]
    together = threading.Barrier(len(said))

    def add(mark: Mark) -> None:
        together.wait()
        add_marks(deployment, [mark])

    threads = [threading.Thread(target=add, args=[mark]) for mark in said]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {one["why"] for one in marks(home)} == {mark.why for mark in said}


def test_a_link_and_rights_of_the_file_stay_as_they_are(home: Shell) -> None:
    elsewhere = home.folder / "etc"
    elsewhere.mkdir()
    (elsewhere / "ours.yaml").write_text("")
    (elsewhere / "ours.yaml").chmod(0o640)
    marks_file(home.config).symlink_to(elsewhere / "ours.yaml")
    home(*IN_THE_FRIDGE)
    assert marks_file(home.config).is_symlink()
    assert "in the fridge" in (elsewhere / "ours.yaml").read_text()
    assert stat.S_IMODE((elsewhere / "ours.yaml").stat().st_mode) == 0o640


def test_who_became_another_user_by_sudo_is_who_marked(home: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    for uid, name in (("0", "root"), ("4000123", "user 4000123"), ("x", this_user())):
        monkeypatch.setenv("SUDO_UID", uid)
        home(*IN_THE_FRIDGE)
        assert marks(home)[-1]["by"] == name


def test_a_device_that_gets_another_id_takes_its_marks_along(home: Shell) -> None:
    home.seed(0, [DAY], 600_000)
    home(*IN_THE_FRIDGE)
    home("mark", "lab", "--from", "2024-11-21", "--to", "2024-11-22", "--suspect", "x")
    home.config.write_text(SETTINGS.replace("id: hall", "id: lounge"))
    assert home("rename", "hall", "lounge", "--yes").status == 0
    assert [one["device"] for one in marks(home)] == ["lounge", "lab"]


def test_where_the_file_cannot_be_written_it_stays_whole_and_that_is_said(home: Shell) -> None:
    with small_disk(home.folder / "full", 1) as disk:
        home.config = disk / "devices.yaml"
        home.config.write_text(SETTINGS, encoding="utf-8")
        assert home(*IN_THE_FRIDGE).status == 0
        before = marks_file(home.config).read_bytes()
        fill(disk)
        said = home.refused(*IN_THE_FRIDGE, status=2)
        assert f"{marks_file(home.config)}: cannot be written (No space left on device)" in said
        assert f"it needs room, and a user who may write into {disk}" in said
        assert marks_file(home.config).read_bytes() == before
