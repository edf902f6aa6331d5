"""What the pages for programs say is done: their snippets are run, their lists compared with the code."""

import inspect
import os
import re
import shlex
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from air_pipeline.access import Archive, AsyncArchive
from air_pipeline.deployment import Deployment
from air_pipeline.devices.simulator import Profile, Simulator
from air_pipeline.devices.simulator.history import polls_between
from air_pipeline.processing.local_time import day_window, epoch_ms
from air_pipeline.settings.file import read_settings
from air_pipeline_tests.cli.shell import Shell
from air_pipeline_tests.days.deployments import build
from air_pipeline_tests.influxdb_server import InfluxServer
from air_pipeline_tests.running_pipeline import Installation, now_ms, today
from air_pipeline_tests.waiting import WITHIN_S

DOCS = Path(__file__).parents[1] / "docs"
MINUTE = 60_000
DEVICE_URL = "http://192.168.1.32/circumstances"

AHTTPDC = {
    "DatabaseInterface": ("daemon", "query_latest", "query_historical", "query_custom_async", "query_custom_sync"),
    "DataDaemon": ("enable", "disable", "sensors", "interval"),
    "AsyncFetcher": ("request_readings",),
    "JSONInfluxParser": ("parse",),
    "AsyncCollector": ("store_readings",),
    "AsyncQuery": ("latest", "historical", "custom_async", "custom_sync", "sensors", "db_url"),
    "DataParser": ("into_dataframe", "tables"),
}
"""The public classes of ahttpdc 2.0.6 with their public methods and attributes."""
ARGUMENTS = (
    "sensors", "db_host", "db_port", "db_token", "db_org", "db_bucket", "srv_ip", "srv_port", "handle", "interval"
)  # fmt: skip


def page(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def fill(home: Installation) -> None:
    """Polls every ten minutes since the beginning of the day before yesterday, which is built, until now."""
    settings = read_settings(home.config)
    first = today() - timedelta(days=2)
    with closing(Deployment(home.environment, settings).store) as store:
        for device in settings.devices:
            past = replace(device, interval_ms=10 * MINUTE)
            start = epoch_ms(day_window(first, device.zone)[0])
            store.write(list(polls_between(past, Profile(device.id), start, now_ms())))
        build(Deployment(home.environment, settings), first)


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with Simulator(["living-room"]) as running:
        yield running


@pytest.fixture
def home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], simulator: Simulator
) -> Shell:
    """Somebody who has written the `devices.yaml` of the page and collected into the embedded store since."""
    shell = Shell(tmp_path, monkeypatch, capsys)
    [settings] = blocks(page("from-ahttpdc.md"), "yaml")
    assert DEVICE_URL in settings
    shell.config.write_text(settings.replace(DEVICE_URL, simulator.url("living-room")), encoding="utf-8")
    return shell


def run_snippets(home: Shell, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Runs the page's Python, then its commands, each as the page has it but for the names of this deployment."""
    for variable, value in home.variables.items():
        monkeypatch.setenv(variable, value)
    monkeypatch.chdir(home.folder)
    namespace: dict[str, object] = {}
    for snippet in blocks(page(name), "python"):
        code = snippet.replace(".air_pipeline/data", str(home.environment.data))
        code = code.replace('"air"', f'"{home.environment.influxdb.bucket}"') if home.environment.influxdb else code
        if ".flux(" in code and not home.environment.influxdb:
            continue
        exec(compile(code, name, "exec"), namespace)  # noqa: S102 - our own page
    frames = [value for value in namespace.values() if hasattr(value, "columns")]
    assert frames
    assert all(len(frame) for frame in frames)
    for snippet in blocks(page(name), "sh"):
        for line in snippet.splitlines():
            program, *arguments = shlex.split(line)
            assert program == "air-pipeline"
            ran = home(*arguments)
            assert ran.status == 0, ran
            assert ran.out or "rows written to" in ran.err


@pytest.mark.parametrize("name", ["python.md", "from-ahttpdc.md", "calibration.md"])
def test_the_snippets_of_a_page_run(home: Shell, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    fill(home)
    run_snippets(home, monkeypatch, name)


@pytest.mark.influxdb
def test_the_snippets_for_who_comes_from_ahttpdc_run_on_influxdb(
    home: Shell, influxdb: InfluxServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = influxdb.connection()
    named = {"URL": environment.url, "TOKEN": environment.token, "ORG": environment.org, "BUCKET": environment.bucket}
    home.influxdb.update({f"INFLUXDB_V2_{name}": value for name, value in named.items()})
    fill(home)
    run_snippets(home, monkeypatch, "from-ahttpdc.md")


@pytest.mark.parametrize("name", AHTTPDC)
def test_what_takes_the_place_of_a_class_of_ahttpdc_is_told(name: str) -> None:
    sections = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", page("from-ahttpdc.md"), re.MULTILINE | re.DOTALL))
    for member in AHTTPDC[name]:
        assert f"`{member}`" in sections[name] or f"### {member}\n" in sections[name], member


def test_where_the_arguments_of_ahttpdc_go_is_told() -> None:
    for argument in ARGUMENTS:
        assert re.search(rf"^\|.*`{argument}`.*\| .+ \|$", page("from-ahttpdc.md"), re.MULTILINE), argument


def test_what_was_before_is_not_mistaken_for_what_is_now() -> None:
    text = page("from-ahttpdc.md")
    assert len(blocks(text, "py")) >= 5
    assert not any("air_pipeline" in snippet or "open_archive" in snippet for snippet in blocks(text, "py"))


def test_every_public_method_is_on_the_page_of_program_access() -> None:
    documented = re.findall(r"^\| `(\w+)(\([^`]*\))?` \|", page("python.md"), re.MULTILINE)
    public = {name for name in dir(Archive) if not name.startswith("_")}
    assert {name for name, _ in documented} == public
    for name, arguments in documented:
        if arguments:
            _, *parameters = inspect.signature(getattr(Archive, name)).parameters
            assert arguments == f"({', '.join(parameters)})"
    for name in (name for name in dir(AsyncArchive) if not name.startswith("_")):
        assert name in public or name == "archive"


def notebook() -> nbformat.NotebookNode:
    return nbformat.read(DOCS / "notebook.ipynb", as_version=4)


def test_the_notebook_is_valid_and_keeps_no_outputs() -> None:
    found = notebook()
    nbformat.validate(found)
    cells = [cell for cell in found.cells if cell.cell_type == "code"]
    assert len(cells) >= 8
    assert not any(cell.outputs or cell.execution_count for cell in cells)


@pytest.mark.slow
@pytest.mark.parametrize("by", ["environment", "directory"])
def test_the_notebook_shows_something_in_every_cell(
    home: Shell, monkeypatch: pytest.MonkeyPatch, by: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Started anywhere with the variables set, or in its own directory inside the project's."""
    variables = {**home.variables, "IPYTHONDIR": str(tmp_path_factory.mktemp("ipython"))}
    if by == "directory":
        for name in ("AIR_PIPELINE_CONFIG", "AIR_PIPELINE_STATE"):
            del variables[name]
        (home.folder / ".air_pipeline").symlink_to(home.folder / "state")
        (home.folder / "docs").mkdir()
    fill(home)
    for name in set(os.environ) - set(variables):
        monkeypatch.delenv(name)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    cwd = home.folder / "docs" if by == "directory" else tmp_path_factory.mktemp("elsewhere")
    run = NotebookClient(
        notebook(), timeout=int(WITHIN_S), kernel_name="python3", resources={"metadata": {"path": str(cwd)}}
    )
    done = run.execute()
    for cell in done.cells:
        if cell.cell_type != "code" or "setup" in cell.metadata.get("tags", []):
            continue
        # A library may have said something beside, as matplotlib does where it is used for the first time.
        [*_, output] = [output for output in cell.outputs if output.output_type != "stream"]
        assert output.output_type in {"execute_result", "display_data"}, cell.id
        shown = output.data["text/plain"]
        assert "Empty DataFrame" not in shown, cell.id
        assert "(0," not in shown, cell.id
        assert "No day is built" not in shown
    assert any(
        "image/png" in output.data for cell in done.cells for output in cell.get("outputs", []) if "data" in output
    )
