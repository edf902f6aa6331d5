"""The asset `devices`: what is polled, outside of Dagster.

For the underlying Dagster concept, see docs.dagster.io: external assets.
"""

import dagster as dg

from air_pipeline.assets.metadata import DATA_VERSION_TAGS
from air_pipeline.assets.names import COLLECTING, DEVICES, OWNER
from air_pipeline.deployment import Deployment
from air_pipeline.showing import plain, without_secrets

MOST_SHOWN = 200
"""Devices in the table of all devices."""


def devices_asset(deployment: Deployment) -> dg.AssetSpec:
    """The devices themselves: outside of Dagster, shown as the source of everything."""
    return dg.AssetSpec(
        DEVICES,
        description=(
            "What is polled: each device of devices.yaml answers an HTTP GET with its present readings and remembers"
            " nothing, so it is asked at every slot.\n\nDagster does not make devices; it shows where everything comes"
            " from, and a materialization whenever a valid `devices.yaml` was saved."
        ),
        group_name=COLLECTING,
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
        tags=DATA_VERSION_TAGS,
    )


def devices_metadata(deployment: Deployment) -> dict[str, dg.MetadataValue]:
    """The devices as metadata: how many, and a table of the first so many."""
    settings = deployment.settings
    shown = settings.devices[:MOST_SHOWN]
    rows = [
        dg.TableRecord(
            {
                "device": device.id,
                "url": plain(without_secrets(device.url)),
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
