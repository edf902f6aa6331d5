"""Settings in an object store: read by everybody, taken up when they change, kept for when it does not answer."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from air_pipeline.collection.configuration import Configuration
from air_pipeline.days.terms import OtherTerms, check_terms, terms_now
from air_pipeline.deployment import open_deployment, present
from air_pipeline.devices.simulator import Simulator
from air_pipeline.environment import read_environment
from air_pipeline.settings import SettingsError, remote
from air_pipeline.settings.file import read_settings
from air_pipeline_tests.object_store import ObjectStore
from air_pipeline_tests.running_pipeline import Installation, now_ms, today, write_devices
from air_pipeline_tests.waiting import wait_for

TEXT = "timezone: Europe/Warsaw\nstart: 2026-03-01\ndevices:\n  - {id: hall, url: http://127.0.0.1:9/hall}\n"
MORE = TEXT + "  - {id: attic, url: http://127.0.0.1:9/attic}\n"
MARKS = "- {device: hall, from: 2026-03-02, to: 2026-03-03, verdict: bad, why: in the fridge}\n"


class Objects:
    """A place for settings in a real object store, which a test may hold up."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self._place = store.bucket()
        self.config = str(self._place / "devices.yaml")
        self.variables = {**store.variables, "AIR_PIPELINE_CONFIG": self.config}

    def put(self, text: str, name: str = "devices.yaml") -> None:
        import boto3  # half a second

        who = {"aws_access_key_id": "a", "aws_secret_access_key": "b", "region_name": "us-east-1"}
        bucket, _, key = str(self._place / name).removeprefix("s3://").partition("/")
        client = boto3.client("s3", endpoint_url=self._store.url, **who)
        client.put_object(Bucket=bucket, Key=key, Body=text.encode())

    @contextmanager
    def hanging(self) -> Iterator[None]:
        """Within the block it accepts connections and says nothing."""
        goes_on = threading.Event()

        def wait(asked, environ):
            goes_on.wait()

        self._store.meanwhile = wait
        try:
            yield
        finally:
            self._store.meanwhile = lambda _asked, _environ: None
            goes_on.set()


@pytest.fixture
def server(object_store_server: ObjectStore) -> Objects:
    return Objects(object_store_server)


@pytest.fixture
def objects(server: Objects, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Objects:
    """The store, as the environment names it, without marks; looked at anew each time."""
    for name, value in (server.variables | {"AIR_PIPELINE_STATE": str(tmp_path / "state")}).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(remote, "KEEP_S", 0.0)
    monkeypatch.setattr(remote, "_ANSWER_WITHIN_S", 1)
    server.put(TEXT)
    return server


def devices(deployment):
    return [device.id for device in deployment.settings.devices]


def test_settings_and_marks_are_read_from_there(objects):
    objects.put(MARKS, "marks.yaml")
    deployment = open_deployment()
    assert devices(deployment) == ["hall"]
    assert [mark.why for mark in deployment.settings.marks] == ["in the fridge"]
    assert devices(open_deployment(config=objects.config)) == ["hall"]
    assert devices(open_deployment(config=Path(objects.config))) == ["hall"]  # as `--config` gives it


def test_what_is_put_there_is_in_force_at_the_next_look(objects):
    deployment = open_deployment(strict=False)
    objects.put(MORE)
    assert devices(present(deployment)) == ["hall", "attic"]
    objects.put(MARKS, "marks.yaml")
    assert len(present(deployment).settings.marks) == 1


@pytest.mark.slow
def test_while_the_store_does_not_answer_the_last_valid_ones_are_in_force(objects):
    objects.put(MARKS, "marks.yaml")
    deployment = open_deployment(strict=False)
    with objects.hanging():
        silent = present(deployment)
    assert (devices(silent), len(silent.settings.marks)) == (["hall"], 1)
    assert objects.config in str(silent.mistake)
    assert "cannot be read" in str(silent.mistake)
    objects.put(MORE)
    again = present(deployment)
    assert (devices(again), again.mistake) == (["hall", "attic"], None)


def test_an_object_that_is_not_there_is_said(objects):
    with pytest.raises(SettingsError, match=r"elsewhere\.yaml: there is no such file"):
        read_settings(remote.RemoteFile(objects.config.replace("devices", "elsewhere")))


def test_without_the_extra_it_is_said_what_to_install(objects, monkeypatch):
    monkeypatch.setitem(sys.modules, "s3fs", None)
    with pytest.raises(SettingsError, match=r"pip install 'air-pipeline\[s3\]'"):
        open_deployment()


def test_nobody_writes_there(objects):
    done = subprocess.run(
        [sys.executable, "-m", "air_pipeline", "init", "http://127.0.0.1:9/hall", "--force"],
        env=dict(os.environ),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert f"{objects.config} is only read there" in done.stderr
    with pytest.raises(SettingsError, match="is only read there"):
        read_environment().config_here()


@pytest.mark.slow
def test_a_worker_that_reads_the_same_object_has_what_is_there_now(objects, tmp_path):
    """It was changed while the run was queued; but a worker that cannot read it now does not build by what it had."""
    asked = terms_now(open_deployment(strict=False)).to_text()
    elsewhere = {**os.environ, "AIR_PIPELINE_STATE": str(tmp_path / "elsewhere")}
    worker = replace(open_deployment(strict=False), environment=read_environment(elsewhere))
    objects.put(MORE)
    worker = present(worker)
    assert terms_now(worker).to_text() != asked
    check_terms(asked, worker)
    with objects.hanging(), pytest.raises(OtherTerms):
        check_terms(asked, present(worker))


def test_a_collector_takes_up_what_is_put_there(objects):
    configuration = Configuration(read_environment())
    objects.put(MORE)
    configuration.look()
    configuration.look()
    changed = configuration.changed()
    assert [device.id for device in changed.devices] == ["hall", "attic"]


@pytest.mark.slow
def test_a_store_that_hangs_holds_up_no_poll(server, tmp_path):
    home = Installation(tmp_path)
    with Simulator(["hall"]) as simulator:
        write_devices(home.config, simulator, {"hall": 1_000}, today())
        server.put(home.config.read_text(encoding="utf-8"))
        variables = home.variables | server.variables
        collect = [sys.executable, "-m", "air_pipeline", "collect"]
        with (tmp_path / "log").open("w") as log, subprocess.Popen(collect, env=variables, stderr=log) as process:
            try:
                home.collector()
                with server.hanging():
                    since = now_ms()
                    # Longer than a look waits for the store: then one is under way all the time.
                    wait_for(lambda: len(home.accepted(["hall"], since)) > 15, "polls meanwhile")
                slots = sorted(slot for _, slot in home.accepted(["hall"], since))
            finally:
                process.terminate()
    # One that waited would begin one slot in ten; a machine that stands still for a moment is no such thing.
    assert len(slots) > (slots[-1] - slots[0]) / 1_000 / 2
