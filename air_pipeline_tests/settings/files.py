"""Texts of `devices.yaml` that many tests read, and what is said of one."""

import pytest

from air_pipeline.settings import SettingsError
from air_pipeline.settings.file import parse_settings

DESIGN = """\
timezone: Europe/Warsaw      # required
start: 2026-11-01            # required: the first local date to build; earlier when history is imported
interval: 10s                # 1s … 1h; default 10s
timeout: 5s                  # the whole exchange; default: 5s or the interval, whichever is less
grace: 15m                   # after the end of the last device's day
collector: dagster           # or external: something else runs `air-pipeline collect`
devices:
  - id: living-room          # [a-z0-9][a-z0-9_-]{0,62}
    url: http://192.168.1.32/circumstances
  - id: garage
    url: http://192.168.1.33/circumstances
    timezone: Asia/Tokyo     # optional, as all that follows; interval and timeout too
    since: 2026-11-05        # expected from its first poll, or from here, until:
    until: 2027-03-01
    payload_key: nodemcu     # which top-level object, where a document has several
    sensors:                 # what this device has, if not the five parts of the NodeMCU station
      dht22: [temperature, humidity]
      sds011:                # a sensor that the catalogue does not know
        pm25: {key: PM2.5, unit: µg/m³, sensor_range: [0, 999.9]}
    expected_range: {dht22_temperature: [5, 40]}   # outside: suspect
    thresholds: {sds011_pm25: 25}                  # for exceedance minutes
    rules: {dht22_temperature: {max_rate: 0.5}}    # overrides of the catalogue's rule parameters
    warm_up: 48h             # gases after a recognized reboot
"""

NOTIFY = """\
notify:
  webhook: https://example.org/hook
  email: {to: [me@example.org], from: air@example.org, server: smtp.example.org:587, user: me}
  quiet_hours: 22:00-07:00
  in_quiet_hours: nothing
  digest: 08:00
  wait: 90s
"""

# Five lines: what is appended stands from line 6 on, indented in the device.
ONE = """\
timezone: Europe/Warsaw
start: 2026-11-01
devices:
  - id: hall
    url: http://10.0.0.1/circumstances
"""
TWO = ONE + "  - id: attic\n    url: http://10.0.0.2/circumstances\n"


def mistake(text):
    with pytest.raises(SettingsError) as raised:
        parse_settings(text)
    return str(raised.value)


def only_device(text):
    (device,) = parse_settings(text).devices
    return device
