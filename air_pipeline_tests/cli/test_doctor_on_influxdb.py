"""`air-pipeline doctor` on an InfluxDB that is well, and on some that are not."""

import socket
from contextlib import closing

import pytest

from air_pipeline.storage.opening import open_store
from air_pipeline_tests.cli.patient import Patient, complaints
from air_pipeline_tests.cli.shell import INFLUXDB
from air_pipeline_tests.influxdb_server import InfluxServer
from air_pipeline_tests.running_pipeline import dead_port


def use(patient: Patient, server: InfluxServer, **changes: str) -> None:
    values = {"URL": server.url, "TOKEN": server.token, "ORG": server.org, "BUCKET": "air"} | changes
    patient.influxdb.update({name: values[name.removeprefix("INFLUXDB_V2_")] for name in INFLUXDB})


def store_lines(patient: Patient) -> tuple[int, list[tuple[str, str]]]:
    ran = patient("doctor")
    assert "secret" not in ran.out
    return ran.status, [line for line in complaints(ran) if line[1].startswith("store: ")]


@pytest.mark.influxdb
def test_an_influxdb_that_is_well_gives_no_complaint_and_no_point(patient: Patient, influxdb: InfluxServer) -> None:
    bucket = influxdb.make_bucket()
    use(patient, influxdb, BUCKET=bucket, TOKEN=influxdb.make_token(bucket, "read", "write"))
    assert store_lines(patient) == (0, [])
    with closing(open_store(patient.environment.influxdb, patient.environment.state)) as store:
        assert store.latest() == {}


@pytest.mark.influxdb
@pytest.mark.parametrize(
    ("changes", "status", "level", "cause", "remedy"),
    [
        ({"TOKEN": "nonsense"}, 1, "failure", "refuses the token (401)", "set INFLUXDB_V2_TOKEN"),
        ({"TOKEN": "read"}, 1, "failure", "does not let this token write", "give it the right to"),
        ({"TOKEN": "write"}, 1, "failure", "does not let this token read", "It could not be compared"),
        ({"ORG": "nobody"}, 1, "failure", "has no organization 'nobody'", "correct INFLUXDB_V2_ORG"),
        ({"BUCKET": "nothing-of-ours"}, 0, "warning", "no bucket 'nothing-of-ours'", "correct INFLUXDB_V2_BUCKET"),
        (
            {"BUCKET": "nothing-of-ours", "TOKEN": "read write"},
            1,
            "failure",
            "no bucket 'nothing-of-ours'",
            "correct INFLUXDB_V2_BUCKET",
        ),
        ({"URL": f"http://127.0.0.1:{dead_port()}"}, 1, "failure", "gives no answer", "is INFLUXDB_V2_URL right?"),
    ],
)
def test_what_is_wrong_with_an_influxdb_is_named(
    changes: dict[str, str], status: int, level: str, cause: str, remedy: str, patient: Patient, influxdb: InfluxServer
) -> None:
    bucket = influxdb.make_bucket()
    token = changes.get("TOKEN", influxdb.token)
    if set(token.split()) <= {"read", "write"}:
        token = influxdb.make_token(bucket, *token.split())
    use(patient, influxdb, **{"BUCKET": bucket, **changes, "TOKEN": token})
    ended, lines = store_lines(patient)
    assert len(lines) == 1, lines
    [(found, line)] = lines
    assert (ended, found) == (status, level)
    text, remedies = line.split(" → ")
    assert cause in text
    assert remedy in remedies


@pytest.mark.influxdb
def test_a_bucket_that_forgets_is_warned_of(patient: Patient, influxdb: InfluxServer) -> None:
    use(patient, influxdb, BUCKET=influxdb.make_bucket(retention_s=30 * 86_400))
    status, [(level, line)] = store_lines(patient)
    assert (status, level) == (0, "warning")
    assert "forgets readings after 30 days" in line


def test_an_influxdb_that_hangs_is_told_from_one_that_refuses(
    patient: Patient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("air_pipeline.health.seen.EXAMINED_WITHIN_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        patient.use_influxdb(f"http://127.0.0.1:{silent.getsockname()[1]}")
        status, [(level, line)] = store_lines(patient)
    assert (status, level) == (1, "failure")
    assert "gives no answer" in line
    assert "nothing is lost" in line
