"""The archive: what was collected and built, as answers to questions.

Belongs here: what may be asked, and the shapes of answers. Does not: asking without blocking (`asynchronous`), making
frames (`frames`), where the rows of a day come from (`day_tables`). These are imported by the first question that needs
them: with pandas and pyarrow they take half a second, which whoever opens an archive does not wait for.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import datetime
from functools import wraps
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Literal, ParamSpec, Self, TypeVar
from zoneinfo import ZoneInfo

from air_pipeline.access.last_known import last_known
from air_pipeline.deployment import Deployment, open_deployment
from air_pipeline.errors import AirPipelineError
from air_pipeline.processing.columns import TableName
from air_pipeline.processing.local_time import epoch_ms
from air_pipeline.settings import Device, SettingsError
from air_pipeline.settings.values import near
from air_pipeline.times import Time, instant, interval

if TYPE_CHECKING:
    import pandas as pd

    from air_pipeline.access.day_tables import Progress
    from air_pipeline.days.explanation import Explanation

Names = str | Iterable[str] | None
"""One name, several, or None for all."""

Statistic = Literal["mean", "min", "max", "sd", "median", "p02", "p98", "coverage"]

_P = ParamSpec("_P")
_R = TypeVar("_R")


def _plainly(question: Callable[_P, _R]) -> Callable[_P, _R]:
    """Errors for people leave without the errors that they were made of: a notebook shows one sentence, not three."""

    @wraps(question)
    def asked(*arguments: _P.args, **named: _P.kwargs) -> _R:
        try:
            return question(*arguments, **named)
        except AirPipelineError as error:
            raise error.with_traceback(None) from None

    return asked


@_plainly
def open_archive(config: str | Path | None = None) -> "Archive":
    """The archive of the deployment that the environment names.

    Args:
        config: the configuration file, if not `$AIR_PIPELINE_CONFIG` or `./devices.yaml`.

    Raises:
        SettingsError: the environment or the settings cannot be used.
    """
    return Archive(open_deployment(config=config))


class Archive:
    """Everything that was collected and built, to be asked; as a context manager it closes itself.

    Times are given as `times.Time`, half-open: [start, end); `end` is now if it is left out. Devices and series are one
    name, several, or all without. Every frame has `attrs["units"]`: the units of its series. Rows of days have
    `attrs["torn"]` too: the dates, with why, of which one file is of another making than the others, as a build is
    under way or was ended in between.

    Days that are built come from their files, and what they say counts, even where the store, the settings or the rules
    have changed since. Days without a file, today up to now included, are computed from the store by the same code, as
    they would be built: the same columns, types and flags, only slower. There is nothing before the settings' `start`
    but what was built, and nothing before a device's first poll (or its `since`). What waits in the outbox is not in
    the store yet and counts as missing.

    Every question raises `TimeError` (a time that is none, or nothing but future), `SettingsError` (no such device or
    series), `StoreError`, `TableError` and `ShelfError` (store, file or object store cannot be read).
    """

    def __init__(self, deployment: Deployment, progress: "Progress" = lambda _done, _steps: None) -> None:
        """Opens nothing yet.

        Args:
            deployment: whose.
            progress: told of the steps of a question as they are done.
        """
        self._deployment = deployment
        self._progress = progress

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Frees the connections to the store; the next question opens new ones."""
        self._deployment.store.close()

    @property
    def devices(self) -> list[str]:
        """The ids of the devices that the settings name now."""
        return [device.id for device in self._deployment.settings.devices]

    def units(self) -> dict[str, str]:
        """Series to unit, over all devices, those and what they had before too."""
        settings = self._deployment.settings
        every = (*settings.known.values(), *settings.devices)  # what is so now comes last and counts
        return {name: unit for device in every for name, unit in device.units.items()}

    @_plainly
    def interval(self, start: Time, end: Time | None = None) -> tuple[datetime, datetime]:
        """The instants that two times mean here, in the deployment's zone; the end is now if it is left out."""
        since, until = interval(start, end, self._zone, self._deployment.now())
        return since.astimezone(self._zone), until.astimezone(self._zone)

    @_plainly
    def latest(self, devices: Names = None) -> "pd.DataFrame":
        """The last that is known of each device, however long ago.

        Returns:
            A row a device (index `device`): `polled_at` and `outcome` of its last poll, `observed_at` of its last
            reading (both tz-aware, in the deployment's zone; missing if there is none), and that reading's values, a
            column a series.
        """
        from air_pipeline.access.frames import latest_frame  # with pandas

        known = last_known(self._deployment, None if devices is None else _listed(devices))
        return self._with_units(*latest_frame(known, self._zone))

    @_plainly
    def history(
        self, start: Time, end: Time | None = None, devices: Names = None, series: Names = None
    ) -> "pd.DataFrame":
        """The readings in [start, end), unjudged, as the devices gave them.

        Returns:
            A row a reading: index `observed_at` (tz-aware, in the deployment's zone), the column `device`, and a column
            of float64 a series, NaN where there is no value; device after device as asked for, each by time. Series
            that are asked for come in that order; without, all that were read, by name.
        """
        from air_pipeline.access.frames import history_frame  # with pandas

        since, until = map(epoch_ms, self.interval(start, end))
        chosen = self._chosen(devices)
        measured = {part.series for device in self._deployment.settings.known.values() for part in device.parameters}
        wanted = None if series is None else self._wanted(series, measured, "readings of")
        frames = []
        for done, device in enumerate(chosen):
            self._progress(done, len(chosen))
            readings = self._deployment.store.readings(device.id, since, until)
            if wanted is not None:
                readings = readings.reindex(columns=wanted)
            frames.append((device.id, readings))
        self._progress(len(chosen), len(chosen))
        return self._with_units(*history_frame(frames, wanted, self._zone))

    def observations(
        self, start: Time, end: Time | None = None, devices: Names = None, series: Names = None
    ) -> "pd.DataFrame":
        """The flagged observations of the slots in [start, end): rows of the table `observations` with its columns."""
        return self._rows("observations", start, end, devices, series)

    def hourly(
        self, start: Time, end: Time | None = None, devices: Names = None, series: Names = None
    ) -> "pd.DataFrame":
        """The aggregates of the hours that begin in [start, end): rows of the table `hourly_aggregates`.

        An hour that is not over is there up to now, and not complete.
        """
        return self._rows("hourly_aggregates", start, end, devices, series)

    def daily(
        self, start: Time, end: Time | None = None, devices: Names = None, series: Names = None
    ) -> "pd.DataFrame":
        """The aggregates of the dates that [start, end) touches: rows of `daily_aggregates`, and `date` as the first.

        A day that is not over is there up to now (`expected_count` too), and not complete.
        """
        return self._rows("daily_aggregates", start, end, devices, series)

    def resample(
        self,
        by: Literal["hour", "day"],
        start: Time,
        end: Time | None = None,
        devices: Names = None,
        series: Names = None,
        statistic: Statistic = "mean",
    ) -> "pd.DataFrame":
        """One statistic of the valid observations by local hour or local day, as a wide frame like `history`.

        The hours and days are those of `hourly` and `daily`: an autumn night has two rows for its repeated hour, with
        different offsets. The statistic `coverage` gives a frame of the same shape: `means.where(coverage >= 0.75)`.

        Returns:
            A row a device and hour or day: index `hour_start` (tz-aware, in the deployment's zone) or `date`, the
            column `device`, and a column of float64 a series, NaN where nothing is valid; by device, then by time.
        """
        rows = self._rows("hourly_aggregates" if by == "hour" else "daily_aggregates", start, end, devices, series)
        time = "hour_start" if by == "hour" else "date"
        wide = rows.pivot(index=["device", time], columns="series", values=statistic)  # noqa: PD010 - keys are unique
        names = list(wide.columns) if series is None else self._wanted(series, self.units())
        wide = wide.reindex(columns=names).rename_axis(columns=None).reset_index("device")
        return self._with_units(wide.tz_convert(self._zone) if by == "hour" else wide, names)

    @_plainly
    def explain(self, device: str, series: str, at: Time) -> "Explanation":
        """Why the observation of a slot is flagged as it is: what each rule measured, between which limits.

        Args:
            device: its id.
            series: one of its series, or a mean over its sensors.
            at: the slot, or a time after it on the same day.
        """
        from air_pipeline.days.explanation import explanation  # with pandas

        (chosen,) = self._chosen(device)
        (wanted,) = self._wanted(series, chosen.units)
        moment = instant(at, self._zone, self._deployment.now())
        return explanation(self._deployment, chosen, wanted, moment)

    @_plainly
    def flux(self, query: str) -> "pd.DataFrame":
        """The rows of a Flux query, as InfluxDB gives them, with times in the deployment's zone.

        Raises:
            StoreError: the store is not InfluxDB, or the query fails.
        """
        frame = self._deployment.store.flux(query)
        for column in frame.select_dtypes("datetimetz").columns:
            frame[column] = frame[column].dt.tz_convert(self._zone)
        return frame

    @_plainly
    def _rows(self, table: TableName, start: Time, end: Time | None, devices: Names, series: Names) -> "pd.DataFrame":
        from air_pipeline.access.day_tables import day_rows  # with pandas

        stretch = self.interval(start, end)
        chosen = self._chosen(devices)
        wanted = None if series is None else self._wanted(series, self.units())
        rows = day_rows(self._deployment, table, stretch, chosen, wanted, self._progress)
        return self._with_units(rows, rows["series"].unique())

    @property
    def _zone(self) -> ZoneInfo:
        return self._deployment.settings.zone

    def _chosen(self, devices: Names) -> Sequence[Device]:
        """The devices that are asked for, those of before too, each with every series that it ever had."""
        settings = self._deployment.settings
        if devices is None:
            return list(settings.known.values())
        return [settings.known.get(name) or settings.device(name) for name in _listed(devices)]

    def _wanted(self, series: str | Iterable[str], known: Collection[str], what: str = "a series") -> list[str]:
        """The series that are asked for.

        Raises:
            SettingsError: one of them is not known; the message names the nearest one, or those there are.
        """
        wanted = _listed(series)
        for name in wanted:
            if name not in known:
                alike = sorted(one for one in known if one.endswith(f"_{name}"))
                listed = f"; there are: {', '.join(alike or sorted(known))}"
                hint = listed if alike else near(name, known, otherwise=listed)
                raise SettingsError(f"no device in devices.yaml has {what} {name!r}{hint}")
        return wanted

    def _with_units(self, frame: "pd.DataFrame", series: Iterable[str]) -> "pd.DataFrame":
        units = self.units()
        frame.attrs["units"] = {name: units[name] for name in series if name in units}
        return frame


def _listed(names: str | Iterable[str]) -> list[str]:
    """Names once each, in their order."""
    return list(dict.fromkeys([names] if isinstance(names, str) else names))
