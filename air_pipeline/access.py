"""What people use from notebooks and programs: readings, observations and aggregates as DataFrames with local times.

    from air_pipeline.access import open_archive

    air = open_archive()
    air.latest()
    air.history("-1d", devices=["living-room"])
    air.daily("2026-11-01", "2026-11-08")

Belongs here: questions of people to stores and tables. Does not: commands (`cli`), and how anything is stored.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pandas as pd

from air_pipeline.deployment import Deployment, open_deployment
from air_pipeline.processing.columns import TableName
from air_pipeline.processing.local_time import epoch_ms
from air_pipeline.settings import Device
from air_pipeline.storage.parquet import built_days, day_file
from air_pipeline.times import Time, TimeError, instant


def open_archive(config: str | Path | None = None) -> "Archive":
    """The archive of the deployment that the environment names.

    Args:
        config: the configuration file, if not `$AIR_PIPELINE_CONFIG` or `./devices.yaml`.

    Raises:
        SettingsError: the environment or the settings cannot be used.
    """
    return Archive(open_deployment(config=config))


class Archive:
    """Everything that was collected and built, to be asked. Times are in the deployment's zone unless a column says else."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment

    @property
    def devices(self) -> list[str]:
        """The ids of the devices of the settings."""
        return [device.id for device in self._deployment.settings.devices]

    def latest(self, devices: str | Iterable[str] | None = None) -> pd.DataFrame:
        """The last that is known of each device, however long ago.

        Returns:
            A row a device (index `device`): `polled_at` and `outcome` of its last poll, `observed_at` of its last reading
            (both tz-aware, in the deployment's zone; missing if there is none), and that reading's values, a column a
            series (units: `units`).
        """
        zone = self._deployment.settings.timezone
        known = self._deployment.store.latest()
        rows = []
        for device in self._chosen(devices):
            last = known.get(device.id)
            row: dict[str, object] = {"device": device.id, "polled_at": None, "outcome": None, "observed_at": None}
            if last:
                row |= {"polled_at": last.poll.observed_at, "outcome": last.poll.outcome.value}
                row |= {"observed_at": last.reading_at, **dict(sorted(last.values.items()))}
            rows.append(row)
        frame = pd.DataFrame(rows).set_index("device")
        for column in ("polled_at", "observed_at"):
            instants = pd.to_datetime(frame[column].astype("Int64"), unit="ms", utc=True)
            frame[column] = instants.dt.as_unit("ms").dt.tz_convert(zone)
        return frame

    def history(self, start: Time, end: Time | None = None, devices: str | Iterable[str] | None = None) -> pd.DataFrame:
        """The readings in [start, end), unjudged, as the devices gave them; `end` is now if it is left out.

        Returns:
            A row a reading: index `observed_at` (tz-aware, in the deployment's zone), the column `device`, and a column
            of float64 a series, NaN where there is no value; sorted by device and time.
        """
        since, until = self._interval(start, end)
        zone = self._deployment.settings.timezone
        frames = []
        for device in self._chosen(devices):
            readings = self._deployment.store.readings(device.id, since, until)
            readings.insert(0, "device", device.id)
            frames.append(readings)
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
        since, until = self._interval(start, end)
        stamps = [pd.Timestamp(ms, unit="ms", tz="UTC") for ms in (since, until)]

        def inside(frame: pd.DataFrame) -> pd.DataFrame:
            return frame[(frame["observed_at"] >= stamps[0]) & (frame["observed_at"] < stamps[1])]

        return self._rows("observations", start, end, devices, series, inside)

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
        since, until = self._interval(start, end)
        stamps = [pd.Timestamp(ms, unit="ms", tz="UTC") for ms in (since, until)]

        def inside(frame: pd.DataFrame) -> pd.DataFrame:
            return frame[(frame["hour_start"] >= stamps[0]) & (frame["hour_start"] < stamps[1])]

        return self._rows("hourly_aggregates", start, end, devices, series, inside)

    def daily(
        self,
        start: Time,
        end: Time | None = None,
        devices: str | Iterable[str] | None = None,
        series: str | Iterable[str] | None = None,
    ) -> pd.DataFrame:
        """The daily aggregates of the built dates that begin in [start, end).

        Returns:
            The rows of the table `daily_aggregates` with its columns, and `date` as the first.

        Raises:
            DayNotBuilt: no day of that time has been built.
        """
        return self._rows("daily_aggregates", start, end, devices, series, None)

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
        inside: Callable[[pd.DataFrame], pd.DataFrame] | None,
    ) -> pd.DataFrame:
        since, until = self._interval(start, end)
        wanted = {device.id for device in self._chosen(devices)}
        chosen = [series] if isinstance(series, str) else None if series is None else list(series)
        # A device in another zone has its own local day: its rows may be in the file of the date before or after.
        margin = timedelta(days=1) if inside else timedelta()
        first = datetime.fromtimestamp(since / 1000, self._zone).date() - margin
        last = datetime.fromtimestamp((until - 1) / 1000, self._zone).date() + margin
        days = [day for day in built_days(self._deployment.data, table) if first <= day <= last]
        if not days:
            day_file(self._deployment.data, table, first + margin).row_count()  # raises, with the remedy
        frames = []
        for day in days:
            for name, rows in day_file(self._deployment.data, table, day).device_frames():
                if name not in wanted:
                    continue
                kept = rows if chosen is None else rows[rows["series"].isin(chosen)]
                kept = inside(kept) if inside else kept
                if table == "daily_aggregates":
                    kept.insert(0, "date", pd.Timestamp(day))
                frames.append(kept)
        if not frames:
            return day_file(self._deployment.data, table, days[0]).read().iloc[:0]
        return _concatenated(frames)

    @property
    def _zone(self) -> ZoneInfo:
        return self._deployment.settings.zone

    def _chosen(self, devices: str | Iterable[str] | None) -> Sequence[Device]:
        settings = self._deployment.settings
        if devices is None:
            return settings.devices
        return [settings.device(name) for name in ([devices] if isinstance(devices, str) else devices)]

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
    """Frames one below the other, with all their columns: `device` first, then the series by name."""
    joined = pd.concat(frames) if len(frames) > 1 else frames[0]
    return joined[["device", *sorted(set(joined.columns) - {"device"})]]


def _concatenated(frames: list[pd.DataFrame]) -> pd.DataFrame:
    """Rows one below the other; texts that are categories stay so, over all that occur."""
    categories = [name for name in frames[0].columns if isinstance(frames[0][name].dtype, pd.CategoricalDtype)]
    for name in categories:
        everything = pd.api.types.union_categoricals([frame[name] for frame in frames], sort_categories=True).categories
        frames = [frame.assign(**{name: frame[name].cat.set_categories(everything)}) for frame in frames]
    return pd.concat(frames, ignore_index=True)
