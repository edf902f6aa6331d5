"""Commands run in the tests' own process, which saves each the seconds that its imports take."""

import sys

import pytest

from air_pipeline.cli import main


def in_this_process(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: object
) -> tuple[int, str, str]:
    """Runs `air-pipeline` with arguments: its exit status, what it printed and what it said beside it."""
    monkeypatch.setattr(sys, "argv", ["air-pipeline", *map(str, arguments)])
    capsys.readouterr()
    try:
        main()
        status = 0
    except SystemExit as ended:
        status = int(ended.code or 0)
    return status, *capsys.readouterr()
