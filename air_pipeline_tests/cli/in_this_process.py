"""Commands run in the tests' own process, which saves each the seconds that its imports take."""

import os
import sys
from functools import partial

import pytest

from air_pipeline.cli import main
from air_pipeline.health import probing
from air_pipeline_tests.waiting import WITHIN_S


def in_this_process(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: object
) -> tuple[int, str, str]:
    """Runs `air-pipeline` with arguments: its exit status, what it printed and what it said beside it."""
    monkeypatch.setattr(sys, "argv", ["air-pipeline", *map(str, arguments)])
    capsys.readouterr()
    umask = os.umask(0o022)
    os.umask(umask)
    try:
        main()
        status = 0
    except SystemExit as ended:
        status = int(ended.code or 0)
    finally:
        os.umask(umask)  # some commands set it for their process
    return status, *capsys.readouterr()


def give_doctor_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A look at what answers comes to its end, however slow the machine is."""
    from air_pipeline.cli import doctor  # with Dagster, which other commands do without

    monkeypatch.setattr(doctor, "lines", partial(probing.lines, within_s=WITHIN_S))
    monkeypatch.setattr(doctor, "WITHIN_S", WITHIN_S)
