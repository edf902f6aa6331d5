"""Readings are read from where they were written, or nothing is written; and what others write is theirs."""

import dataclasses
from contextlib import closing
from pathlib import Path

import pytest

from air_pipeline.collection.delivery import Delivery
from air_pipeline.collection.outbox import Outbox
from air_pipeline.settings import InfluxConnection
from air_pipeline.storage.influxdb import InfluxStore
from air_pipeline.storage.influxdb_examination import examine_influxdb
from air_pipeline.storage.store import StoreError, StoreRefused
from air_pipeline_tests.influxdb_server import InfluxServer
from air_pipeline_tests.storage.model import END, START, VALUES, poll, rows
from air_pipeline_tests.storage.test_influxdb import every_read, line
from air_pipeline_tests.waiting import WITHIN_S

pytestmark = pytest.mark.influxdb


def map_to(influxdb: InfluxServer, database: str, bucket: str, policy: str = "mine") -> None:
    """What people do by hand for Grafana."""
    org = influxdb.api("GET", "/api/v2/orgs", params={"org": influxdb.org})["orgs"][0]["id"]
    mapping = {"orgID": org, "bucketID": influxdb.bucket(bucket)["id"], "database": database,
               "retention_policy": policy, "default": True}  # fmt: skip
    influxdb.api("POST", "/api/v2/dbrps", json=mapping)


def names_the_id(influxdb: InfluxServer) -> InfluxConnection:
    return influxdb.connection(influxdb.bucket(influxdb.make_bucket())["id"])


def mapped_elsewhere(influxdb: InfluxServer) -> InfluxConnection:
    connection = influxdb.connection()
    map_to(influxdb, connection.bucket, influxdb.make_bucket())
    return connection


def mapped_elsewhere_by_policy(influxdb: InfluxServer) -> InfluxConnection:
    connection = influxdb.connection(influxdb.make_bucket(f"{influxdb.make_bucket()}/b"))
    database, _, policy = connection.bucket.partition("/")
    map_to(influxdb, database, influxdb.make_bucket(), policy)
    return connection


def autogen_beside(influxdb: InfluxServer) -> InfluxConnection:
    return influxdb.connection(influxdb.make_bucket(f"{influxdb.make_bucket()}/autogen"))


ELSEWHERE = {
    "its id": names_the_id,
    "a mapping": mapped_elsewhere,
    "a mapping of a policy": mapped_elsewhere_by_policy,
    "autogen beside": autogen_beside,
}


@pytest.mark.parametrize("narrow", [False, True])
@pytest.mark.parametrize("how", ELSEWHERE)
def test_what_would_be_read_elsewhere_is_refused_before_the_first_delivery(
    influxdb: InfluxServer, tmp_path: Path, how: str, narrow: bool
) -> None:
    """And by doctor; whatever the token sees."""
    connection = ELSEWHERE[how](influxdb)
    written = connection.bucket
    if narrow and how == "autogen beside":  # a token of the one bucket is led to it
        connection = dataclasses.replace(connection, token=influxdb.make_token(written, "read", "write"))
        with closing(InfluxStore(connection)) as store:
            store.write([poll()])
            assert rows(store.readings("living-room", START, END)) == {START: VALUES}
        return
    if how == "its id":
        written = influxdb.api("GET", f"/api/v2/buckets/{connection.bucket}")["name"]
    if narrow:
        connection = dataclasses.replace(connection, token=influxdb.make_token(written, "read", "write"))
    words = "the id of a bucket" if how == "its id" else "leads elsewhere: remove that mapping"
    with pytest.raises(StoreRefused, match=words):
        examine_influxdb(connection, WITHIN_S)
    with closing(Outbox(tmp_path / "outbox.sqlite")) as outbox, closing(InfluxStore(connection)) as store:
        outbox.add([poll()])
        Delivery(outbox, store).step()
        status = outbox.status()
        assert (status.pending, status.quarantined) == (1, 0)
        assert words.partition(":")[0] in status.error
    query = f'from(bucket: "{written}") |> range(start: 0)'
    with closing(InfluxStore(influxdb.connection(written))) as direct:
        assert direct.flux(query).empty
    assert influxdb.bucket(connection.bucket) is None or connection.bucket == written


def test_a_mapping_to_the_same_bucket_is_no_harm(influxdb: InfluxServer) -> None:
    connection = influxdb.connection()
    map_to(influxdb, connection.bucket, connection.bucket)
    with closing(InfluxStore(connection)) as store:
        store.write([poll()])
        assert rows(store.readings("living-room", START, END)) == {START: VALUES}


def test_a_token_that_may_only_write_delivers_and_doctor_says_what_is_not_known(influxdb: InfluxServer) -> None:
    connection = influxdb.connection()
    writer = dataclasses.replace(connection, token=influxdb.make_token(connection.bucket, "write"))
    with closing(InfluxStore(writer)) as edge, closing(InfluxStore(connection)) as store:
        edge.write([poll()])
        assert rows(store.readings("living-room", START, END)) == {START: VALUES}
    with pytest.raises(StoreRefused, match=r"read .* It could not be compared whether what is read is what is written"):
        examine_influxdb(writer, WITHIN_S)


def test_where_mappings_are_not_told_the_first_poll_is_read_back(
    influxdb: InfluxServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As of another version, or behind a proxy that lets only writes and queries through."""
    monkeypatch.setattr("air_pipeline.storage.influxdb_bucket.BucketLook._listed", lambda *_, **__: None)
    with (
        closing(InfluxStore(mapped_elsewhere(influxdb))) as store,
        pytest.raises(StoreRefused, match="leads elsewhere"),
    ):
        store.write([poll()])
    connection = influxdb.connection()
    assert not examine_influxdb(dataclasses.replace(connection), WITHIN_S).is_compared
    with closing(InfluxStore(connection)) as store:
        store.write([poll()])
        assert rows(store.readings("living-room", START, END)) == {START: VALUES}


@pytest.mark.parametrize("name", ["a/b", "air9/1y", "fresh9/autogen"])
@pytest.mark.parametrize("narrow", [False, True])
def test_a_bucket_with_a_policy_works_in_every_read(influxdb: InfluxServer, name: str, narrow: bool) -> None:
    connection = influxdb.connection((influxdb.bucket(name) and name) or influxdb.make_bucket(name))
    if narrow:
        connection = dataclasses.replace(connection, token=influxdb.make_token(name, "read", "write"))
    with closing(InfluxStore(connection)) as store:
        store.write([poll(series=tuple(VALUES))])
        for read in every_read(store):
            assert len(read()) if not isinstance(read(), int | float) else read()  # type: ignore[arg-type]
        assert list(store.latest()) == ["living-room"]
    assert examine_influxdb(connection, WITHIN_S).is_compared


def test_a_token_of_another_organization_is_called_that(influxdb: InfluxServer) -> None:
    other = influxdb.api("POST", "/api/v2/orgs", json={"name": "second"})["id"]
    made = influxdb.api("POST", "/api/v2/buckets", json={"orgID": other, "name": "b1", "retentionRules": []})
    connection = InfluxConnection(influxdb.url, influxdb.token, "second", "b1")
    with (
        closing(InfluxStore(connection)) as store,
        pytest.raises(StoreRefused, match="token is of another organization"),
    ):
        store.latest()
    influxdb.api("DELETE", f"/api/v2/buckets/{made['id']}")
    influxdb.api("DELETE", f"/api/v2/orgs/{other}")


def test_the_points_of_others_are_theirs(influxdb: InfluxServer) -> None:
    """Telegraf gives each point its host: the same measurement and device, at the same slots."""
    connection = influxdb.connection()
    with closing(InfluxStore(connection)) as store:
        store.write([poll(series=tuple(VALUES))])
        before = [read() for read in every_read(store)]
        other = dict.fromkeys(VALUES, 99.5)
        for tags in (",host=pi", ",a\\ b=c", ",room=x,host=pi"):
            fields = ",".join(f"{name}={value}" for name, value in other.items())
            line(influxdb, connection.bucket, f"air,device=living-room{tags} {fields} {START}000000")
            line(influxdb, connection.bucket, f'air,device=living-room{tags} note="x" {START + 1}000000')
            line(influxdb, connection.bucket, f'poll,device=living-room{tags} outcome="timeout" {START}000000')
            line(influxdb, connection.bucket, f'poll,device=strange{tags} outcome="ok" {START}000000')
    with closing(InfluxStore(connection)) as store:
        for read, was in zip(every_read(store), before, strict=True):
            now = read()
            assert now.equals(was) if hasattr(now, "equals") else now == was


@pytest.mark.parametrize("read", [0, 2])
def test_a_text_of_others_among_our_numbers_is_a_sentence_that_names_the_field(
    influxdb: InfluxServer, read: int
) -> None:
    connection = influxdb.connection()
    with closing(InfluxStore(connection)) as store:
        store.write([poll()])
        line(influxdb, connection.bucket, f'air,device=living-room note="all, well" {START}000000')
        with pytest.raises(StoreError, match="its field note holds the text 'all, well'"):
            every_read(store)[read]()
