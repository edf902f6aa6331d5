"""What people use from notebooks and programs: readings, observations and aggregates as DataFrames with local times.

    from air_pipeline.access import open_archive

    air = open_archive()
    air.latest()
    air.history("-1d", devices=["living-room"])
    air.daily("2026-11-01", "2026-11-08")

Belongs here: questions of people to stores and tables. Does not: commands (`cli`), and how anything is stored.
"""

from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pandas as pd

from air_pipeline.deployment import Deployment, open_deployment
from air_pipeline.processing.columns import TableName
from air_pipeline.processing.local_time import day_window, epoch_ms
from air_pipeline.processing.schemas import arrow_schema
from air_pipeline.settings import Device
from air_pipeline.storage.parquet import built_days, day_file
from air_pipeline.times import Time, TimeError, instant

_FARTHEST_DATE = timedelta(days=3)
"""More than the local dates of two zones can be apart at one instant: at most 26 hours."""
_NO_READINGS = pd.DataFrame({"device": []}, index=pd.DatetimeIndex([], dtype="datetime64[ms, UTC]", name="observed_at"))


def open_archive(config: str | Path | None = None) -> "Archive":
    """The archive of the deployment that the environment names.

    Args:
        config: the configuration file, if not `$AIR_PIPELINE_CONFIG` or `./devices.yaml`.

    Raises:
        SettingsError: the environment or the settings cannot be used.
    """
    return Archive(open_deployment(config=config))


class Archive:
    """Everything that was collected and built, to be asked.

    Times are given as `times.Time`; without a zone they are in the deployment's.
    """

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment

    @property
    def devices(self) -> list[str]:
        """The ids of the devices of the settings."""
        return [device.id for device in self._deployment.settings.devices]

    def latest(self, devices: str | Iterable[str] | None = None) -> pd.DataFrame:
        """The last that is known of each device, however long ago.

        Returns:
            A row a device (index `device`): `polled_at` and `outcome` of its last poll, `observed_at` of its last
            reading (both tz-aware, in the deployment's zone; missing if there is none), and that reading's values, a
            column a series (units: `units`).
        """
        zone = self._deployment.settings.timezone
        known = self._deployment.store.latest()
        rows: list[dict[str, object]] = []
        for device in self._chosen(devices):
            last = known.get(device.id)
            row: dict[str, object] = {"device": device.id, "polled_at": None, "outcome": None, "observed_at": None}
            if last:
                row |= {"polled_at": last.poll.observed_at, "outcome": last.poll.outcome.value}
                row |= {"observed_at": last.reading_at, **last.values}  # noqa: PD011 - not a frame
            rows.append(row)
        first = ["device", "polled_at", "outcome", "observed_at"]
        series = sorted({name for row in rows for name in row} - set(first))
        frame = pd.DataFrame(rows, columns=[*first, *series]).set_index("device")
        for column in ("polled_at", "observed_at"):
            instants = pd.to_datetime(frame[column].astype("Int64"), unit="ms", utc=True)
            frame[column] = instants.dt.as_unit("ms").dt.tz_convert(zone)
        return frame

    def history(self, start: Time, end: Time | None = None, devices: str | Iterable[str] | None = None) -> pd.DataFrame:
        """The readings in [start, end), unjudged, as the devices gave them; `end` is now if it is left out.

        Returns:
            A row a reading: index `observed_at` (tz-aware, in the deployment's zone), the column `device`, and a column
            of float64 a series, NaN where there is no value; device after device as asked for, each by time.
        """
        since, until = self._interval(start, end)
        zone = self._deployment.settings.timezone
        frames = []
        for device in self._chosen(devices):
            readings = self._deployment.store.readings(device.id, since, until)
            frames.append(readings.assign(device=device.id))
        return _joined(frames).tz_convert(zone)

    def observations(
        self,
        start: Time,
        end: Time | None = None,
        devices: str | Iterable[str] | None = None,
        series: str | Iterable[str] | None = None,
    ) -> pd.DataFrame:
        """The observations of the built days, with slots in [start, end).

        Returns:
            The rows of the table `observations` with its columns.

        Raises:
            DayNotBuilt: no day of that time has been built.
        """
        return self._rows("observations", start, end, devices, series)

    def hourly(
        self,
        start: Time,
        end: Time | None = None,
        devices: str | Iterable[str] | None = None,
        series: str | Iterable[str] | None = None,
    ) -> pd.DataFrame:
        """The hourly aggregates of the built days, with hours that begin in [start, end).

        Returns:
            The rows of the table `hourly_aggregates` with its columns.

        Raises:
            DayNotBuilt: no day of that time has been built.
        """
        return self._rows("hourly_aggregates", start, end, devices, series)

    def daily(
        self,
        start: Time,
        end: Time | None = None,
        devices: str | Iterable[str] | None = None,
        series: str | Iterable[str] | None = None,
    ) -> pd.DataFrame:
        """The daily aggregates of the built dates that [start, end) touches.

        Returns:
            The rows of the table `daily_aggregates` with its columns, and `date` as the first.

        Raises:
            DayNotBuilt: no day of that time has been built.
        """
        return self._rows("daily_aggregates", start, end, devices, series)

    def flux(self, query: str) -> pd.DataFrame:
        """The rows of a Flux query, as InfluxDB gives them.

        Raises:
            StoreError: the store is not InfluxDB, or the query fails.
        """
        return self._deployment.store.flux(query)

    def units(self) -> dict[str, str]:
        """Series to unit, over all devices."""
        return {name: unit for device in self._deployment.settings.devices for name, unit in device.units.items()}

    def _rows(
        self,
        table: TableName,
        start: Time,
        end: Time | None,
        devices: str | Iterable[str] | None,
        series: str | Iterable[str] | None,
    ) -> pd.DataFrame:
        since, until = self._interval(start, end)
        wanted = self._chosen(devices)
        names = {device.id for device in wanted}
        chosen = [series] if isinstance(series, str) or series is None else list(series)
        frames = []
        for day in self._built(table, since, until, wanted):
            for _, rows in day_file(self._deployment.data, table, day).device_tables(names):
                frame = _within(rows.to_pandas(), table, since, until)
                kept = frame if series is None else frame[frame["series"].isin(chosen)]
                frames.append(_with_date(kept, table, day))
        return _concatenated(frames or [_with_date(arrow_schema(table).empty_table().to_pandas(), table, date.min)])

    def _built(self, table: TableName, since: int, until: int, devices: Sequence[Device]) -> list[date]:
        """The built days with rows in [since, until), ms UTC: by each device's own local days, or by date for dailies.

        Raises:
            DayNotBuilt: there is none.
        """
        zones = {self._deployment.settings.timezone: self._zone}
        if table != "daily_aggregates" and devices:
            zones = {device.timezone: device.zone for device in devices}

        def touched(day: date) -> bool:
            windows = (map(epoch_ms, day_window(day, zone)) for zone in zones.values())
            return any(start < until and end > since for start, end in windows)

        first, last = (datetime.fromtimestamp(ms / 1000, self._zone).date() for ms in (since, until - 1))
        near = (first - _FARTHEST_DATE, last + _FARTHEST_DATE)
        days = [day for day in built_days(self._deployment.data, table) if near[0] <= day <= near[1] and touched(day)]
        if not days:
            meant = next(day for day in (near[0] + timedelta(days=number) for number in range(9)) if touched(day))
            day_file(self._deployment.data, table, meant).metadata()  # raises, with the remedy
        return days

    @property
    def _zone(self) -> ZoneInfo:
        return self._deployment.settings.zone

    def _chosen(self, devices: str | Iterable[str] | None) -> Sequence[Device]:
        settings = self._deployment.settings
        if devices is None:
            return settings.devices
        return [settings.device(name) for name in dict.fromkeys([devices] if isinstance(devices, str) else devices)]

    def _interval(self, start: Time, end: Time | None) -> tuple[int, int]:
        now = self._deployment.now()
        since = instant(start, self._zone, now)
        until = now if end is None else instant(end, self._zone, now)
        if since >= until:
            raise TimeError(
                f"the time from {since.isoformat()} to {until.isoformat()} is empty; put the earlier one first"
            )
        return epoch_ms(since), epoch_ms(until)


def _joined(frames: list[pd.DataFrame]) -> pd.DataFrame:
    """Readings one below the other, with all their columns: `device` first, then the series by name."""
    joined = pd.concat([frame for frame in frames if len(frame)] or frames[:1] or [_NO_READINGS])
    return joined[["device", *sorted(set(joined.columns) - {"device"})]]


def _within(rows: pd.DataFrame, table: TableName, since: int, until: int) -> pd.DataFrame:
    """The rows with times in [since, until), ms UTC; dailies are chosen by their date already."""
    if table == "daily_aggregates":
        return rows
    times = rows["observed_at" if table == "observations" else "hour_start"]
    first, end = (pd.Timestamp(ms, unit="ms", tz="UTC") for ms in (since, until))
    return rows[(times >= first) & (times < end)]


def _with_date(rows: pd.DataFrame, table: TableName, day: date) -> pd.DataFrame:
    """The rows of dailies with the date as first column: in the file it is in the path only."""
    if table == "daily_aggregates":
        rows.insert(0, "date", pd.Series([day] * len(rows), rows.index, dtype="datetime64[ms]"))
    return rows


def _concatenated(frames: list[pd.DataFrame]) -> pd.DataFrame:
    """Rows one below the other; texts that are categories stay so, over all that occur."""
    if len(frames) == 1:
        return frames[0].reset_index(drop=True)
    categories = [name for name in frames[0].columns if isinstance(frames[0][name].dtype, pd.CategoricalDtype)]
    for name in categories:
        everything = sorted({text for frame in frames for text in frame[name].cat.categories})
        frames = [frame.assign(**{name: frame[name].cat.set_categories(everything)}) for frame in frames]
    return pd.concat(frames, ignore_index=True)
