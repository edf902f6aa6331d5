"""What an object store promises besides what every shelf does, and what is said where it does not answer."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from air_pipeline.environment import read_environment
from air_pipeline.places import ObjectAddress
from air_pipeline.settings import SettingsError
from air_pipeline.storage import object_shelf
from air_pipeline.storage.day_files import DayUnreadable, day_file
from air_pipeline.storage.object_shelf import ObjectShelf, _system, _system_of
from air_pipeline.storage.pages import page_file
from air_pipeline.storage.shelf import ShelfError, ShelfUnavailable, place_of, put_text, shelf_at
from air_pipeline_tests.days.deployments import AFTER, DAY
from air_pipeline_tests.environments import INFLUX, mistake
from air_pipeline_tests.object_store import ObjectStore
from air_pipeline_tests.tcp_proxy import Proxy, proxy
from air_pipeline_tests.waiting import wait_for

pytestmark = pytest.mark.slow

NAME = "observations/observations.parquet"
PUT_THERE = b"new" * 1_000_000
PUTS = """
import sys
from datetime import date
from pathlib import Path
from air_pipeline.places import ObjectAddress
from air_pipeline.storage.shelf import shelf_at
shelf = shelf_at(ObjectAddress(sys.argv[1]))
with shelf.staged(date(2026, 11, 21), "observations/observations.parquet") as (local, _):
    local.write_bytes(b"new" * 1_000_000)
    shelf.put_file(date(2026, 11, 21), "observations/observations.parquet", local)
"""
VERBS = {
    "head": lambda shelf: shelf.head(DAY, NAME),
    "stamp": lambda shelf: shelf.stamp(DAY, NAME),
    "days": lambda shelf: shelf.days(NAME),
    "put": lambda shelf: put_text(shelf, DAY, NAME, "text"),
    "a table": lambda shelf: day_file(shelf, "observations", DAY).metadata(),
}


@pytest.fixture
def shelf(objects: ObjectStore) -> ObjectShelf:
    return ObjectShelf(objects.bucket())


@pytest.fixture
def _asked_anew():
    """Other variables than those of the store count."""
    _system_of.cache_clear()
    yield
    _system_of.cache_clear()


def put(shelf: ObjectShelf, content: bytes) -> None:
    with shelf.staged(DAY, NAME) as (local, _):
        local.write_bytes(content)
        shelf.put_file(DAY, NAME, local)


def test_a_file_is_put_there_by_one_request(shelf: ObjectShelf, objects: ObjectStore) -> None:
    put(shelf, bytes(3_000_000))
    assert [one.split("?")[0] for one in objects.asked] == [f"PUT /{shelf._root}/{place_of(DAY, NAME)}"]


def test_what_another_machine_puts_there_is_seen_at_once(shelf: ObjectShelf, objects: ObjectStore) -> None:
    put(shelf, b"one")
    assert shelf.days(NAME) == [DAY]
    stamp = shelf.stamp(DAY, NAME)
    objects.write(shelf.place(DAY, NAME), b"two")
    objects.write(shelf.place(AFTER, NAME), b"two")
    assert shelf.days(NAME) == [DAY, AFTER]
    assert shelf.stamp(DAY, NAME) != stamp
    assert shelf.head(DAY, NAME) == b"two"


def test_a_large_file_is_there_once_all_its_parts_are(
    shelf: ObjectShelf, objects: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(object_shelf, "PART_BYTES", 5 << 20)
    put(shelf, b"old")
    seen = []

    def look(asked: str, _: object) -> None:
        if "uploadId=" in asked:
            seen.append(objects.read(shelf.place(DAY, NAME)))

    objects.meanwhile = look
    content = os.urandom(11 << 20)
    put(shelf, content)
    assert seen == [b"old"] * 4  # at each of three parts, and when they are to count
    assert shelf.head(DAY, NAME) == content


@pytest.mark.parametrize(("size", "puts"), [((10 << 20) - 1, 1), (10 << 20, 2)])
def test_what_is_large_is_as_large_as_two_parts(
    shelf: ObjectShelf, objects: ObjectStore, monkeypatch: pytest.MonkeyPatch, size: int, puts: int
) -> None:
    monkeypatch.setattr(object_shelf, "PART_BYTES", 5 << 20)
    put(shelf, bytes(size))
    assert sum(one.startswith("PUT") for one in objects.asked) == puts


def test_a_large_file_of_which_a_part_is_refused_is_not_there(
    shelf: ObjectShelf, objects: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(object_shelf, "PART_BYTES", 5 << 20)
    put(shelf, b"old")
    objects.meanwhile = lambda asked, _: 503 if "partNumber=2" in asked else None
    with pytest.raises(ShelfUnavailable, match="does not answer"):
        put(shelf, bytes(11 << 20))
    assert shelf.head(DAY, NAME) == b"old"
    assert objects.asked[-2].startswith("DELETE")  # and takes no room


@pytest.fixture
def way(objects: ObjectStore) -> Iterator[Proxy]:
    """A way to the object store that may break."""
    with proxy(objects.server.server_port) as made:
        yield made


def one_half(request: bytes) -> int | None:
    """Of a connection over which the table is put, one half of it, in however many requests."""
    return len(PUT_THERE) // 2 if request.startswith(b"PUT ") and b"/observations.parquet" in request else None


def test_a_builder_that_is_killed_in_the_middle_of_a_put_leaves_nothing_half(
    shelf: ObjectShelf, way: Proxy, tmp_path: Path
) -> None:
    put(shelf, b"old")
    environment = {**os.environ, "TMPDIR": str(tmp_path), "AWS_ENDPOINT_URL_S3": way.url}
    staged = tmp_path / f"air_pipeline-{os.getuid()}"
    puts = [sys.executable, "-c", PUTS, str(shelf.address)]
    way.lets_pass = one_half
    with subprocess.Popen(puts, env=environment) as builder:
        way.before = builder.kill
        wait_for(way.died.is_set, "the end in the middle")
    assert builder.returncode == -signal.SIGKILL
    assert way.passed == len(PUT_THERE) // 2
    assert len(list(staged.iterdir())) == 1
    assert shelf.head(DAY, NAME) == b"old"
    assert shelf.days(NAME) == [DAY]
    way.start()
    assert subprocess.run(puts, env=environment, check=False).returncode == 0
    assert shelf.head(DAY, NAME) == PUT_THERE
    assert list(staged.iterdir()) == []  # nor on the disk of the builder


@pytest.mark.usefixtures("_asked_anew")
def test_a_store_that_is_killed_in_the_middle_of_a_put_has_the_old_file_and_takes_the_new_one_later(
    objects: ObjectStore, way: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", way.url)
    shelf = ObjectShelf(objects.bucket())
    put(shelf, b"old")
    way.lets_pass = one_half
    with pytest.raises(ShelfUnavailable, match="does not answer"):
        put(shelf, PUT_THERE)
    assert way.passed == len(PUT_THERE) // 2
    assert objects.read(shelf.place(DAY, NAME)) == b"old"
    way.start()
    assert (shelf.head(DAY, NAME), shelf.days(NAME)) == (b"old", [DAY])
    put(shelf, PUT_THERE)
    assert shelf.head(DAY, NAME) == PUT_THERE


def test_another_user_s_directory_is_not_used_for_what_is_staged(
    shelf: ObjectShelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (tmp_path / f"air_pipeline-{os.getuid()}").symlink_to(tmp_path)
    with pytest.raises(PermissionError, match="it is not this user's; set TMPDIR"):
        put(shelf, b"text")


def test_browsers_are_told_what_a_page_is(shelf: ObjectShelf, objects: ObjectStore) -> None:
    page_file(shelf, DAY).publish("<p>here</p>")
    put(shelf, b"a table")
    kinds = [_system().info(place.url)["ContentType"] for place in (page_file(shelf, DAY).path, shelf.place(DAY, NAME))]
    assert kinds == ["text/html", "application/vnd.apache.parquet"]


def test_a_table_that_is_replaced_while_it_is_read_is_not_mixed(shelf: ObjectShelf) -> None:
    put(shelf, b"a" * (20 << 20))
    with shelf.open(DAY, NAME) as file:
        assert file.read(10) == b"a" * 10
        put(shelf, b"b" * (20 << 20))
        file.seek(15 << 20)
        with pytest.raises(OSError, match="replaced while it was read"):
            file.read(10)


@pytest.mark.parametrize("verb", VERBS)
def test_a_bucket_that_is_not_there_is_not_taken_for_one_without_days(objects: ObjectStore, verb: str) -> None:
    with pytest.raises(ShelfError) as refused:
        VERBS[verb](ObjectShelf(ObjectAddress("s3://no-such-bucket/air")))
    assert str(refused.value) == (
        "s3://no-such-bucket/air: there is no bucket 'no-such-bucket'; make it, or set AIR_PIPELINE_DATA to one that is"
        " there"
    )


@pytest.mark.parametrize("verb", VERBS)
def test_somebody_who_is_not_known_is_told_so(shelf: ObjectShelf, objects: ObjectStore, verb: str) -> None:
    with (
        objects.asking_who(),
        pytest.raises(ShelfError, match=r"may not be used \(.+\); set AWS_ACCESS_KEY_ID") as told,
    ):
        VERBS[verb](shelf)
    assert not isinstance(told.value, ShelfUnavailable)
    assert len(str(told.value).splitlines()) == 1


@pytest.mark.usefixtures("_asked_anew")
@pytest.mark.parametrize("verb", ["head", "put"])
def test_nobody_is_told_which_variables_say_who_asks(
    shelf: ObjectShelf, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, verb: str
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    with pytest.raises(ShelfError, match=r"may not be used \(Unable to locate credentials\); set AWS_ACCESS_KEY_ID"):
        VERBS[verb](shelf)


@pytest.mark.usefixtures("_asked_anew")
@pytest.mark.parametrize("verb", VERBS)
def test_a_store_that_is_away_is_told_as_that(shelf: ObjectShelf, monkeypatch: pytest.MonkeyPatch, verb: str) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")  # nobody listens there
    with pytest.raises(ShelfUnavailable) as away:
        VERBS[verb](shelf)
    said = str(away.value)
    assert said.startswith(f"{shelf.address} does not answer (")
    assert "http://127.0.0.1:9" in said
    assert len(said.splitlines()) == 1


@pytest.mark.parametrize("status", [429, 500, 503])
@pytest.mark.parametrize("verb", VERBS)
def test_a_store_that_is_ill_is_told_as_one_that_may_be_well_later(
    shelf: ObjectShelf, objects: ObjectStore, verb: str, status: int
) -> None:
    objects.meanwhile = lambda _asked, _environ: status
    with pytest.raises(ShelfUnavailable, match="does not answer"):
        VERBS[verb](shelf)


@pytest.mark.parametrize("verb", VERBS)
def test_what_is_no_object_store_is_not_taken_for_one_without_days(
    shelf: ObjectShelf, objects: ObjectStore, verb: str
) -> None:
    objects.meanwhile = lambda _asked, _environ: 404
    with pytest.raises(ShelfError, match="what answers is no object store"):
        VERBS[verb](shelf)


def test_nor_what_says_200_to_everything(shelf: ObjectShelf, objects: ObjectStore) -> None:
    objects.meanwhile = lambda _asked, _environ: 200
    with pytest.raises(ShelfError, match="what answers is no object store"):
        shelf.stamp(DAY, NAME)


def test_what_is_no_table_is_no_matter_of_the_store(shelf: ObjectShelf) -> None:
    put(shelf, b"PAR1 no more" * 100)
    with pytest.raises(DayUnreadable, match=r"observations\.parquet cannot be read"):
        day_file(shelf, "observations", DAY).metadata()


def test_a_place_in_an_object_store_needs_an_influxdb() -> None:
    """Machines share it, and an embedded store is one machine's."""
    place = {"AIR_PIPELINE_DATA": "s3://bucket/air/"}
    assert read_environment(INFLUX | place).data == ObjectAddress("s3://bucket/air")
    said = mistake(read_environment, place)
    assert said.startswith(
        "environment: AIR_PIPELINE_DATA is s3://bucket/air, which machines share, and no InfluxDB is"
    )
    assert said.endswith("INFLUXDB_V2_ORG, INFLUXDB_V2_BUCKET, or AIR_PIPELINE_DATA to a directory")


@pytest.mark.parametrize(
    "text", ["s3://", "s3:/bucket/air", "s3:///air", "s3://Bucket/air", "s3://key:secret@bucket/air", "s3://b/a b"]
)
def test_what_is_no_place_for_objects_is_refused(text: str) -> None:
    said = mistake(read_environment, INFLUX | {"AIR_PIPELINE_DATA": text})
    assert said.startswith("environment: AIR_PIPELINE_DATA is ")
    assert "secret" not in said
    assert said.endswith("which is no place for objects; set it as s3://bucket/prefix")


def test_without_the_extra_it_is_said_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "air_pipeline.storage.object_shelf")
    monkeypatch.setitem(sys.modules, "s3fs", None)
    with pytest.raises(SettingsError, match=r"s3fs is not installed.*-m pip install 'air-pipeline\[s3\]'$"):
        shelf_at(ObjectAddress("s3://bucket/air"))
