"""docs/commands.md is what the commands say of themselves; a section that differs is shown as it should be."""

import re
from pathlib import Path
from typing import Any

import pytest

from air_pipeline.cli import COMMANDS as LISTED
from air_pipeline.cli import load_command

PAGE = Path(__file__).parents[1] / "docs" / "commands.md"
COMMANDS: dict[str, Any] = {name: load_command(name) for name in LISTED}


def section(name: str) -> str:
    """The begin of a command's section: what it is for, an example, its arguments and options."""
    command = COMMANDS[name]
    what, _, example = command.help.partition("Example: ")
    text = f"## {name}\n\n{what.strip()}\n\n    {example.strip()}\n"
    context = command.make_context(name, [], resilient_parsing=True)
    rows = [
        f"| `{name_of(one)}` | {' '.join(record[1].split())} |\n"
        for one in command.params
        if (record := one.get_help_record(context)) and one.name != "help"
    ]
    return text + ("\n| | |\n|---|---|\n" + "".join(rows) if rows else "")


def name_of(parameter: Any) -> str:
    """How a parameter is written: `--force`, `--port PORT`, `[DEVICES...]`."""
    if parameter.param_type_name == "argument":
        return f"[{parameter.name.upper()}...]" if parameter.nargs == -1 else f"[{parameter.name.upper()}]"
    word = parameter.opts[0].lstrip("-").upper()
    return ", ".join(parameter.opts) + ("" if parameter.is_flag else f" {word}")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_described_as_it_describes_itself(name: str) -> None:
    wanted = section(name)
    found = re.search(rf"^## {name}\n.*?(?=^## |\Z)", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert found, f"docs/commands.md lacks:\n\n{wanted}"
    assert found[0].startswith(wanted), f"the section in docs/commands.md should begin with:\n\n{wanted}"


def test_nothing_else_is_described() -> None:
    headings = re.findall(r"^## (.*)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert set(headings) == {*COMMANDS, "Common to all"}


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_of_commands_says_what_each_command_says(name: str) -> None:
    """A line of the list is the begin of the command's own first sentence."""
    first = " ".join(COMMANDS[name].help.split())
    assert first.startswith(LISTED[name].help.removesuffix("."))
