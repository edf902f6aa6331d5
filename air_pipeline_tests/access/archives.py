"""What the tests of the archive ask: three devices, one in Tokyo, and two of which one has a series more."""

from dataclasses import replace
from datetime import UTC, datetime

import pandas as pd

from air_pipeline.catalogue import Parameter
from air_pipeline_tests.days.deployments import (
    ONE,
    device,
    window,
)

START, END = window()


NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


DEVICES = (device("hall"), device("attic"), device("tokyo", "Asia/Tokyo"))


def local(*parts):
    return pd.Timestamp(*parts, tz="Europe/Warsaw")


# One of them has a series that the other has not, and that no poll has given yet.
STATIONS = (
    device("hall"),
    replace(device("attic"), parameters=(*ONE, Parameter("other", "humidity", "%", "humidity", (0.0, 100.0), 0.1))),
)
