"""Commands in the tests' own process, as a shell runs them."""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from air_pipeline_tests.cli.in_this_process import in_this_process
from air_pipeline_tests.running_pipeline import (
    Installation,
    has_colour,
    today,
)

INFLUXDB = ("INFLUXDB_V2_URL", "INFLUXDB_V2_TOKEN", "INFLUXDB_V2_ORG", "INFLUXDB_V2_BUCKET")


@dataclass(frozen=True)
class Ran:
    """How a command ended."""

    status: int
    out: str
    err: str


class Shell(Installation):
    """An installation whose commands run in the tests' own process."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        super().__init__(folder)
        self._monkeypatch = monkeypatch
        self._capsys = capsys

    def __call__(self, *arguments: str) -> Ran:
        with self._monkeypatch.context() as patch:
            for name in ("AIR_PIPELINE_CONFIG", "AIR_PIPELINE_STATE", *INFLUXDB):
                patch.delenv(name, raising=False)
            for name, value in self.variables.items():
                patch.setenv(name, value)
            patch.chdir(self.folder)
            return Ran(*in_this_process(patch, self._capsys, *arguments))

    def refused(self, *arguments: str, status: int) -> str:
        """What a command that fails says: sentences, nothing else."""
        ran = self(*arguments)
        assert ran.status == status, ran
        assert ran.out == ""
        assert ran.err.strip()
        assert not has_colour(ran.err)
        return " ".join(ran.err.split())

    def use_influxdb(self, url: str) -> None:
        self.influxdb.update(dict(zip(INFLUXDB, (url, "secret", "home", "air"), strict=True)))


def seeded(home: Shell) -> Shell:
    home.seed(0, [today() - timedelta(days=1)], 600_000)
    return home
