"""The assets of collecting: the devices, and the readings as they come in."""

from collections.abc import Iterable, Iterator
from contextlib import closing
from datetime import timedelta

import dagster as dg

from air_pipeline.catalogue import STATION
from air_pipeline.collection.lease import CollectorRunning
from air_pipeline.collection.process import collect_once
from air_pipeline.collection.report import CHECKS, MOST_DEVICES, Report, Verdict, look, verdicts
from air_pipeline.deployment import Deployment
from air_pipeline.storage.opening import open_store
from air_pipeline.storage.store import StoreError

RAW_READINGS = dg.AssetKey("raw_readings")
GROUP = "collecting"
FIRST_REPORT = timedelta(minutes=5)
"""How far back a report looks when there is none before it."""


def devices_asset(deployment: Deployment) -> dg.AssetSpec:
    """The devices themselves: outside of Dagster, shown as the source of everything."""
    settings = deployment.settings
    rows = [
        dg.TableRecord(
            {
                "device": device.id,
                "url": device.url,
                "interval": f"{device.interval_ms / 1000:g} s",
                "timezone": device.timezone,
                "series": ", ".join(device.units),
            }
        )
        for device in settings.devices[: 10 * MOST_DEVICES]
    ]
    return dg.AssetSpec(
        "devices",
        description="The devices of `devices.yaml`, polled over HTTP at every slot. They remember nothing.",
        group_name=GROUP,
        kinds={"http"},
        owners=["team:air"],
        metadata={"devices": len(settings.devices), "settings": dg.MetadataValue.table(rows)},
    )


def raw_readings_asset() -> dg.AssetsDefinition:
    """The readings in the store; materialized by the sensor `collect`, and by hand."""

    @dg.asset(
        key=RAW_READINGS,
        deps=["devices"],
        group_name=GROUP,
        kinds={"influxdb"},
        owners=["team:air"],
        description=(
            "Every poll of every device at its slot, and what the device said in it, unjudged: in InfluxDB, or in the"
            " embedded store if none is configured. A collector process writes them at every slot, and the sensor"
            " `collect` reports what came in.\n\nMaterialized by hand, it reports what came in since the last report; if"
            " no collector runs, it polls every device once."
        ),
        metadata={"dagster/column_schema": _columns()},
        check_specs=check_specs(),
    )
    def raw_readings(
        context: dg.AssetExecutionContext, deployment: dg.ResourceParam[Deployment]
    ) -> dg.MaterializeResult:  # type: ignore[type-arg] -- Dagster looks at the class itself
        last = context.instance.get_latest_materialization_event(RAW_READINGS)
        try:
            collect_once(deployment.place, deployment.settings)
            context.log.info("no collector runs: every device was polled once")
        except CollectorRunning as running:
            context.log.info("reporting what the running collector brought in (%s)", running.holder)
        now = deployment.now()
        with closing(open_store(deployment.place.influxdb, deployment.place.state)) as store:
            try:
                # By hand, the slot that was polled just now counts.
                longest = max(device.interval_ms + device.timeout_s * 1000 for device in deployment.settings.devices)
                report = look(deployment, store, _since(last, now.timestamp()), now + timedelta(milliseconds=longest))
            except StoreError as error:
                raise dg.Failure(str(error), allow_retries=False) from error
        found = verdicts(deployment, report, now)
        return dg.MaterializeResult(metadata=report_metadata(report), check_results=list(check_results(found)))

    return raw_readings


def _since(last: dg.EventLogEntry | None, now: float) -> int:
    """Where the last report ended, ms UTC."""
    until = last.asset_materialization.metadata.get("until") if last and last.asset_materialization else None
    if isinstance(until, dg.TimestampMetadataValue):
        return round(until.value * 1000)
    return round((now - FIRST_REPORT.total_seconds()) * 1000)


def check_specs() -> list[dg.AssetCheckSpec]:
    """The checks of `raw_readings`."""
    return [dg.AssetCheckSpec(name, asset=RAW_READINGS, description=text) for name, text in CHECKS.items()]


def check_results(found: Iterable[Verdict]) -> Iterator[dg.AssetCheckResult]:
    """Verdicts as results of a step."""
    for verdict in found:
        yield dg.AssetCheckResult(
            check_name=verdict.check, passed=verdict.passed, severity=_severity(verdict), description=verdict.text
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
            metadata={},
        )


def _severity(verdict: Verdict) -> dg.AssetCheckSeverity:
    return dg.AssetCheckSeverity.ERROR if verdict.grave else dg.AssetCheckSeverity.WARN


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


def _columns() -> dg.TableSchema:
    columns = [
        dg.TableColumn("observed_at", "timestamp[ms, UTC]", "the slot: the instant at which the device was due"),
        dg.TableColumn("device", "string", "id of the device, as in devices.yaml"),
        dg.TableColumn("outcome", "string", "what became of the poll: ok, partial, rejected, http_error, timeout …"),
        dg.TableColumn("duration_ms", "float", "from the slot to the end of the answer, in ms"),
        *(dg.TableColumn(p.series, "float", f"{p.description}, in {p.unit}") for p in STATION),
    ]
    return dg.TableSchema(columns)
