import ast
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

import air_pipeline

PACKAGE = Path(air_pipeline.__file__).parent

# The rooms from the ground up: each may import from those above it in this list, never from its own line or below.
FLOORS = (
    ("places",),
    ("boottime", "errors", "naming", "netloc", "processes", "replacing", "showing", "tls", "units", "words"),
    ("records",),
    ("catalogue", "processing.local_time"),
    ("devices.kinds",),
    ("settings",),
    ("state",),
    ("in_force",),
    ("times",),
    ("environment",),
    ("devices",),
    ("processing",),
    ("storage",),
    ("deployment",),
    ("collection",),
    ("days", "reports"),
    ("accepting", "access", "exporting", "health", "importing", "marking", "restoring"),
    ("notifying", "instance"),
    ("assets",),
    ("automation",),
    ("definitions",),
    ("running",),
    ("cli",),
    ("__main__",),
)

# Beyond the floors: what a room may import of ours and nothing else.
ONLY = {
    "catalogue": set(),
    "devices.kinds": {"catalogue", "errors", "showing", "units", "words"},
    "settings": {"catalogue", "devices.kinds", "errors", "processing.local_time", "showing", "units"},
    "state": {"settings", "replacing"},
    "in_force": {"settings", "state"},
    "times": {"errors", "processing.local_time"},
    "environment": {"places", "replacing", "settings", "showing", "state"},
    "devices": {"boottime", "words", "errors", "catalogue", "devices.kinds", "settings", "showing", "tls"},
    "processing": {"errors", "catalogue", "settings", "devices", "processing.local_time"},
    "storage": {
        "places",
        "boottime",
        "processing.local_time",
        "state",
        "replacing",
        "errors",
        "settings",
        "devices",
        "processing",
        "tls",
    },
    "deployment": {"places", "in_force", "state", "settings", "environment", "storage"},
    "collection": {
        "naming",
        "words",
        "in_force",
        "boottime",
        "netloc",
        "records",
        "replacing",
        "state",
        "errors",
        "settings",
        "environment",
        "deployment",
        "devices",
        "processing.local_time",
        "showing",
        "storage",
    },
    "days": {
        "environment",
        "places",
        "in_force",
        "words",
        "errors",
        "settings",
        "state",
        "deployment",
        "devices",
        "processing",
        "processing.local_time",
        "storage",
        "times",
    },
    "exporting": {
        "naming",
        "places",
        "errors",
        "catalogue",
        "replacing",
        "settings",
        "deployment",
        "devices",
        "processing",
        "processing.local_time",
        "storage",
        "times",
    },
    "health": {
        "places",
        "in_force",
        "words",
        "errors",
        "catalogue",
        "settings",
        "state",
        "environment",
        "deployment",
        "devices",
        "devices.kinds",
        "collection",
        "processing",
        "processing.local_time",
        "showing",
        "storage",
        "days",
    },
    "importing": {
        "in_force",
        "units",
        "errors",
        "catalogue",
        "settings",
        "state",
        "environment",
        "deployment",
        "devices",
        "devices.kinds",
        "collection",
        "processing.local_time",
        "storage",
        "days",
    },
    "accepting": {"replacing", "settings", "showing"},
    "marking": {"in_force", "replacing", "settings", "deployment", "storage", "processing.local_time"},
    "restoring": {"errors", "replacing", "state", "environment", "collection", "storage"},
    "notifying": {
        "errors",
        "settings",
        "showing",
        "state",
        "collection",
        "health",
        "storage",
        "processing.local_time",
        "words",
    },
    "reports": {
        "errors",
        "catalogue",
        "settings",
        "deployment",
        "devices",
        "processing",
        "processing.local_time",
        "showing",
        "storage",
    },
    "instance": {"boottime", "errors", "processes", "replacing", "words", "settings", "environment", "health"},
    "access": {"errors", "settings", "deployment", "processing", "processing.local_time", "storage", "days", "times"},
}

MAY_IMPORT_DAGSTER = {"assets", "automation", "instance", "running", "definitions", "cli"}

# What is imported from Dagster's private modules, and why there is no public way: to be looked at with each release.
PRIVATE_OF_DAGSTER = {
    "dagster._core.definitions.asset_checks.asset_check_evaluation.AssetCheckEvaluationTargetMaterializationData": (
        "AssetCheckEvaluation, which is public, says of which materialization it is by this alone."
    ),
    "dagster._core.definitions.data_version.DATA_VERSION_TAG": (
        "An event of a sensor has a data version by this tag only: AssetMaterialization takes no DataVersion."
    ),
    "dagster._core.instance.ref.InstanceRef": (
        "Only a reference takes overrides of dagster.yaml; DagsterInstance.from_config takes none."
    ),
    "dagster._core.run_coordinator.base.SubmitRunContext": (
        "What a run coordinator is given: QueuedRunCoordinator, which is public, names it in its signature."
    ),
    "dagster._core.storage.event_log.sql_event_log.SqlEventLogStorage": (
        "Nothing public prunes events; what a database keeps of them is reached by its connection alone."
    ),
    "dagster._core.storage.event_log.sqlite.sqlite_event_log": (
        "The storage in files makes an engine for each connection and takes no other; half of what an event costs."
    ),
    "dagster._core.storage.tags.GRPC_INFO_TAG": "Only this tag says which code server a run was given to.",
    "dagster._core.storage.tags.PARTITION_NAME_TAG": (
        "A run says its partition in this tag only, and runs are found by it; DagsterRun has no partition_key."
    ),
}

# What only a place in an object store needs: half a second and 60 MB.
OF_OBJECT_STORES = ("fsspec", "s3fs", "aiobotocore", "botocore")

# Modules that stand on another floor than the room they are in: what needs only the time zone's rules can be used by
# everybody, and the settings know the kinds of devices.
ROOMS_OF_THEIR_OWN = {"processing.local_time", "devices.kinds"}


def modules():
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


MODULES = dict(modules())


def room(module):
    """The room of a module of ours, named without the package."""
    own = (one for one in ROOMS_OF_THEIR_OWN if module == one or module.startswith(f"{one}."))
    return next(own, module.split(".")[0])


def imports(path):
    """Everything that a module imports, wherever in it, types included."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} has a relative import"
            if node.module == "air_pipeline":
                yield from (f"air_pipeline.{name.name}" for name in node.names)
            else:
                yield node.module


def ours(path):
    return {name.removeprefix("air_pipeline.") for name in imports(path) if name.startswith("air_pipeline.")}


def floor(name):
    return next(number for number, rooms in enumerate(FLOORS) if name in rooms)


def test_every_room_has_its_place():
    rooms = {room(module) for module in MODULES if module}
    assert rooms == {name for names in FLOORS for name in names}


@pytest.mark.parametrize("module", [module for module in MODULES if module])
def test_imports_go_one_way(module):
    own = room(module)
    for imported in ours(MODULES[module]):
        other = room(imported)
        if other != own:
            assert floor(other) < floor(own), f"{module} imports {imported}"
            assert other in ONLY.get(own, {other}), f"{module} imports {imported}"


@pytest.mark.parametrize("module", [module for module in MODULES if room(module) not in MAY_IMPORT_DAGSTER])
def test_only_the_edges_import_dagster(module):
    assert not [name for name in imports(MODULES[module]) if name.split(".")[0].startswith("dagster")]


def test_dagster_s_private_names_are_those_of_the_list():
    found = {name for path in MODULES.values() for name in imported_names(path) if is_private_of_dagster(name)}
    assert found == set(PRIVATE_OF_DAGSTER)


def imported_names(path):
    """Everything that a module imports, each with where it is from."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import | ast.ImportFrom):
            home = f"{node.module}." if isinstance(node, ast.ImportFrom) else ""
            yield from (f"{home}{name.name}" for name in node.names)


def is_private_of_dagster(name):
    package, *inside = name.split(".")
    return package.startswith("dagster") and any(part.startswith("_") for part in inside)


@pytest.mark.parametrize("module", MODULES)
def test_imports_are_at_the_top_or_say_what_they_spare(module):
    lines = MODULES[module].read_text(encoding="utf-8").splitlines()
    for function in ast.walk(ast.parse("\n".join(lines))):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            for node in (node for node in ast.walk(function) if isinstance(node, ast.Import | ast.ImportFrom)):
                beside = [line for line in lines[node.lineno - 3 : node.end_lineno] if "# " in line]
                assert beside, f"{module} line {node.lineno}: an import inside a function without a reason beside it"


@pytest.mark.parametrize("module", MODULES)
def test_every_module_says_what_it_is(module):
    docstring = ast.get_docstring(ast.parse(MODULES[module].read_text(encoding="utf-8")))
    assert docstring
    assert docstring.splitlines()[0].endswith((".", ":"))


def loaded_by(module, *suspects):
    """Which of the suspects a fresh interpreter has loaded after an import, with the chain of modules that did it."""
    program = f"""
import sys, json
class Watch:
    def find_spec(self, name, path=None, target=None):
        if name in {suspects!r} and name not in first:
            frame, chain = sys._getframe(1), []
            while frame:
                by = frame.f_globals.get('__name__', '')
                if by.startswith('air_pipeline') and by not in chain: chain.append(by)
                frame = frame.f_back
            first[name] = chain
first = {{}}
sys.meta_path.insert(0, Watch())
import {module}
print(json.dumps(first))
"""
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return found.stdout.strip()


@pytest.mark.parametrize(
    ("module", "heavy"),
    [
        (
            "air_pipeline.collection.process",
            ("dagster", "pandas", "pyarrow", "numpy", "pandera", "typer", "rich", "requests", "urllib3", "http.server"),
        ),
        (
            "air_pipeline.cli",
            ("dagster", "pandas", "pyarrow", "numpy", "pandera", "influxdb_client", "pydantic", "rich"),
        ),
        ("air_pipeline.cli.collect", ("dagster", "pandas", "pyarrow", "numpy", "pandera", "rich")),
        ("air_pipeline.cli.poll", ("dagster", "pandas", "pyarrow", "numpy", "pandera", "rich")),
        ("air_pipeline.cli.init", ("dagster", "pandas", "pyarrow", "numpy", "pandera", "rich")),
        ("air_pipeline.access", ("dagster", "pandas", "pyarrow", "numpy", "pandera", "requests", "rich")),
        *(
            (f"air_pipeline.cli.{command}", ("dagster", "pandas", "pyarrow", "numpy", "pandera"))
            for command in ("doctor", "latest", "outbox", "reading", "report")
        ),
        ("air_pipeline.cli.up", ("dagster", "pandas", "pyarrow", "numpy", "pandera", "rich")),
        (
            "air_pipeline.environment",
            ("dagster", "pandas", "pyarrow", "numpy", "pandera", "requests", "influxdb_client"),
        ),
        ("air_pipeline.definitions", ("pandas", "pyarrow", "pandera", "numpy", "requests", "influxdb_client")),
        (
            "air_pipeline.storage.influxdb",
            ("pandas", "pyarrow", "numpy", "influxdb_client", "requests", "urllib3"),
        ),
        ("air_pipeline.storage.influxdb_client_requests", ("pandas", "pyarrow")),
        ("air_pipeline.devices.simulator", ("numpy",)),
    ],
)
def test_an_import_loads_nothing_heavy(module, heavy):
    assert loaded_by(module, *heavy, *OF_OBJECT_STORES) == "{}"


def test_the_watch_sees_what_is_loaded():
    assert loaded_by("air_pipeline.processing.observations", "pandas") == (
        '{"pandas": ["air_pipeline.processing.observations"]}'
    )


def test_floors_name_each_room_once():
    names = sorted(name for names in FLOORS for name in names)
    assert all(one != other for one, other in pairwise(names))
