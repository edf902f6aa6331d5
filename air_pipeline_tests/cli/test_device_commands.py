"""The commands that are about devices and what was collected: poll, collect, outbox, simulate."""

import json
import re
import subprocess
import sys
from contextlib import closing
from datetime import date

import pytest

from air_pipeline.collection.lease import CollectorLock
from air_pipeline.collection.outbox import Outbox
from air_pipeline.devices.polls import Outcome, Poll
from air_pipeline.devices.simulator import Simulator
from air_pipeline.in_force import load_settings
from air_pipeline.storage.opening import open_store
from air_pipeline_tests.cli.shell import Shell
from air_pipeline_tests.running_pipeline import (
    dead_port,
    has_colour,
    now_ms,
    write_devices,
)
from air_pipeline_tests.waiting import WITHIN_S, wait_for


def test_poll_asks_and_stores_nothing(home: Shell, simulator: Simulator) -> None:
    simulator.set_fault("cellar", "http_500")
    polled = home("poll", "--json")
    assert (polled.status, polled.err) == (1, "")
    attic, cellar = json.loads(polled.out)
    assert (attic["device"], attic["live"], attic["outcome"], attic["http_status"]) == ("attic", True, "ok", 200)
    assert attic["values"]["dht22_temperature"] is not None
    assert (cellar["outcome"], cellar["http_status"], cellar["values"]) == ("http_error", 500, {})
    assert "500" in home("poll", "cellar").out
    assert home("poll", "attic").status == 0
    assert not home.environment.state.path.exists()


@pytest.mark.parametrize("command", ["poll", "doctor"])
def test_with_an_external_collector_devices_are_asked_only_where_that_is_said(
    home: Shell, simulator: Simulator, command: str
) -> None:
    text = home.config.read_text(encoding="utf-8")
    home.config.write_text(f"collector: external\n{text}", encoding="utf-8")
    before = len(simulator.requests("attic").times_ms)
    with closing(open_store(None, home.environment.state)) as store:
        store.write([Poll("attic", now_ms(), Outcome.OK, 40.0, 10.0, 200, {"dht22_temperature": 21.0})])
    assert "last poll of the running collector" in home(command, "attic").out
    assert len(simulator.requests("attic").times_ms) == before
    assert "attic: ok" in home(command, "attic", "--ask").out
    assert len(simulator.requests("attic").times_ms) == before + 1
    with CollectorLock(home.environment.state):  # it is here, after all
        assert "last poll of the running collector" in home(command, "attic", "--ask").out
    assert len(simulator.requests("attic").times_ms) == before + 1


def test_poll_goes_on_with_the_last_valid_configuration_and_says_so(home: Shell) -> None:
    load_settings(home.environment.config, home.environment.state)
    home.config.write_text("timezone: Europe/Warsaw\n", encoding="utf-8")
    polled = home("poll", "attic")
    assert polled.status == 0
    assert polled.out.startswith("attic: ok")
    assert "going on with the last valid configuration" in polled.err
    assert "devices is missing" in polled.err


def test_beside_a_collector_poll_says_what_it_met(home: Shell, simulator: Simulator) -> None:
    page = Poll("cellar", now_ms(), Outcome.REJECTED, 40.0, 10.0, http_status=200, body="<html>who are you?")
    missed = Poll("attic", now_ms(), Outcome.HTTP_ERROR, 40.0, 10.0, http_status=404)
    with closing(open_store(None, home.environment.state)) as store, CollectorLock(home.environment.state):
        store.write([page, missed])
        polled = home("poll")
    assert polled.status == 1
    assert "attic: http_error: the device answered with status 404" in polled.out
    assert "cellar: rejected: the answer is a web page" in polled.out
    assert not simulator.requests("attic").times_ms


def test_beside_a_collector_poll_knows_what_waits_while_the_store_is_away(home: Shell) -> None:
    home.use_influxdb(f"http://127.0.0.1:{dead_port()}")
    with closing(Outbox(home.environment.state.outbox)) as box, CollectorLock(home.environment.state):
        values = {"dht22_temperature": 21.0}
        box.add([Poll("attic", now_ms() - age, Outcome.OK, 40.0, 10.0, 200, values) for age in (0, 10_000)])
        box.remember("attic", notes="sends x.y, which is not stored")
        known, unknown = home("poll", "attic"), home("poll", "cellar")
    assert known.status == 0
    assert "dht22_temperature" in known.out
    assert "sends x.y" in known.out
    assert "the store does not answer, so only what waits in the outbox is known" in known.err
    assert "secret" not in known.err
    assert unknown.status == 1
    assert "no poll of the running collector is known yet" in unknown.out


def test_collect_goes_on_until_it_is_stopped(home: Shell, simulator: Simulator) -> None:
    write_devices(home.config, simulator, {"attic": "1s"}, date(2026, 11, 1))
    variables = {name: value for name, value in home.variables.items() if name != "AIR_PIPELINE_CONFIG"}
    process = subprocess.Popen(
        [sys.executable, "-m", "air_pipeline", "collect", "--config", str(home.config)],
        env=variables,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        wait_for(lambda: len(home.stored(["attic"], 0)) >= 2, "two slots")
        assert "already collects into" in home.refused("collect", status=1).replace(str(process.pid), "")
    finally:
        process.terminate()
        _, said = process.communicate(timeout=WITHIN_S)
    assert process.returncode == 0
    assert not has_colour(said)
    assert "Traceback" not in said


def test_what_was_set_aside_is_shown_and_put_back(home: Shell) -> None:
    poll = Poll("attic", 1_795_000_000_000, Outcome.OK, 40.0, 10.0, values={"dht22_temperature": 21.0})
    with closing(Outbox(home.environment.state.outbox)) as box:
        box.add([poll])
        [pending] = box.pending(1)
        box.quarantine([pending], "the field is of another type")
    shown = home("outbox")
    assert (shown.status, shown.err) == (0, "")
    assert "0 polls wait for the embedded store" in shown.out
    assert re.search(r"attic +2026-11-18T\S+Z +the field is of another type", shown.out)
    as_json = json.loads(home("outbox", "--json").out)
    assert (as_json["pending"], as_json["quarantined"]) == (0, 1)
    assert as_json["quarantine"][0]["device"] == "attic"
    released = home("outbox", "--release")
    assert "1 polls put back into the outbox" in released.err
    after = json.loads(home("outbox", "--json").out)
    assert (after["pending"], after["quarantined"], after["oldest"]) == (1, 0, "2026-11-18T11:06:40.000Z")


def test_who_looks_at_an_outbox_that_is_not_there_makes_none(home: Shell) -> None:
    for options in ((), ("--json",), ("--release",)):
        assert home("outbox", *options).status == 0
    assert not home.environment.state.outbox.exists()


def test_simulate_answers_as_devices_do_with_the_faults_asked_for(home: Shell) -> None:
    import requests

    (home.folder / "faults.yaml").write_text("- {device: garage, fault: http_500}\n", encoding="utf-8")
    arguments = [
        "simulate",
        "living-room",
        "garage",
        "attic",
        "--port",
        "0",
        "--fault",
        "attic=dht22_frozen",
        "--script",
        "faults.yaml",
    ]
    process = subprocess.Popen(
        [sys.executable, "-m", "air_pipeline", *arguments],
        cwd=home.folder,
        env=home.variables,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        urls = [process.stdout.readline().strip() for _ in range(3)]
        answers = [requests.get(url, timeout=WITHIN_S) for url in urls]
        assert [answer.status_code for answer in answers] == [200, 500, 200]
        assert "DHT22" in answers[0].text.upper()
    finally:
        process.terminate()
        process.communicate(timeout=WITHIN_S)
    assert process.returncode == 0


def test_simulate_says_what_it_cannot_do(home: Shell, simulator: Simulator) -> None:
    taken = home.refused("simulate", "--port", str(simulator.port), status=1)
    assert f"port {simulator.port} of 127.0.0.1 is taken" in taken
    assert "--port" in taken
    assert "garage=hang" in home.refused("simulate", "garage", "--fault", "garag=hang", status=2)
    assert "hang" in home.refused("simulate", "garage", "--fault", "garage=hangs", status=2)
    assert "no.yaml" in home.refused("simulate", "--script", "no.yaml", status=2)
    (home.folder / "faults.yaml").write_text("- {fault: nonsense}\n", encoding="utf-8")
    assert "entry 1 of the script" in home.refused("simulate", "--script", "faults.yaml", status=2)
