"""The assets of collecting: the devices, and the readings as they come in."""

from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path

import dagster as dg
from dagster._core.definitions.data_version import DATA_VERSION_TAG

from air_pipeline.collection.lease import CollectorRunning
from air_pipeline.collection.outbox import OutboxError
from air_pipeline.collection.report import CHECKS, MOST_DEVICES, Report, Verdict, look, verdicts
from air_pipeline.collection.schedule import slot_at
from air_pipeline.deployment import Deployment
from air_pipeline.devices.polls import Outcome
from air_pipeline.environment import Environment
from air_pipeline.settings import Settings, SettingsError
from air_pipeline.state import Loaded, load_settings
from air_pipeline.storage.opening import open_store

DEVICES = dg.AssetKey("devices")
RAW_READINGS = dg.AssetKey("raw_readings")
GROUP = "collecting"
OWNER = "team:air"
MOST_SHOWN = 200
"""Devices in the table of all devices."""
FIRST_REPORT = timedelta(minutes=5)
"""How far back a report looks when there is none before it."""
LONGEST_BY_HAND = timedelta(days=1)
"""How far back a report by hand counts at most, so that the store can count it in time."""
DATA_VERSION = dg.DataVersion("INITIAL")
"""Always the same, and that of an asset without materializations: otherwise the UI would call every day out of date
whenever readings come in. Which days are is known to `build_days`."""


def devices_asset(deployment: Deployment) -> dg.AssetSpec:
    """The devices themselves: outside of Dagster, shown as the source of everything."""
    return dg.AssetSpec(
        DEVICES,
        description=(
            "What is polled: each device of devices.yaml answers an HTTP GET with its present readings and remembers"
            " nothing, so it is asked at every slot.\n\nDagster does not make devices; it shows where everything comes"
            " from, and a materialization whenever a valid `devices.yaml` was saved."
        ),
        group_name=GROUP,
        kinds={"http"},
        owners=[OWNER],
        metadata=devices_metadata(deployment),
    )


def devices_materialization(deployment: Deployment) -> dg.AssetMaterialization:
    """What devices.yaml says from now on, as an event of a sensor."""
    return dg.AssetMaterialization(
        DEVICES,
        description=f"{len(deployment.settings.devices)} devices in {deployment.environment.config.name}",
        metadata=devices_metadata(deployment),
        tags={DATA_VERSION_TAG: DATA_VERSION.value},
    )


def devices_metadata(deployment: Deployment) -> dict[str, dg.MetadataValue]:
    """The devices as metadata: how many, and a table of the first so many."""
    settings = deployment.settings
    shown = settings.devices[:MOST_SHOWN]
    rows = [
        dg.TableRecord(
            {
                "device": device.id,
                "url": device.url,
                "interval_s": device.interval_ms / 1000,
                "timezone": device.timezone,
                "sensors": ", ".join(dict.fromkeys(parameter.sensor for parameter in device.parameters)),
                "series": len(device.units),
            }
        )
        for device in shown
    ]
    meaning = {
        "interval_s": "every so many seconds it is due [s]",
        "series": "what it measures, and means over sensors",
    }
    schema = dg.TableSchema(
        [
            dg.TableColumn(name, {str: "string", int: "int"}.get(type(value), "float"), meaning.get(name))
            for name, value in rows[0].data.items()
        ],
        constraints=dg.TableConstraints([f"{len(shown)} of {len(settings.devices)} devices"]),
    )
    return {
        "device_count": dg.MetadataValue.int(len(settings.devices)),
        "configuration": dg.MetadataValue.path(str(deployment.environment.config)),
        "devices": dg.MetadataValue.table(rows, schema),
    }


def raw_readings_asset(deployment: Deployment) -> dg.AssetsDefinition:
    """The readings in the store; materialized by the sensor `collect`, and by hand."""

    @dg.asset(
        key=RAW_READINGS,
        deps=[DEVICES],
        group_name=GROUP,
        kinds={_store_kind(deployment)},
        owners=[OWNER],
        description=(
            "Every poll of every device at its slot, and what the device said in it, unjudged: in InfluxDB, or in the"
            " embedded store if none is configured. A collector process writes them at every slot, and the sensor"
            " `collect` reports what came in.\n\nMaterialized by hand, it reports what came in since the last report;"
            " if no collector runs, it polls every device once."
        ),
        metadata={
            "dagster/column_schema": _columns(deployment),
            "dagster/storage_kind": _store_kind(deployment),
            "store": deployment.environment.store,
        },
        check_specs=check_specs(),
        freshness_policy=_freshness(deployment.settings),
    )
    def raw_readings(
        context: dg.AssetExecutionContext, deployment: dg.ResourceParam[Deployment]
    ) -> Iterator[dg.MaterializeResult[None]]:
        current = present(deployment)
        last = context.instance.get_latest_materialization_event(RAW_READINGS)
        try:
            report = _by_hand(context, current, last)
        except (SettingsError, OutboxError) as error:
            raise dg.Failure(str(error), allow_retries=False) from error
        if report.store_error:
            raise dg.Failure(report.store_error, allow_retries=False)
        yield dg.MaterializeResult(
            metadata=report_metadata(report),
            data_version=DATA_VERSION,
            check_results=list(check_results(verdicts(current, report, current.now()))),
        )

    return raw_readings


def _freshness(settings: Settings) -> dg.FreshnessPolicy:
    """How long ago the last report may be: reports come every five minutes, or as rarely as the devices are polled."""
    usual = max(FIRST_REPORT, timedelta(milliseconds=min(device.interval_ms for device in settings.devices)))
    return dg.FreshnessPolicy.time_window(warn_window=3 * usual, fail_window=6 * usual)


def _by_hand(context: dg.AssetExecutionContext, deployment: Deployment, last: dg.EventLogEntry | None) -> Report:
    from air_pipeline.collection.process import collect_once

    begun, polled = deployment.now(), True
    try:
        collect_once(deployment.environment, deployment.settings)
        context.log.info("no collector runs: every device was polled once")
    except CollectorRunning as running:
        polled = False
        context.log.info("reporting what the running collector brought in (%s)", running.holder)
    now = deployment.now()
    since = _since(last, now)
    if polled:  # the slots that were polled may have begun before the last report
        begun_ms = round(begun.timestamp() * 1000)
        since = min(since, *(slot_at(begun_ms, device.interval_ms) for device in deployment.settings.devices))
    with closing(open_store(deployment.environment.influxdb, deployment.environment.state)) as store:
        return look(deployment, store, since, now, all_done=polled)


def _since(last: dg.EventLogEntry | None, now: datetime) -> int:
    """Where the last report ended, ms UTC, within bounds."""
    until = last.asset_materialization.metadata.get("until") if last and last.asset_materialization else None
    if isinstance(until, dg.TimestampMetadataValue):
        return round(max(until.value, (now - LONGEST_BY_HAND).timestamp()) * 1000)
    return round((now - FIRST_REPORT).timestamp() * 1000)


def present(deployment: Deployment) -> Deployment:
    """The deployment with what `devices.yaml` says now, rather than when the definitions were loaded.

    Of an invalid file the last valid one is in force, and the mistake is there.
    """
    try:
        loaded = _loaded(deployment.environment, settings_stamp(deployment.environment.config))
    except SettingsError as mistake:  # and there is no last valid one
        return replace(deployment, mistake=mistake)
    return replace(deployment, settings=loaded.settings, mistake=loaded.mistake)


def settings_stamp(path: Path) -> tuple[int, int, int] | None:
    """What changes whenever a file does; None where there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


@lru_cache(maxsize=1)
def _loaded(environment: Environment, stamp: tuple[int, int, int] | None) -> Loaded:
    """The settings at this stamp: reading a thousand devices takes a second, and a tick should not."""
    del stamp
    return load_settings(environment.config, environment.state)


def check_specs() -> list[dg.AssetCheckSpec]:
    """The checks of `raw_readings`."""
    return [dg.AssetCheckSpec(name, asset=RAW_READINGS, description=text) for name, text in CHECKS.items()]


def check_results(found: Iterable[Verdict]) -> Iterator[dg.AssetCheckResult]:
    """Verdicts as results of a step."""
    for verdict in found:
        yield dg.AssetCheckResult(
            check_name=verdict.check,
            passed=verdict.passed,
            severity=_severity(verdict),
            description=verdict.text,
            metadata=dict(verdict.numbers),
        )


def check_evaluations(found: Iterable[Verdict]) -> Iterator[dg.AssetCheckEvaluation]:
    """Verdicts as events of a sensor."""
    for verdict in found:
        yield dg.AssetCheckEvaluation(
            asset_key=RAW_READINGS,
            check_name=verdict.check,
            passed=verdict.passed,
            severity=_severity(verdict),
            description=verdict.text,
            metadata={name: dg.MetadataValue.int(number) for name, number in verdict.numbers.items()},
        )


def _severity(verdict: Verdict) -> dg.AssetCheckSeverity:
    return dg.AssetCheckSeverity.ERROR if verdict.grave else dg.AssetCheckSeverity.WARN


def materialization(report: Report) -> dg.AssetMaterialization:
    """A report as an event of a sensor."""
    return dg.AssetMaterialization(
        RAW_READINGS,
        description=f"{report.readings} readings in {report.polls} polls of {len(report.counts)} devices",
        metadata=report_metadata(report),
        tags={DATA_VERSION_TAG: DATA_VERSION.value},
    )


def report_metadata(report: Report) -> dict[str, dg.MetadataValue]:
    """A report as metadata; the numbers have the same keys every time, so that the UI plots them."""
    metadata: dict[str, dg.MetadataValue] = {
        "since": dg.MetadataValue.timestamp(report.since / 1000),
        "until": dg.MetadataValue.timestamp(report.until / 1000),
        "devices": dg.MetadataValue.int(len(report.counts)),
        "polls": dg.MetadataValue.int(report.polls),
        "readings": dg.MetadataValue.int(report.readings),
        "outbox_pending": dg.MetadataValue.int(report.outbox.pending),
        "quarantined": dg.MetadataValue.int(report.outbox.quarantined),
        **{f"polls_{name}": dg.MetadataValue.int(number) for name, number in report.outcomes.items()},
    }
    if report.unwell:
        rows = [
            dg.TableRecord({"device": state.device, "polls": state.polls, "mostly": state.outcome or "not polled"})
            for state in report.unwell[:MOST_DEVICES]
        ]
        metadata["not_well"] = dg.MetadataValue.table(rows)
    return metadata


def _store_kind(deployment: Deployment) -> str:
    return "sqlite" if deployment.environment.influxdb is None else "influxdb"


def _columns(deployment: Deployment) -> dg.TableSchema:
    """The fields of a poll and of the readings that the devices of the settings give."""
    parameters = {p.series: p for device in deployment.settings.devices for p in device.parameters}
    outcomes = ", ".join(outcome.value for outcome in Outcome)
    columns = [
        dg.TableColumn("observed_at", "timestamp[ms, UTC]", "the slot: the instant at which the device was due [UTC]"),
        dg.TableColumn("device", "string", "id of the device, as in devices.yaml"),
        dg.TableColumn("outcome", "string", f"what became of the poll: {outcomes}"),
        dg.TableColumn("duration_ms", "float64", "from the slot to the end of the answer [ms]"),
        dg.TableColumn("http_status", "float64", "of the answer; null if there was none"),
        dg.TableColumn("interval_s", "float64", "the interval in force [s]"),
        dg.TableColumn("problems", "string", "every value asked for and not stored, as JSON; empty if there is none"),
        dg.TableColumn("body", "string", "begin of a rejected document, where it differs from the last rejected one"),
        *(
            dg.TableColumn(series, "float64", f"{p.description or f'{p.name} by {p.sensor}'} [{p.unit}]")
            for series, p in parameters.items()
        ),
    ]
    return dg.TableSchema(columns)
