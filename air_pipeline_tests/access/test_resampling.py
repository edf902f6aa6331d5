"""One statistic by local hour or day."""

from datetime import date

import pandas as pd

from air_pipeline.access import Archive
from air_pipeline_tests.access.archives import NOW, local
from air_pipeline_tests.days.deployments import (
    AFTER,
    DAY,
    deployment,
    device,
    seed,
)


def test_resampling_is_by_local_hour_or_day(stations):
    by_hour = stations.resample("hour", DAY, AFTER)
    hourly = stations.hourly(DAY, AFTER, devices="hall", series="first_temperature")
    assert by_hour.columns.tolist() == ["device", "first_temperature", "other_humidity"]
    assert by_hour.groupby("device").size().to_dict() == {"attic": 24, "hall": 24}
    assert str(by_hour.index.dtype) == "datetime64[ms, Europe/Warsaw]"
    assert by_hour.index[0] == local(2026, 11, 21)
    hall = by_hour[by_hour["device"] == "hall"]
    assert hall["first_temperature"].tolist() == hourly["mean"].tolist()
    assert hall["other_humidity"].isna().all()
    by_day = stations.resample("day", DAY, AFTER, devices="hall", series="first_temperature", statistic="max")
    assert by_day.index.tolist() == [pd.Timestamp(2026, 11, 21)]
    assert by_day["first_temperature"].tolist() == [hourly["max"].max()]


def test_resampled_frames_of_means_and_of_coverage_have_one_shape(stations):
    stretch = ("hour", "2026-11-20T22:00", "2026-11-21T02:00", "hall", "first_temperature")
    means, coverage = stations.resample(*stretch), stations.resample(*stretch, statistic="coverage")
    assert means.index.equals(coverage.index)
    assert coverage["first_temperature"].tolist() == [1, 1]
    nothing = stations.resample("day", "2026-11-01", "2026-11-02", series="first_temperature")
    assert nothing.empty
    assert nothing.columns.tolist() == ["device", "first_temperature"]


def test_an_autumn_night_has_its_hour_twice(tmp_path):
    night = date(2026, 10, 25)
    deployed = deployment(tmp_path, device("hall"), now=NOW)
    seed(deployed, [night])
    with Archive(deployed) as archive:
        hours = archive.resample("hour", night, "2026-10-26").index
    assert len(hours) == 25
    assert [hour.isoformat() for hour in hours if hour.hour == 2] == [
        "2026-10-25T02:00:00+02:00",
        "2026-10-25T02:00:00+01:00",
    ]
