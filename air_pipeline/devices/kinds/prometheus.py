"""Any device with a page of metrics for Prometheus: a parameter is a metric, with labels where it needs them."""

from air_pipeline.devices.kinds import parts
from air_pipeline.devices.kinds.json_text import shown
from air_pipeline.devices.kinds.kind import Found, Kind, Root, Wanted
from air_pipeline.devices.kinds.metrics_text import parse_metrics, samples, selector


def _find(root: Root, wanted: Wanted) -> Found:
    sensors: dict[str, dict[str, object]] = {}
    notes = []
    for parameter in wanted.parameters:
        sensor = sensors.setdefault(parameter.sensor_key, {})
        asked = selector(parameter.key)
        fitting = [sample.value for sample in samples(root) if asked and sample.fits(*asked)]
        if len(fitting) == 1:
            sensor[parameter.key] = fitting[0]
        elif fitting:
            sensor[parameter.key] = list(fitting)
            notes.append(f"sends {len(fitting)} metrics that fit {shown(parameter.key)}; add a label that only one has")
    return Found(sensors, notes)


def mistake(key: str) -> str:
    """What is wrong with the name of a metric; empty where nothing is."""
    return "" if selector(key) else 'is no metric; write it as room_temperature or room_temperature{place="attic"}'


PROMETHEUS = Kind(
    name="prometheus",
    path="/metrics",
    find=_find,
    known=parts.known,
    names=parts.names,
    parse=parse_metrics,
    mistake=mistake,
)
