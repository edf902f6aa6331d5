"""What programs and notebooks may rely on."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import air_pipeline
import air_pipeline.access
import air_pipeline.errors
from air_pipeline_tests.environments import VALID

PAGE = (Path(__file__).parents[1] / "docs" / "python.md").read_text(encoding="utf-8")


def test_public_names_are_sorted_and_each_once():
    assert air_pipeline.__all__ == sorted(set(air_pipeline.__all__))


def test_they_are_what_people_use_and_the_root_of_the_errors():
    assert set(air_pipeline.__all__) == {*air_pipeline.access.__all__, "AirPipelineError"}


@pytest.mark.parametrize("name", air_pipeline.__all__)
def test_each_is_the_one_of_its_room_is_seen_and_documented(name):
    home = air_pipeline.errors if name == "AirPipelineError" else air_pipeline.access
    assert getattr(air_pipeline, name) is getattr(home, name)
    assert name in dir(air_pipeline)
    assert re.search(rf"`{name}\b", PAGE)


def test_importing_the_package_loads_nothing_else():
    code = (
        "import sys, json; before = set(sys.modules); import air_pipeline; dir(air_pipeline);"
        "print(json.dumps(sorted(set(sys.modules) - before)))"
    )
    loaded = json.loads(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
    assert [name for name in loaded if name.split(".")[0] not in sys.stdlib_module_names] == ["air_pipeline"]


def test_an_archive_is_opened_without_pandas_which_the_first_question_brings(tmp_path):
    (tmp_path / "devices.yaml").write_text(VALID, encoding="utf-8")
    code = (
        "import sys; from air_pipeline import open_archive; air = open_archive(sys.argv[1]); air.units(); "
        "air.interval('-1d'); print('pandas' in sys.modules, 'pyarrow' in sys.modules); "
        "air.latest(); print('pandas' in sys.modules)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "devices.yaml")],
        env={**os.environ, "AIR_PIPELINE_STATE": str(tmp_path / "state")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout == "False False\nTrue\n"


def test_the_root_of_the_errors_loads_no_frames():
    code = "import sys; from air_pipeline import AirPipelineError; print('pandas' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


def test_an_unknown_name_is_said_as_python_says_it():
    with pytest.raises(AttributeError, match=r"^module 'air_pipeline' has no attribute 'open_archives'$"):
        air_pipeline.open_archives  # noqa: B018


def test_a_room_is_imported_as_before():
    code = "from air_pipeline import settings; print(settings.__name__)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "air_pipeline.settings\n"
