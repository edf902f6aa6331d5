"""Which columns the columns of the tables come from, for the UI.

Belongs here: column lineage. Does not: what the columns are (`processing.columns`).
"""

from collections.abc import Iterable

import dagster as dg

from air_pipeline.processing.columns import TABLES, TableName

_JUDGED = ("observations.value", "observations.flag")
_SOURCES: dict[TableName, dict[str, tuple[str, ...]]] = {
    "observations": {
        "device": ("raw_readings.device",),
        "observed_at": ("raw_readings.observed_at",),
        "local_time": ("raw_readings.observed_at",),
        "utc_offset_minutes": ("raw_readings.observed_at",),
        "poll_outcome": ("raw_readings.outcome",),
    },
    "hourly_aggregates": {
        "hour_start": ("observations.observed_at",),
        "hour_start_local": ("observations.observed_at",),
        "utc_offset_minutes": ("observations.observed_at",),
        "expected_count": ("observations.observed_at",),
        "unit": ("observations.series",),
    },
    "daily_aggregates": {
        "unit": ("observations.series",),
        "hour_count": ("hourly_aggregates.hour_start",),
        "complete_hours": ("hourly_aggregates.is_complete",),
        "is_complete": ("hourly_aggregates.is_complete",),
        "max_8h_mean": ("hourly_aggregates.mean", "hourly_aggregates.is_complete"),
        "mean_06_22": (*_JUDGED, "observations.local_time"),
        "mean_22_06": (*_JUDGED, "observations.local_time"),
        "exceedance_minutes": (*_JUDGED, "observations.observed_at"),
        "day_start": (),
        "day_end": (),
        "hours_in_day": (),
        "timezone": (),
    },
}
"""The columns that do not follow from `_usual`."""


def column_lineage(table: TableName, series: Iterable[str]) -> dg.TableColumnLineage:
    """Where each column of a table comes from.

    Args:
        table: which table.
        series: the columns of `raw_readings` that hold readings.
    """
    readings = tuple(f"raw_readings.{name}" for name in series)
    lineage: dict[str, list[dg.TableColumnDep]] = {}
    for column in TABLES[table].column_names:
        sources = _SOURCES[table].get(column)
        if sources is None:
            sources = _usual(table, column, readings)
        lineage[column] = [dg.TableColumnDep(*source.split(".")) for source in sources]
    return dg.TableColumnLineage(lineage)


def _usual(table: TableName, column: str, readings: tuple[str, ...]) -> tuple[str, ...]:
    if table == "observations":
        return readings if column in {"series", "value"} else (*readings, "raw_readings.problems")
    if column in {"device", "series"}:
        return (f"observations.{column}",)
    if column.endswith("_count") and table == "daily_aggregates":
        return (f"hourly_aggregates.{column}",)
    counts = column.endswith("_count") or column in {"coverage", "is_complete"}
    return ("observations.flag",) if counts else _JUDGED
