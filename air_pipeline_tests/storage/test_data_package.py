"""datapackage.json is checked by frictionless, and DuckDB finds with it what it says there is."""

import json

import duckdb
import frictionless
import pytest

from air_pipeline.processing.columns import TABLES
from air_pipeline.storage.commit import commit_day
from air_pipeline.storage.data_package import DATA_PACKAGE, describe_tables
from air_pipeline_tests.days.deployments import AFTER, DAY, build, deployment, device, forget, seed, window

TYPES = {
    "string": "VARCHAR",
    "number": "DOUBLE",
    "boolean": "BOOLEAN",
    "date": "DATE",
    "integer": "INT",
    "datetime": "TIME",
}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Two days, committed, with slots that were missed."""
    deployed = deployment(tmp_path_factory.mktemp("described"), device(), device("cellar"))
    seed(deployed, (DAY, AFTER))
    forget(deployed, "cellar", window()[0], window()[0] + 7_200_000, tables=("air", "poll"))
    for day in (DAY, AFTER):
        build(deployed, day)
        assert commit_day(deployed.data, day) == ""
    return deployed.data


def described(data):
    return json.loads((data / DATA_PACKAGE).read_text(encoding="utf-8"))


@pytest.mark.parametrize("number", range(3), ids=TABLES)
def test_a_table_is_found_by_its_description_and_is_as_described(data, number):
    package = described(data)
    assert list(frictionless.Package.metadata_validate(package)) == []
    resource = package["resources"][number]
    table = duckdb.read_parquet(str(data / resource["path"]), hive_partitioning=True)
    fields = resource["schema"]["fields"]
    assert sorted(table.columns) == sorted(field["name"] for field in fields)
    for field in fields:
        assert TYPES[field["type"]] in str(table.types[table.columns.index(field["name"])]), field
    rows = [dict(zip(table.columns, row, strict=True)) for row in table.fetchall()]
    assert {row["date"] for row in rows} == {DAY, AFTER}
    some = [{field["name"]: row[field["name"]] for field in fields} for row in rows[:: max(1, len(rows) // 100)]]
    for field in fields:  # frictionless knows the categories of version 2 for texts alone
        field.pop("categories", None)
    report = frictionless.Resource(data=some, schema=frictionless.Schema.from_descriptor(resource["schema"])).validate()
    assert report.valid, report.flatten(["fieldName", "message"])
    keys = {tuple(row[name] for name in resource["schema"]["primaryKey"]) for row in rows}
    assert len(keys) == len(rows) > 3


def test_flags_units_and_rules_are_told(data):
    fields = {field["name"]: field for field in described(data)["resources"][0]["schema"]["fields"]}
    assert {one["value"]: one["label"] for one in fields["flag"]["categories"]}[3] == "suspect"
    assert fields["rules"]["bits"]["flat_line"] == 1024
    assert fields["utc_offset_minutes"]["unit"] == "min"


def test_the_days_that_come_do_not_touch_it_and_what_others_wrote_stays(data, tmp_path):
    path = data / DATA_PACKAGE
    before = path.stat()
    assert commit_day(data, DAY) == ""
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)

    describe_tables(tmp_path)
    assert (tmp_path / DATA_PACKAGE).read_bytes() == path.read_bytes()
    theirs = described(data) | {"title": "My flat", "licenses": [{"name": "CC-BY-4.0"}]}
    theirs["resources"] = [{"name": "plan", "path": "plan.pdf"}, {"name": "observations", "path": "old.parquet"}]
    (tmp_path / DATA_PACKAGE).write_text(json.dumps(theirs), encoding="utf-8")
    describe_tables(tmp_path)
    merged = described(tmp_path)
    assert (merged["title"], merged["licenses"]) == ("My flat", [{"name": "CC-BY-4.0"}])
    assert [one["name"] for one in merged["resources"]] == [*TABLES, "plan"]
    assert merged["resources"][0] == described(data)["resources"][0]

    for content in ("{", "[]", "\ud800".encode("utf-16-le", "surrogatepass").decode("latin-1")):
        (tmp_path / DATA_PACKAGE).write_text(content, encoding="utf-8")
        describe_tables(tmp_path)
        assert (tmp_path / DATA_PACKAGE).read_text(encoding="utf-8") == content


def test_a_day_counts_whatever_becomes_of_its_description(tmp_path):
    deployed = deployment(tmp_path)
    seed(deployed)
    build(deployed)
    (deployed.data / DATA_PACKAGE).mkdir()
    assert commit_day(deployed.data, DAY) == ""


def test_it_has_the_rights_of_the_data_directory(tmp_path):
    tmp_path.chmod(0o2750)
    describe_tables(tmp_path)
    assert (tmp_path / DATA_PACKAGE).stat().st_mode & 0o777 == 0o640
