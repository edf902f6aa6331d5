"""InfluxDB as it is: rights, buckets, conflicts, outages, Flux. All of it against a real server."""

import dataclasses
from typing import Any

import pandas as pd
import pytest
import requests

from air_pipeline.devices.polls import Outcome
from air_pipeline.settings import InfluxConnection
from air_pipeline.state import StateDirectory
from air_pipeline.storage.influxdb import InfluxStore
from air_pipeline.storage.influxdb_exchange import Exchange
from air_pipeline.storage.influxql import InfluxQL, during
from air_pipeline.storage.opening import open_store
from air_pipeline.storage.store import PollsRejected, ReadingStore, StoreError, StoreRefused, StoreUnavailable
from air_pipeline_tests.influxdb_server import InfluxServer
from air_pipeline_tests.storage.model import END, START, VALUES, poll, rows
from air_pipeline_tests.storage.test_imports import DAY, late_polls_over
from air_pipeline_tests.waiting import WITHIN_S

pytestmark = pytest.mark.influxdb


def every_read(store: ReadingStore) -> list[object]:
    return [
        lambda: store.readings("living-room", START, END),
        lambda: store.polls("living-room", START, END),
        store.latest,
        lambda: store.outcome_counts(START, END),
        lambda: store.summaries(START, END),
        lambda: store.first_poll("living-room"),
        lambda: store.before("living-room", END),
        lambda: store.asked(START, END),
        lambda: store.stated("living-room", START, END),
        lambda: store.nearest_stated("living-room", START, earlier=False),
    ]


def refusals(store: InfluxStore, *, writes: bool = True) -> set[str]:
    """The messages with which every read, and a write, is refused."""
    messages = set()
    for request in [*every_read(store), *([lambda: store.write([poll()])] if writes else [])]:
        with pytest.raises(StoreRefused) as refused:
            request()
        messages.add(str(refused.value))
    store.close()
    return messages


def line(influxdb: InfluxServer, bucket: str, text: str) -> None:
    """What another program writes."""
    requests.post(
        f"{influxdb.url}/api/v2/write",
        params={"org": influxdb.org, "bucket": bucket, "precision": "ns"},
        headers={"Authorization": f"Token {influxdb.token}"},
        data=text.encode(),
        timeout=WITHIN_S,
    ).raise_for_status()


def test_points_are_written_as_documented(influxdb: InfluxServer, influx_store: InfluxStore) -> None:
    influx_store.write(
        [
            poll(values={"dht22_temperature": 27.0}, series=("dht22_temperature", "µ")),
            poll("garage", START + 10_000, Outcome.REJECTED, body='{"a'),
            poll("garage", START + 20_000, Outcome.TIMEOUT, http_status=None),
        ]
    )
    bucket = influx_store.identity.rpartition(" ")[2]
    answer = requests.post(
        f"{influxdb.url}/query",
        headers={"Authorization": f"Token {influxdb.token}"},
        data={
            "db": bucket,
            "epoch": "ms",
            "q": "SELECT * FROM air; SELECT * FROM poll; SHOW TAG KEYS; SHOW FIELD KEYS",
        },
        timeout=WITHIN_S,
    ).json()
    air, polls, tags, fields = (
        {series["name"]: (series["columns"], series["values"]) for series in result["series"]}
        for result in answer["results"]
    )
    assert air["air"] == (["time", "device", "dht22_temperature"], [[START, "living-room", 27]])
    assert polls["poll"] == (
        ["time", "body", "device", "duration_ms", "http_status", "interval_s", "outcome", "problems", "series"],
        [
            [START, None, "living-room", 41, 200, 10, "ok", "", '["dht22_temperature","µ"]'],
            [START + 10_000, '{"a', "garage", 41, 200, 10, "rejected", "", None],
            [START + 20_000, None, "garage", 41, None, 10, "timeout", "", None],
        ],
    )
    assert tags["air"][1] == tags["poll"][1] == [["device"]]
    assert dict(fields["poll"][1]) == {
        **dict.fromkeys(["duration_ms", "http_status", "interval_s"], "float"),
        **dict.fromkeys(["outcome", "problems", "body", "series"], "string"),
    }
    assert dict(fields["air"][1]) == {"dht22_temperature": "float"}


def test_much_is_read_in_parts_and_little_at_once(influx_store: InfluxStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """However long it is: what is on its way at once is so many points."""
    hour, midnight = 3_600_000, 1_780_012_800_000
    at = [midnight - 2 * hour + number * hour for number in range(50)]
    influx_store.write([poll(slot=one) for one in at])
    questions = []
    ask = InfluxQL.rows

    def rows(queries: InfluxQL, measurement: str, *asked: Any) -> Any:
        if measurement == "air":
            questions.append(asked)
        return ask(queries, measurement, *asked)

    monkeypatch.setattr(InfluxQL, "rows", rows)
    whole = influx_store.readings("living-room", at[0], at[49] + 1)
    assert (len(questions), len(whole)) == (1, 50)
    monkeypatch.setattr("air_pipeline.storage.influxdb_points._ROWS_AT_ONCE", len(whole.iloc[:12]))
    parts = influx_store.readings("living-room", at[0], at[49] + 1)
    assert len(questions) - 1 == 5  # of twelve hours each, and what is left
    pd.testing.assert_frame_equal(parts, whole)


@pytest.mark.parametrize("at_once", range(2, 9))
def test_a_slot_is_shown_as_it_is_wherever_a_part_ends(
    influx_store: InfluxStore, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    """In some slots there are two points, of an import and of ours."""
    late_polls_over(influx_store)
    span = ("living-room", START - 2 * DAY, START + 302 * DAY)
    whole = influx_store.readings(*span), influx_store.polls(*span)
    monkeypatch.setattr("air_pipeline.storage.influxdb_points._ROWS_AT_ONCE", at_once)
    for one, other in zip((influx_store.readings(*span), influx_store.polls(*span)), whole, strict=True):
        pd.testing.assert_frame_equal(one, other, check_exact=True)


def test_an_influxdb_that_is_killed_while_it_answers_gives_no_reading(influxdb: InfluxServer) -> None:
    connection = influxdb.connection()
    store, queries = InfluxStore(connection), InfluxQL(connection, Exchange(connection, WITHIN_S), WITHIN_S)
    store.write([poll(slot=START + number * 1_000, values={"mq135_co2": 1.5}) for number in range(20_000)])
    # In two parts of 18 MB: what the system holds of an answer that nobody reads comes even from a server that is gone.
    often = ", ".join(f"mq135_co2 AS of{number}" for number in range(200))
    with queries.rows("air", often, during(START, END), {}) as answer:
        next(answer)
        influxdb.kill()
        with pytest.raises(StoreUnavailable, match="gives no answer"):
            list(answer)
    influxdb.start()
    assert len(store.readings("living-room", START, END)) == 20_000
    store.close()


def test_texts_are_whole_wherever_an_answer_comes_apart(
    influx_store: InfluxStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    bodies = [f'{"x" * number}\n"a",\n\n"' for number in range(20)]
    rejected = [poll(slot=START + n * 10_000, outcome=Outcome.REJECTED, body=body) for n, body in enumerate(bodies)]
    influx_store.write(rejected)
    monkeypatch.setattr("air_pipeline.storage.influxdb_exchange._AT_ONCE", 7)
    monkeypatch.setattr("air_pipeline.storage.influxdb_points._ROWS_AT_ONCE", 2)
    assert list(influx_store.polls("living-room", START, END)["body"]) == bodies


def test_a_wrong_token_is_refused_and_never_shown(influxdb: InfluxServer) -> None:
    store = InfluxStore(influxdb.connection(token="not-a-token"))  # noqa: S106 - is none
    (message,) = refusals(store)
    assert "refuses the token (401): set INFLUXDB_V2_TOKEN to one that may read and write bucket" in message
    assert "not-a-token" not in message + store.identity


def test_a_token_that_no_header_can_carry_is_refused_and_never_shown(influxdb: InfluxServer) -> None:
    for token in ("secret\n", "sécret"):
        with pytest.raises(StoreRefused, match="INFLUXDB_V2_TOKEN has characters") as refused:
            InfluxStore(influxdb.connection(token=token))
        assert token.strip() not in str(refused.value)


def test_a_token_for_one_other_bucket_is_refused(influxdb: InfluxServer) -> None:
    token = influxdb.make_token(influxdb.make_bucket(), "read", "write")
    for message in refusals(InfluxStore(influxdb.connection(token=token))):
        assert "does not let this token write to bucket" in message or "has no bucket" in message


def test_a_token_that_may_only_write_or_only_read_is_refused_the_other(influxdb: InfluxServer) -> None:
    connection = influxdb.connection()
    writer = InfluxStore(dataclasses.replace(connection, token=influxdb.make_token(connection.bucket, "write")))
    reader = InfluxStore(dataclasses.replace(connection, token=influxdb.make_token(connection.bucket, "read")))
    writer.write([poll()])
    assert len(reader.readings("living-room", START, END)) == 1
    with pytest.raises(StoreRefused, match="does not let this token write to bucket"):
        reader.write([poll()])
    refusals(writer, writes=False)
    reader.close()


def test_a_token_for_the_one_bucket_is_enough(influxdb: InfluxServer) -> None:
    connection = influxdb.connection()
    token = influxdb.make_token(connection.bucket, "read", "write")
    store = InfluxStore(dataclasses.replace(connection, token=token))
    store.write([poll()])
    for read in every_read(store):
        assert read() is not None
    assert len(store.flux(f'from(bucket: "{connection.bucket}") |> range(start: 0)')) == 7
    store.close()


@pytest.mark.parametrize("first", ["write", "read", "flux"])
def test_a_missing_bucket_is_made_by_the_first_write_and_kept_for_ever(influxdb: InfluxServer, first: str) -> None:
    name = f"made-by-{first}"
    store = InfluxStore(influxdb.connection(name))
    if first == "write":
        store.write([poll()])
        assert rows(store.readings("living-room", START, END)) == {START: VALUES}
    elif first == "read":  # which makes nothing
        assert [bool(len(read() or ())) for read in every_read(store)[2:]] == [False] * 8
        assert store.readings("living-room", START, END).empty
        assert influxdb.bucket(name) is None
        store.close()
        return
    else:  # a query names its buckets itself
        with pytest.raises(StoreRefused, match=f'could not find bucket "{name}"'):
            store.flux(f'from(bucket: "{name}") |> range(start: 0)')
        assert influxdb.bucket(name) is None
        store.close()
        return
    made = influxdb.bucket(name)
    assert made is not None
    assert [rule["everySeconds"] for rule in made["retentionRules"]] == [0]
    influxdb.api("DELETE", f"/api/v2/buckets/{made['id']}")
    store.close()


def test_a_missing_bucket_that_the_token_may_not_make_is_refused(influxdb: InfluxServer) -> None:
    token = influxdb.make_token(influxdb.make_bucket(), "read", "write")
    (message,) = refusals(InfluxStore(influxdb.connection("missing", token=token)))
    assert "has no bucket 'missing' in organization" in message
    assert "make the bucket, give the token rights" in message
    assert influxdb.bucket("missing") is None


def test_a_name_that_no_bucket_may_have_is_an_error(influxdb: InfluxServer) -> None:
    store = InfluxStore(influxdb.connection("_reserved"))
    with pytest.raises(StoreError, match="cannot make bucket '_reserved'"):
        store.write([poll()])
    store.close()


def test_a_missing_organization_is_refused(influxdb: InfluxServer) -> None:
    store = InfluxStore(dataclasses.replace(influxdb.connection("nowhere"), org="nobody"))
    (message,) = refusals(store)
    assert "has no organization 'nobody' (404): correct INFLUXDB_V2_ORG" in message


def test_a_bucket_may_have_a_slash_in_its_name(influxdb: InfluxServer) -> None:
    store = InfluxStore(influxdb.connection("building/first floor/air"))
    store.write([poll()])
    assert rows(store.readings("living-room", START, END)) == {START: VALUES}
    store.close()


def test_a_bucket_without_a_measurement_of_ours_is_empty(influxdb: InfluxServer) -> None:
    connection = influxdb.connection()
    line(influxdb, connection.bucket, "cpu,host=a load=1.0 1780000000000000000")
    store = InfluxStore(connection)
    assert [bool(len(read() or ())) for read in every_read(store)[2:]] == [False] * 8
    assert store.readings("living-room", START, END).empty
    store.close()


def test_a_field_of_another_type_rejects_the_polls(influxdb: InfluxServer) -> None:
    connection = influxdb.connection()
    line(influxdb, connection.bucket, 'air,device=living-room dht22_temperature="warm" 1780000000000000000')
    store = InfluxStore(connection)
    with pytest.raises(PollsRejected, match=r"will not take these polls \(422\): .*field type conflict"):
        store.write([poll(), poll("garage", values={"mq135_co": 1.0})])
    with pytest.raises(StoreError, match="holds something in air that air_pipeline did not write"):
        store.readings("living-room", START, END)
    store.close()


def test_polls_older_than_the_retention_of_a_bucket_are_rejected(influxdb: InfluxServer) -> None:
    store = InfluxStore(influxdb.connection(influxdb.make_bucket(retention_s=3600)))
    with pytest.raises(PollsRejected, match="retention"):
        store.write([poll(slot=1_000_000_000_000)])
    store.close()


def test_a_stopped_server_is_unavailable_and_its_data_are_there_afterwards(influxdb: InfluxServer) -> None:
    store = InfluxStore(influxdb.connection())
    store.write([poll()])
    influxdb.stop()
    for request in (*every_read(store), lambda: store.write([poll("garage")]), lambda: store.flux("buckets()")):
        with pytest.raises(StoreUnavailable, match=r"gives no answer \(.*Connection refused\): is it running"):
            request()
    influxdb.start()
    store.write([poll("garage")])
    assert sorted(store.latest()) == ["garage", "living-room"]
    store.close()


def test_a_server_that_says_nothing_is_unavailable(influxdb: InfluxServer) -> None:
    store = InfluxStore(influxdb.connection(), timeout_s=0.2, read_timeout_s=0.2)
    patient = InfluxStore(influxdb.connection())
    with influxdb.paused():
        for request in (*every_read(store), lambda: store.write([poll()]), lambda: store.flux("buckets()")):
            with pytest.raises(StoreUnavailable, match="gives no answer"):
                request()
        with pytest.raises(StoreUnavailable, match="gives no answer"):
            patient.outcome_counts(START, END, timeout_s=0.2)
    store.close()
    patient.close()


def test_the_identity_has_no_secrets() -> None:
    store = InfluxStore(InfluxConnection("http://user:secret@influx.example:8086/", "secret", "home", "air"))
    assert store.identity == "influxdb http://influx.example:8086 home air"
    assert "secret" not in repr(store)


def test_a_connection_opens_influxdb(influxdb: InfluxServer, tmp_path) -> None:
    store = open_store(influxdb.connection(), StateDirectory(tmp_path))
    store.write([poll()])
    assert list(tmp_path.iterdir()) == []
    store.close()


def test_flux_gives_one_frame_with_times_in_utc(influxdb: InfluxServer) -> None:
    connection = influxdb.connection()
    store = InfluxStore(connection)
    store.write([poll(slot=START + n * 1000, values={"mq135_co": n / 3}) for n in range(3)])
    frame = store.flux(
        f'from(bucket: "{connection.bucket}") |> range(start: 0) |> filter(fn: (r) => r._field == "mq135_co")'
    )
    assert list(frame["_value"]) == [0.0, 1 / 3, 2 / 3]
    assert list(frame["_time"]) == list(pd.to_datetime([START, START + 1000, START + 2000], unit="ms", utc=True))
    assert str(frame["_time"].dtype) == "datetime64[ns, UTC]"
    store.close()


def test_flux_of_nothing_is_an_empty_frame(influxdb: InfluxServer) -> None:
    connection = influxdb.connection()
    store = InfluxStore(connection)
    assert store.flux(f'from(bucket: "{connection.bucket}") |> range(start: 0)').empty
    store.close()


def test_flux_keeps_types_and_texts_with_a_meaning_in_csv(influx_store: InfluxStore) -> None:
    frame = influx_store.flux(
        r"""
        import "array"
        array.from(rows: [
            {text: "x\r\n\r\n#datatype,string\",y", whole: 9223372036854775807, yes: true, number: 0.1},
            {text: "µ", whole: -1, yes: false, number: -1.0 / 0.0},
        ]) |> yield(name: "one")
        array.from(rows: [{text: "", at: 2020-01-01T00:00:00.123456789Z}]) |> yield(name: "two")
        """
    )
    frame = frame.sort_values("result", kind="stable", ignore_index=True)  # yields come in any order
    assert list(frame["result"]) == ["one", "one", "two"]
    assert list(frame["text"]) == ['x\r\n\r\n#datatype,string",y', "µ", ""]
    assert list(frame["number"][:2]) == [0.1, float("-inf")]
    assert frame["at"][2] == pd.Timestamp("2020-01-01T00:00:00.123456789Z")
    alone = influx_store.flux('import "array" array.from(rows: [{whole: 9223372036854775807, yes: true}])')
    assert alone[["whole", "yes"]].to_dict("list") == {"whole": [9223372036854775807], "yes": [True]}


def test_a_flux_query_that_fails_while_it_runs_is_an_error(influx_store: InfluxStore) -> None:
    query = """
        import "array"
        rows = array.from(rows: [{_value: 1.0}])
        rows |> yield(name: "one")
        rows |> map(fn: (r) => ({r with _value: die(msg: "boom")})) |> yield(name: "two")
    """
    with pytest.raises(
        StoreError, match=r"(could not run this Flux query to its end|cannot run this Flux query).*boom"
    ):
        influx_store.flux(query)


def test_flux_that_does_not_compile_is_an_error_that_says_where(influx_store: InfluxStore) -> None:
    with pytest.raises(StoreError, match=r"cannot run this Flux query \(400\): .*undefined identifier rang") as raised:
        influx_store.flux('from(bucket: "a") |> rang(start: 0)')
    assert not isinstance(raised.value, PollsRejected | StoreUnavailable | StoreRefused)
