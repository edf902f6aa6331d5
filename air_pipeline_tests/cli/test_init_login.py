"""`air-pipeline init` at devices with a login: each kind is asked in its way, and no password is shown."""

from urllib.parse import quote

import pytest

from air_pipeline.devices.kinds import KINDS
from air_pipeline.devices.recognizing import PATHS
from air_pipeline.settings.file import read_settings
from air_pipeline_tests.cli.shell import Shell
from air_pipeline_tests.devices.guarded import FIRMWARES, PASSWORD, USER, guarded

INIT = ("--id", "garage", "--timezone", "Europe/Warsaw")
TELL_NOTHING = {name for name, one in FIRMWARES.items() if one.kind not in {"tasmota", "shelly"}}


@pytest.mark.parametrize("name", FIRMWARES)
def test_with_user_and_password_in_the_address_a_device_of_any_kind_is_known_and_polled(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("STATION_PASSWORD", PASSWORD)
    with guarded(FIRMWARES[name]) as device:
        ran = shell("init", device.address(USER, "$STATION_PASSWORD"), *INIT)
        assert (ran.status, ran.err) == (0, "")
        [entry] = read_settings(shell.config).devices
        assert entry.kind == FIRMWARES[name].kind
        assert PASSWORD not in shell.config.read_text(encoding="utf-8")
        polled = shell("poll")
        assert polled.out.startswith("garage: ok (")
    shown = f"{ran} {polled}"
    assert PASSWORD not in shown
    assert quote(PASSWORD, safe="") not in shown
    by_name = [path for path, _ in device.asked if "password=" in path]
    assert all(path.startswith("/cm?") for path in by_name)  # a page that is not Tasmota's is told nothing
    assert bool(by_name) is (FIRMWARES[name].kind == "tasmota")


@pytest.mark.parametrize("name", FIRMWARES)
def test_without_one_it_is_said_and_by_force_too_nothing_is_written_as_a_wrong_kind(shell: Shell, name: str) -> None:
    firmware = FIRMWARES[name]
    with guarded(firmware) as device:
        ran = shell("init", device.address(), *INIT, "--force")
        assert len(device.asked) == len({path for path, _ in device.asked})  # each page once
        assert [path for path, _ in device.asked] == list(PATHS[: len(device.asked)])
    kind = "" if name in TELL_NOTHING else f", as a device of kind {firmware.kind}"
    why = ": the device answered with status 401" if firmware.status == 401 else ""
    said = " ".join(ran.err.split())
    assert f"garage: wants a login{kind}{why} → say its own" in said
    assert f"air-pipeline init 'admin:$STATION_PASSWORD@127.0.0.1:{device.port}'" in said
    assert said.endswith("nothing was written")
    assert ran.status == 1
    assert not shell.config.exists()


@pytest.mark.parametrize("name", ["tasmota", "shelly", "esphome of ESP-IDF"])
def test_a_wrong_password_is_called_that_and_is_not_tried_elsewhere(shell: Shell, name: str) -> None:
    with guarded(FIRMWARES[name]) as device:
        ran = shell("init", device.address(USER, "hunter2"), *INIT, "--force")
        tried = [path for path, said in device.asked if said or "password=" in path]
    assert len(tried) == 1
    assert "garage: does not take this user and password" in " ".join(ran.err.split())
    assert "hunter2" not in f"{ran}"
    assert not shell.config.exists()


def test_a_password_that_is_typed_out_works_and_it_is_said_where_it_stands(shell: Shell) -> None:
    with guarded(FIRMWARES["shelly"]) as device:
        ran = shell("init", device.address(USER, quote(PASSWORD, safe="")), *INIT)
        assert f"garage: its password stands in {shell.config}" in ran.out
        assert shell("poll").status == 0


def test_by_force_the_others_are_written_and_one_that_wants_a_login_is_left_out(shell: Shell) -> None:
    with guarded(FIRMWARES["tasmota"]) as device:
        silent = "127.0.0.1:9"
        ran = shell("init", device.address(), silent, *INIT, "--id", "attic", "--timezone", "UTC")
        assert "nothing was written; --force writes the others all the same" in " ".join(ran.err.split())
        ran = shell("init", device.address(), silent, *INIT, "--id", "attic", "--force")
        assert ran.status == 0
    assert [(one.id, one.kind) for one in read_settings(shell.config).devices] == [("attic", KINDS["nodemcu"].name)]
