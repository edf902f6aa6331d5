"""The Grafana dashboard: its structure, and each of its queries on a real InfluxDB."""

import json
import re
import secrets
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from air_pipeline.catalogue import STATION
from air_pipeline.devices.polls import Outcome, Poll
from air_pipeline.devices.simulator import Profile
from air_pipeline.devices.simulator.history import polls_between
from air_pipeline.settings import Device
from air_pipeline.storage.influxdb import InfluxStore
from air_pipeline_tests.influxdb_server import InfluxServer
from air_pipeline_tests.waiting import WITHIN_S

DEPLOY = Path(__file__).parents[2] / "deploy"
DASHBOARD: dict[str, Any] = json.loads((DEPLOY / "grafana/air-pipeline.json").read_text(encoding="utf-8"))
PANELS: list[dict[str, Any]] = DASHBOARD["panels"]
VARIABLES = {one["name"]: one for one in DASHBOARD["templating"]["list"]}
QUERIES = [(panel["title"], target["query"]) for panel in PANELS for target in panel["targets"]]
UNITS = {"celsius": "°C", "humidity": "%", "pressurehpa": "hPa", "lengthm": "m", "ppm": "ppm"}
HOUR = 3_600_000
START = 1_780_000_000_000 // HOUR * HOUR
BUCKET = f"dashboard-{secrets.token_hex(4)}"


def test_panels_have_ids_of_their_own_and_do_not_overlap() -> None:
    assert len({panel["id"] for panel in PANELS}) == len(PANELS)
    for one, other in combinations([panel["gridPos"] for panel in PANELS], 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        assert beside or one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"], (one, other)
    assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for panel in PANELS)


def test_everything_asks_the_data_source_that_is_chosen() -> None:
    assert VARIABLES["datasource"]["type"] == "datasource"
    asking = [*PANELS, *(target for panel in PANELS for target in panel["targets"])]
    asking += [one for one in VARIABLES.values() if one["type"] == "query"]
    assert {one["datasource"]["uid"] for one in asking} == {"${datasource}"}


def test_only_variables_that_there_are_are_used() -> None:
    used = set(re.findall(r"\$\{?(\w+)", json.dumps(DASHBOARD)))
    assert used - {"__interval", "__all", "timeFilter", "tag_device", "col"} == set(VARIABLES)


def test_each_series_of_the_station_is_shown_with_its_unit() -> None:
    shown = {
        series: UNITS[panel["fieldConfig"]["defaults"]["unit"]]
        for panel in PANELS
        if panel["type"] == "timeseries"
        for target in panel["targets"]
        for series in re.findall(r'mean\("(\w+)"\)', target["query"])
    }
    assert shown == {parameter.series: parameter.unit for parameter in STATION}


def test_each_outcome_is_counted() -> None:
    [panel] = [panel for panel in PANELS if panel["title"] == "Outcomes of polls"]
    assert [target["alias"] for target in panel["targets"]] == [
        outcome.value for outcome in Outcome if outcome not in {Outcome.IMPORTED, Outcome.ENDED}
    ]  # which nothing writes yet
    for target in panel["targets"]:
        assert f"\"outcome\" = '{target['alias']}'" in target["query"]


def test_gaps_are_gaps() -> None:
    for panel in PANELS:
        if panel["type"] == "timeseries":
            assert panel["fieldConfig"]["defaults"]["custom"]["spanNulls"] is False
            assert all(re.search(r"fill\((null|0)\)$", target["query"]) for target in panel["targets"])


def filled_in(query: str) -> str:
    """A query as Grafana would send it for both devices."""
    values = {
        "$timeFilter": f"time >= {START}ms AND time < {START + 2 * HOUR}ms",
        "$__interval": "10m",
        "$device": "(attic|cellar)",
        "$bucket": BUCKET,
    }
    for name, value in values.items():
        query = query.replace(name, value)
    assert "$" not in query.replace("$/", "")
    return query


@pytest.fixture(scope="session")  # tests may come back to a worker, and the bucket is there then
def ask(influxdb_server: InfluxServer) -> Any:
    """Asks a bucket with two hours of two devices and every outcome; gives the series of the result."""
    influxdb_server.start()
    connection = influxdb_server.connection(influxdb_server.make_bucket(BUCKET))
    store = InfluxStore(connection)
    for name in ("attic", "cellar"):
        device = Device(name, f"http://{name}/", "UTC", interval_ms=60_000, parameters=STATION)
        polls = list(polls_between(device, Profile(name, 0), START, START + 2 * HOUR))
        for environment, outcome in enumerate(Outcome):
            if not outcome.has_reading:
                polls[environment] = Poll(name, polls[environment].observed_at, outcome, 5.0, 60.0)
            elif outcome is Outcome.PARTIAL:
                polls[environment] = Poll(
                    name, polls[environment].observed_at, outcome, 5.0, 60.0, values=polls[environment].values
                )
        store.write(polls)
    store.close()

    def asked(query: str) -> list[dict[str, Any]]:
        answer = requests.post(
            f"{connection.url}/query",
            data={"db": connection.bucket, "q": filled_in(query), "epoch": "ms"},
            headers={"Authorization": f"Token {connection.token}"},
            timeout=WITHIN_S,
        )
        answer.raise_for_status()
        [result] = answer.json()["results"]
        assert "error" not in result, result
        return list(result.get("series", []))

    return asked


@pytest.mark.influxdb
@pytest.mark.parametrize(("title", "query"), QUERIES)
def test_a_query_gives_rows_with_the_columns_that_it_names(ask: Any, title: str, query: str) -> None:
    found = ask(query)
    tags = [series.get("tags", {}).get("device") for series in found]
    assert tags == (["attic", "cellar"] if 'GROUP BY "device"' in query or ', "device"' in query else [None])
    named = re.findall(r' AS "([^"]+)"', query) or ["count"]
    for series in found:
        assert series["columns"] == ["time", *named]
        values = [value for row in series["values"] for value in row[1:]]
        assert any(value for value in values), title


@pytest.mark.influxdb
def test_coverage_is_the_part_of_the_hour_with_readings(ask: Any) -> None:
    [panel] = [panel for panel in PANELS if panel["title"] == "Coverage per hour"]
    for series in ask(panel["targets"][0]["query"]):
        without = sum(not outcome.has_reading for outcome in Outcome)
        assert [value for _, value in series["values"]] == [pytest.approx(1 - without / 60), 1.0]


@pytest.mark.influxdb
def test_the_age_is_that_of_the_last_poll(ask: Any) -> None:
    [panel] = [panel for panel in PANELS if panel["title"] == "Last poll and its age"]
    for series in ask(panel["targets"][0]["query"]):
        assert series["values"] == [[START + 2 * HOUR - 60_000, "ok"]]


@pytest.mark.influxdb
def test_the_variables_list_buckets_and_devices(ask: Any) -> None:
    [buckets] = ask(VARIABLES["bucket"]["query"])
    assert BUCKET in {name for (name,) in buckets["values"]}
    [devices] = ask(VARIABLES["device"]["query"])
    assert devices["values"] == [["device", "attic"], ["device", "cellar"]]


def test_what_compose_provides_is_what_the_dashboard_asks_for() -> None:
    services = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))["services"]
    grafana = services["grafana"]
    assert all(port.startswith("127.0.0.1:") for service in services.values() for port in service["ports"])
    mounts = dict(volume.split(":")[:2] for volume in grafana["volumes"])
    assert mounts["./grafana/provisioning"] == "/etc/grafana/provisioning"
    assert all((DEPLOY / host).exists() for host in mounts if host.startswith("."))
    [source] = provisioned("datasources/influxdb.yaml")["datasources"]
    assert (source["type"], source["url"]) == ("influxdb", "http://influxdb:8086")
    for text in (source["jsonData"]["dbName"], source["secureJsonData"]["httpHeaderValue1"]):
        [variable] = re.findall(r"\$\{(\w+)\}", text)
        assert variable in grafana["environment"]
    [provider] = provisioned("dashboards/air-pipeline.yaml")["providers"]
    assert mounts["./grafana/air-pipeline.json"] == f"{provider['options']['path']}/air-pipeline.json"


def provisioned(name: str) -> Any:
    """What Grafana is given at its start."""
    return yaml.safe_load((DEPLOY / "grafana/provisioning" / name).read_text(encoding="utf-8"))
