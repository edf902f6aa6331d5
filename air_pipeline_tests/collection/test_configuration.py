"""When a changed configuration is taken up."""

from pathlib import Path

import pytest

from air_pipeline.collection.configuration import Configuration
from air_pipeline.environment import Environment
from air_pipeline.settings import Settings
from air_pipeline.settings.marks import marks_file
from air_pipeline.state import StateDirectory

WHOLE = """timezone: Europe/Warsaw
start: 2026-11-01
devices:
  - {id: a, url: "http://192.168.1.32/"}
  - {id: b, url: "http://192.168.1.33/"}
"""
HALF = WHOLE[: WHOLE.index("  - {id: b")]


@pytest.fixture
def configuration(tmp_path: Path) -> Configuration:
    (tmp_path / "devices.yaml").write_text(WHOLE.replace("id: b", "id: old"), encoding="utf-8")
    return Configuration(Environment(tmp_path / "devices.yaml", StateDirectory(tmp_path / "state"), tmp_path))


def names(settings: Settings | None) -> list[str] | None:
    return None if settings is None else [device.id for device in settings.devices]


def test_a_file_is_taken_up_once_it_has_been_still_for_a_look(configuration: Configuration, tmp_path: Path) -> None:
    configuration.look()
    assert configuration.changed() is None
    (tmp_path / "devices.yaml").write_text(HALF, encoding="utf-8")
    configuration.look()
    with (tmp_path / "devices.yaml").open("a", encoding="utf-8") as file:
        file.write(WHOLE.removeprefix(HALF))
    configuration.look()
    assert configuration.changed() is None
    assert names(configuration.settings) == ["a", "old"]
    configuration.look()
    assert names(configuration.changed()) == ["a", "b"]
    configuration.look()
    assert configuration.changed() is None


def test_of_an_invalid_file_nothing_is_taken_up_and_it_is_said_once(
    configuration: Configuration, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "devices.yaml").write_text(f"{WHOLE}intervall: 3s\n", encoding="utf-8")
    for _ in range(4):
        configuration.look()
    assert configuration.changed() is None
    assert names(configuration.settings) == ["a", "old"]
    assert caplog.text.count("did you mean interval?") == 1


def test_marks_have_nothing_to_do_with_collecting(
    configuration: Configuration, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    marks_file(tmp_path / "devices.yaml").write_text("- nonsense\n", encoding="utf-8")
    (tmp_path / "devices.yaml").write_text(WHOLE, encoding="utf-8")
    for _ in range(4):
        configuration.look()
    assert names(configuration.changed()) == ["a", "b"]
    assert "nonsense" not in caplog.text
