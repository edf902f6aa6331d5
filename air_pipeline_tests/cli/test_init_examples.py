"""The comments of the file that `air-pipeline init` writes: each is a setting of the device that was found."""

import pytest

from air_pipeline.devices.simulator import Profile, Simulator
from air_pipeline.settings import Settings
from air_pipeline.settings.file import parse_settings
from air_pipeline_tests.cli.shell import Shell


def with_all_examples(text: str) -> Settings:
    """The settings of a file of which every comment that is a setting is one."""
    on = [line.replace("# ", "", 1) if line.lstrip().startswith("# ") and ": " in line else line
          for line in text.splitlines() if not line.startswith(("# The", "# A", "    # What"))]  # fmt: skip
    return parse_settings("\n".join(on))


EXAMPLES = {
    "nodemcu": ("dht22_temperature", "mq135_co2"),
    "airgradient": ("sht40_temperature", "s8_co2"),
    "airrohr": ("bme280_temperature", "sds011_pm25"),
    "purpleair": ("bme280_temperature", "pms5003-a_pm25"),
    "shelly": ("shelly_temperature", "shelly_humidity"),
    "tasmota": ("bme280_temperature", "scd40_co2"),
    "esphome": ("esphome_room_temperature", "esphome_dust"),
}


@pytest.mark.parametrize("kind", EXAMPLES)
def test_every_comment_is_a_setting_of_the_device_that_answers(shell: Shell, kind: str) -> None:
    with Simulator([Profile("garage", kind=kind)]) as simulator:
        url = simulator.url("garage") if kind == "nodemcu" else f"127.0.0.1:{simulator.port}"
        assert shell("init", url, "--id", "garage", "--timezone", "Europe/Warsaw").status == 0
    settings = with_all_examples(shell.config.read_text(encoding="utf-8"))
    [device] = settings.devices
    assert (settings.collector, device.timezone) == ("external", "Asia/Tokyo")
    assert (*device.expected_range, *device.thresholds) == EXAMPLES[kind]


def test_of_several_devices_they_are_of_the_last_below_which_they_stand(shell: Shell) -> None:
    with (
        Simulator([Profile("garage", kind="airgradient")]) as first,
        Simulator([Profile("attic", kind="shelly")]) as last,
    ):
        addresses = [f"127.0.0.1:{one.port}" for one in (first, last)]
        assert shell("init", *addresses, "--timezone", "Europe/Warsaw").status == 0
    assert list(with_all_examples(shell.config.read_text(encoding="utf-8")).devices[1].thresholds) == [
        "shelly_humidity"
    ]
