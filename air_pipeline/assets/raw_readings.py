"""The asset `raw_readings`: the readings as they come in.

For the underlying Dagster concept, see docs.dagster.io: assets.
"""

from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta

import dagster as dg

from air_pipeline.assets.checks import check_result, readings_check_specs
from air_pipeline.assets.metadata import DATA_VERSION, DATA_VERSION_TAGS
from air_pipeline.assets.names import COLLECTING, DEVICES, OWNER, RAW_READINGS
from air_pipeline.collection.lease import CollectorRunning
from air_pipeline.collection.outbox import OutboxError
from air_pipeline.collection.recorder import PollsLost
from air_pipeline.collection.report import Report, look
from air_pipeline.collection.schedule import slot_at
from air_pipeline.deployment import Deployment, present
from air_pipeline.devices.polls import Outcome
from air_pipeline.health import MOST_NAMED
from air_pipeline.health.checks import checks_of, summaries
from air_pipeline.health.seen import seen_by_dagster
from air_pipeline.processing.local_time import epoch_ms
from air_pipeline.settings import Settings, SettingsError
from air_pipeline.storage.opening import open_store
from air_pipeline.words import some

FIRST_REPORT = timedelta(minutes=5)
"""How far back a report looks when there is none before it."""
REPORT_EVERY = timedelta(minutes=15)
"""How often what came in is reported while nothing changes."""
LONGEST_BY_HAND = timedelta(days=1)
"""How far back a report by hand counts at most, so that the store can count it in time."""


def raw_readings_asset(deployment: Deployment) -> dg.AssetsDefinition:
    """The readings in the store; materialized by the sensor `collect`, and by hand."""

    @dg.asset(
        key=RAW_READINGS,
        deps=[DEVICES],
        group_name=COLLECTING,
        kinds={_store_kind(deployment)},
        owners=[OWNER],
        description=(
            "Every poll of every device at its slot, and what the device said in it, unjudged: in InfluxDB, or in the"
            " embedded store if none is configured. A collector process writes them at every slot, and the sensor"
            " `collect` reports what came in.\n\nMaterialized by hand, it reports what came in since the last report;"
            " if no collector runs, it polls every device once; with collector: external in devices.yaml, none."
        ),
        metadata={
            "dagster/column_schema": _columns(deployment),
            "dagster/storage_kind": _store_kind(deployment),
            "store": deployment.environment.store,
        },
        check_specs=readings_check_specs(),
        freshness_policy=_freshness(deployment.settings),
    )
    def raw_readings(
        context: dg.AssetExecutionContext, deployment: dg.ResourceParam[Deployment]
    ) -> Iterator[dg.MaterializeResult[None]]:
        current = present(deployment)
        last = context.instance.get_latest_materialization_event(RAW_READINGS)
        try:
            report = _by_hand(context, current, last)
        except (SettingsError, OutboxError, PollsLost) as error:
            raise dg.Failure(str(error), allow_retries=False) from error
        if report.store_error:
            raise dg.Failure(report.store_error, allow_retries=False)
        yield dg.MaterializeResult(
            metadata=report_metadata(report),
            data_version=DATA_VERSION,
            check_results=[
                check_result(found)
                for found in summaries(checks_of("raw_readings"), seen_by_dagster(current, report), current.now())
            ],
        )

    return raw_readings


def _freshness(settings: Settings) -> dg.FreshnessPolicy:
    """How long ago the last report may be: they come every quarter of an hour, or as rarely as devices are polled."""
    usual = max(REPORT_EVERY, timedelta(milliseconds=min(device.interval_ms for device in settings.devices)))
    return dg.FreshnessPolicy.time_window(warn_window=3 * usual, fail_window=6 * usual)


def _by_hand(context: dg.AssetExecutionContext, deployment: Deployment, last: dg.EventLogEntry | None) -> Report:
    begun = deployment.now()
    polled = _polls_once(context, deployment)
    now = deployment.now()
    since = _since(last, now)
    if polled:  # the slots that were polled may have begun before the last report
        begun_ms = epoch_ms(begun)
        since = min(since, *(slot_at(begun_ms, device.interval_ms) for device in deployment.settings.devices))
    with closing(open_store(deployment.environment.influxdb, deployment.environment.state)) as store:
        return look(deployment, store, since, now, all_done=polled)


def _polls_once(context: dg.AssetExecutionContext, deployment: Deployment) -> bool:
    """Polls each device once, unless a collector does here, or elsewhere by devices.yaml; whether it did."""
    if deployment.environment.collector not in deployment.settings.collectors:
        context.log.info("reporting what came in: the devices of devices.yaml are of other collectors")
        return False
    if deployment.settings.collector == "external":
        context.log.info("reporting what came in: devices.yaml says collector: external, so no device is asked here")
        return False
    # With requests, 0.1 s and 16 MB that definitions are spared.
    from air_pipeline.collection.process import collect_once

    try:
        own = [one for one in deployment.settings.devices if one.collector == deployment.environment.collector]
        left_out = collect_once(deployment.environment, deployment.settings)
    except CollectorRunning as running:
        context.log.info("reporting what the running collector brought in (%s)", running.holder)
        return False
    context.log.info("no collector runs: %d devices were polled", len(own) - len(left_out))
    if left_out:
        context.log.warning(
            "left out, as their slot began longer ago than their timeout or they are not polled now: %s",
            some(left_out, MOST_NAMED),
        )
    return True


def _since(last: dg.EventLogEntry | None, now: datetime) -> int:
    """Where the last report ended, ms UTC, within bounds."""
    until = last.asset_materialization.metadata.get("until") if last and last.asset_materialization else None
    if isinstance(until, dg.TimestampMetadataValue):
        return round(max(until.value, (now - LONGEST_BY_HAND).timestamp()) * 1000)
    return epoch_ms(now - FIRST_REPORT)


def materialization(report: Report) -> dg.AssetMaterialization:
    """A report as an event of a sensor."""
    return dg.AssetMaterialization(
        RAW_READINGS,
        description=f"{report.readings} readings in {report.polls} polls of {len(report.counts)} devices",
        metadata=report_metadata(report),
        tags=DATA_VERSION_TAGS,
    )


def report_metadata(report: Report) -> dict[str, dg.MetadataValue]:
    """A report as metadata; the numbers have the same keys every time, so that the UI plots them."""
    metadata: dict[str, dg.MetadataValue] = {
        "since": dg.MetadataValue.timestamp(report.since / 1000),
        "until": dg.MetadataValue.timestamp(report.until / 1000),
        "devices": dg.MetadataValue.int(len(report.counts)),
        "polls": dg.MetadataValue.int(report.polls),
        "readings": dg.MetadataValue.int(report.readings),
        "outbox_pending": dg.MetadataValue.int(report.pending),
        "quarantined": dg.MetadataValue.int(report.quarantined),
        **{f"polls_{name}": dg.MetadataValue.int(number) for name, number in report.outcomes.items()},
    }
    if report.unwell:
        rows = [
            dg.TableRecord({"device": state.device, "polls": state.polls, "mostly": state.outcome or "not polled"})
            for state in report.unwell[:MOST_NAMED]
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
