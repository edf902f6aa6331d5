"""Each place that shows what others say shows it as text: the terminal, the UI's metadata, sentences about settings."""

import json
import re
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest

from air_pipeline.assets.devices import devices_metadata
from air_pipeline.assets.table_checks import _result
from air_pipeline.cli import rows
from air_pipeline.cli.display import show_table
from air_pipeline.cli.rows import show_rows
from air_pipeline.cli.terminal import say, show_json, show_rows_as_text
from air_pipeline.collection.asking import Asked
from air_pipeline.devices.answers import failed
from air_pipeline.devices.polls import Outcome, Poll
from air_pipeline.health.devices import finding_of
from air_pipeline.processing.violations import Violation
from air_pipeline.settings import SettingsError
from air_pipeline.settings.file import parse_settings
from air_pipeline.settings.values import shown
from air_pipeline.showing import markdown, plain
from air_pipeline_tests.days.deployments import deployment, device
from air_pipeline_tests.devices.getting import get
from air_pipeline_tests.environments import VALID
from air_pipeline_tests.test_showing import BIDI, HOSTILE

MOVES = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
SECRET = "http://admin:hunter2@10.0.0.1/c?token=hunter2"  # noqa: S105
MARKUP = "[red]27.9[/red]"

Printed = Callable[[], str]


@pytest.fixture
def printed(capsys: pytest.CaptureFixture[str]) -> Printed:
    """What was printed, which does nothing to a terminal."""

    def harmless() -> str:
        said = capsys.readouterr().out
        assert not MOVES.search(said), ascii(said)
        assert not BIDI.search(said), ascii(said)
        return said

    return harmless


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """The standard output counts as a terminal, one without colours."""
    for name, value in (("FORCE_COLOR", "1"), ("TERM", "dumb"), ("COLUMNS", "900")):
        monkeypatch.setenv(name, value)


def test_a_sentence_is_text_without_secrets(printed: Printed) -> None:
    for text in HOSTILE:
        say(text)
        assert printed()
    say(f"see {SECRET}")
    assert "hunter2" not in printed()


def test_json_for_programs_says_the_same_and_does_nothing(printed: Printed) -> None:
    for text in HOSTILE:
        show_json({text: text})
        assert json.loads(printed()) == {text: text}


def test_rows_do_nothing_in_a_terminal(printed: Printed, monkeypatch: pytest.MonkeyPatch) -> None:
    frame = pd.DataFrame({"said": [text for text in HOSTILE if "\ud800" not in text]})
    show_rows(frame, None, as_json=True)
    assert [json.loads(line)["said"] for line in printed().splitlines()] == list(frame["said"])
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    for text in HOSTILE:
        show_rows_as_text(text)
        printed()


@pytest.mark.usefixtures("terminal")
def test_a_table_is_text_in_its_head_and_in_its_cells(printed: Printed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "FEW", 100)
    texts = [text for text in HOSTILE if "\n" not in text and "\ud800" not in text]
    show_rows(pd.DataFrame({f"{MARKUP} \x1b[2J": [*texts, MARKUP]}), None, as_json=False)
    said = printed()
    assert said.count(MARKUP) == 2
    assert "─" in said or "╶" in said, "it is a table"
    show_table(["said"], [[one] for one in (*texts, MARKUP, SECRET)])
    said = printed()
    assert MARKUP in said
    assert "hunter2" not in said


def test_the_ui_shows_an_address_without_its_secrets_and_a_failing_value_as_text(tmp_path: Path) -> None:
    hostile = replace(device(), url=f"{SECRET}\x1b[2J\u202e")
    metadata = devices_metadata(deployment(tmp_path, hostile))
    url = metadata["devices"].records[0].data["url"]
    assert url == "http://…@10.0.0.1/c?…"
    hostile = replace(device(), url="http://10.0.0.1/\x1b[2J")
    assert (
        devices_metadata(deployment(tmp_path, hostile))["devices"].records[0].data["url"] == "http://10.0.0.1/\\x1b[2J"
    )
    for text in HOSTILE:
        violation = Violation("series", "is known", 1, (text,))
        result = _result("schema", [violation], 1)
        assert result.description == markdown(str(violation))
        assert result.metadata["cases"].value == f"- {markdown(str(violation))}"


def test_what_a_configuration_has_wrong_is_said_on_one_line_without_secrets() -> None:
    assert "hunter2" not in shown({"url": [SECRET]})
    wrong = (
        f"devices: [*{SECRET}",
        f"? {SECRET}: [",
        f"a: !<{SECRET}> b",
        "a: !<%1b[2J> b",
        "a: \x1b[2J",
        "\u202ea: [",
    )
    for text in wrong:
        with pytest.raises(SettingsError) as raised:
            parse_settings(text)
        said = str(raised.value)
        assert "hunter2" not in said, said
        assert not MOVES.search(said), ascii(said)
        assert not BIDI.search(said), ascii(said)
    with pytest.raises(SettingsError) as raised:
        parse_settings(f"{VALID.replace('http://10.0.0.1/circumstances', SECRET)}  - id: b\n    url: {SECRET}\n")
    assert "is also the address of 'hall'" in str(raised.value)
    assert "hunter2" not in str(raised.value)


def test_what_went_wrong_with_a_device_is_said_on_one_line_without_secrets() -> None:
    rejected = Poll("hall", 0, Outcome.REJECTED, 1.0, 10.0, 200)
    asked = Asked(replace(device(), url=SECRET), rejected, live=True, reason="it is no JSON")
    remedy = finding_of(asked, datetime(1970, 1, 1, tzinfo=UTC)).remedy
    assert "curl http://…@10.0.0.1/c?…" in remedy
    unfit = get(f"ftp{SECRET.removeprefix('http')}", 1.0).reason
    assert "10.0.0.1" in unfit
    for said in (unfit, failed(ValueError(f"\x1b[2J\u202e\n{SECRET}"), None).reason):
        assert "hunter2" not in said
        assert said == plain(said)
