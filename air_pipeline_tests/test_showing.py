"""What devices and servers say is shown as the characters that it is, wherever it is shown."""

import ast
import logging
import re
import sys
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

import air_pipeline
from air_pipeline.collection.log import Formatter
from air_pipeline.health import failure
from air_pipeline.showing import markdown, plain, plain_json, plain_lines, without_secrets, without_secrets_in

HOSTILE = (
    "\x1b]0;owned\x07\x1b[2J",
    "27.9\n2026-11-26 12:00:00,000 INFO forged",
    "27.9\r\nforged",
    "[click](javascript:alert(1))",
    "![x](http://evil.example/x.png)",
    "<img src=x onerror=alert(1)>",
    "</pre><script>alert(1)</script>",
    "# a heading",
    "1. a list",
    "    code",
    "| a | b |\n|---|---|\n| 1 | 2 |",
    "title\n=====",
    "`code` **bold** _slanted_ ~~gone~~ &lt;",
    "https://evil.example/?a=b www.evil.example me@evil.example",
    "\u202e9.72 \u2066isolated\u2069 \u200e\u061c",
    "\u2028next\u2029",
    "\x85\x9b31m",
    "\ud800 \x00 \x7f",
)
"""Texts that would do something where they are shown as they are."""
BIDI = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
COMMONMARK = MarkdownIt("commonmark").enable(["table", "strikethrough"])
HARMLESS = {"paragraph_open", "paragraph_close", "inline", "text", "text_special", "softbreak", "code_inline"}
URL_TEXT = re.compile(r"(?i)https?://\w|www\.\w|[-.\w+]@[-\w]+\.[-\w]")

MARKS = "#*_[]()!<>|`~-=1. \n\\&:/wh@"
texts = given(st.text() | st.lists(st.sampled_from(HOSTILE)).map(" ".join) | st.text(MARKS, max_size=30))


def with_hostile(test):
    for text in HOSTILE:
        test = example(text)(test)
    return test


@with_hostile
@texts
def test_a_line_is_one_line_of_characters_to_see(text):
    shown = plain(text)
    assert not re.search(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]", shown)
    assert not BIDI.search(shown)
    assert plain(shown) == shown
    assert plain_lines(text).replace("\n", "").replace("\t", "") == plain(text.replace("\n", "").replace("\t", ""))


def test_what_people_write_is_shown_as_it_is():
    said = "0,5 µg/m³ – “Küche” ≥ 21 °C, 1\u2009000\u00a0hPa, 客厅, غرفة 🌡"
    assert plain(said) == plain_lines(said) == said


@with_hostile
@texts
def test_json_says_the_same_in_characters_that_do_nothing(text):
    import json

    written = plain_json(json.dumps({text: [text]}, ensure_ascii=False, indent=2))
    assert json.loads(written) == {text: [text]}
    assert plain_lines(written) == written


def inside(tokens):
    for token in tokens:
        yield token
        yield from inside(token.children or ())


@with_hostile
@texts
def test_markdown_shows_the_characters_and_nothing_else(text):
    tokens = list(inside(COMMONMARK.parse(markdown(text))))
    assert {token.type for token in tokens} <= HARMLESS
    seen = "".join(token.content for token in tokens if token.type in {"text", "text_special", "code_inline"})
    assert re.sub(r"[\s’`]", "", seen) == re.sub(r"[\s’`]", "", plain_lines(text))
    by_itself = "".join(token.content if token.type.startswith("text") else "\0" for token in tokens)
    assert not URL_TEXT.search(by_itself)  # the UI's renderer makes links of what looks like one in a text


@with_hostile
@texts
def test_a_record_of_the_log_is_the_only_one_that_begins_its_lines(text):
    record = logging.LogRecord("name", logging.INFO, "path", 1, "%s: %s", ("hall", text), None)
    said = Formatter("%(levelname)s %(message)s").format(record)
    first, *others = said.split("\n")
    assert first.startswith("INFO hall: ")
    assert all(line.startswith("    ") for line in others)
    assert said == plain_lines(said)


def test_a_traceback_in_the_log_is_indented_and_has_no_password():
    try:
        int("http://admin:hunter2@10.0.0.1/ said \x1b[31m")
    except ValueError:
        record = logging.LogRecord("name", logging.ERROR, "path", 1, "failed", (), sys.exc_info())
    said = Formatter("%(levelname)s %(message)s").format(record)
    assert "hunter2" not in said
    assert "http://…@10.0.0.1/ said" in said
    assert said == plain_lines(said)
    assert [line for line in said.split("\n") if not line.startswith("    ")] == ["ERROR failed"]


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://192.168.1.32/circumstances", "http://192.168.1.32/circumstances"),
        ("http://admin:hunter2@192.168.1.32:8080/c", "http://…@192.168.1.32:8080/c"),
        ("http://hunter2@192.168.1.32", "http://…@192.168.1.32"),
        ("http://admin:hun/ter2@192.168.1.32/c", "http://…@192.168.1.32/c"),
        ("http://admin:hun?ter2@192.168.1.32/c", "http://…@192.168.1.32/c"),
        ("http://admin:hun#ter@2@192.168.1.32/c", "http://…@192.168.1.32/c"),
        ("http://admin:hun ter2@192.168.1 .32/c", "http://…@192.168.1 .32/c"),
        ("admin:hunter2@192.168.1.32/c", "…@192.168.1.32/c"),
        ("http://192.168.1.32/c?token=hunter2", "http://192.168.1.32/c?…"),
        ("http://[::1]:80/c#hunter2", "http://[::1]:80/c?…"),
        ("", ""),
    ],
)
def test_an_address_is_shown_without_its_secrets(url, shown):
    assert without_secrets(url) == shown
    assert without_secrets(without_secrets(url)) == without_secrets(url)


def test_so_is_one_in_the_middle_of_a_text():
    said = without_secrets_in("see 'http://a:hunter2@b/c' and https://d/?token=hunter2, or e@f")
    assert said == "see 'http://…@b/c' and https://d/?… or e@f"


def test_commands_write_by_one_module_alone():
    """Each of them escapes; a `typer.echo` elsewhere would not."""
    rooms = Path(air_pipeline.__file__).parent / "cli"
    writers, calls = set(), {"typer.echo", "typer.secho", "print", "click.echo"}
    for path in rooms.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in calls:
                writers.add(path.name)
    assert writers == {"terminal.py"}


@pytest.mark.parametrize("text", HOSTILE)
def test_the_ui_and_messages_get_it_escaped(text):
    from dataclasses import replace
    from datetime import UTC, datetime
    from zoneinfo import ZoneInfo

    from air_pipeline.assets.checks import check_result
    from air_pipeline.notifying.deciding import Change
    from air_pipeline.notifying.messages import change_message
    from air_pipeline.notifying.sending import mail
    from air_pipeline.settings.notify import Email

    found = replace(failure(text, f"see {text}", "hall"), check="devices_reporting")
    assert check_result(found).description == markdown(f"{text}; see {text}")
    now = datetime(2026, 11, 26, tzinfo=UTC)
    change = Change(("devices_reporting", "hall"), found, now, None)
    message = change_message("1", [change], ZoneInfo("UTC"), now, "here")
    item = message.items[0]
    for said in (message.title, message.text, item.text, item.detail, item.remedy):
        assert said == plain_lines(said)
    sent = mail(message, Email(("a@example.org",), "b@example.org", "localhost", 25)).as_string()
    assert plain_lines(sent) == sent
