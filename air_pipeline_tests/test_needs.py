"""No test goes missing from CI because something that it needs is not there."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from air_pipeline_tests.influxdb_server import open_server
from air_pipeline_tests.many_servers import needed
from air_pipeline_tests.needs import need_root
from air_pipeline_tests.sites import sites


def without_root(_: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    need_root("only root hides files")


def without_a_program(_: Path, __: pytest.MonkeyPatch) -> None:
    needed("no-such-program")


def without_influxd(folder: Path, _: pytest.MonkeyPatch) -> None:
    open_server({"AIR_PIPELINE_INFLUXD": str(folder / "influxd")}, folder)


def without_ip(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(folder))
    with sites(1):
        pass


def without_namespaces(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container that has the programs and may not use them."""
    for name in ("ip", "nsenter"):
        (folder / name).write_text("#!/bin/sh\necho Operation not permitted >&2\nexit 1\n", encoding="utf-8")
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    with sites(1):
        pass


WITHOUT = [without_root, without_a_program, without_influxd, without_ip, without_namespaces]


@pytest.mark.parametrize("go", WITHOUT)
@pytest.mark.parametrize(("ci", "ended"), [("true", pytest.fail.Exception), ("", pytest.skip.Exception)])
def test_what_is_not_there_is_a_failure_in_ci_and_elsewhere_a_test_that_is_skipped(
    go: Callable[[Path, pytest.MonkeyPatch], None],
    ci: str,
    ended: type[BaseException],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CI", ci)
    with pytest.raises(ended):
        go(tmp_path, monkeypatch)
