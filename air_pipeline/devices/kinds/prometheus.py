"""Any device with a page of metrics for Prometheus: a parameter is a metric, with labels where it needs them."""

from collections.abc import Iterator, Mapping

from air_pipeline.catalogue import Parameter
from air_pipeline.devices.kinds import parts
from air_pipeline.devices.kinds.json_text import shown
from air_pipeline.devices.kinds.kind import Found, Kind, Root, Wanted
from air_pipeline.devices.kinds.metrics_text import parse_metrics, samples, selector
from air_pipeline.units import can_convert

_UNITS: Mapping[str, str] = {
    "celsius": "°C",
    "fahrenheit": "°F",
    "kelvin": "K",
    "pascals": "Pa",
    "hectopascals": "hPa",
    "kilopascals": "kPa",
    "ratio": "ratio",
    "percent": "%",
    "ppm": "ppm",
    "ppb": "ppb",
}
"""How a metric's name ends to its unit, as Prometheus asks of names (prometheus.io/docs/practices/naming)."""


def _find(root: Root, wanted: Wanted) -> Found:
    sensors: dict[str, dict[str, object]] = {}
    notes: list[str] = []
    for parameter in wanted.parameters:
        sensor = sensors.setdefault(parameter.sensor_key, {})
        asked = selector(parameter.key)
        fitting = [sample.value for sample in samples(root) if asked and sample.fits(*asked)]
        if len(fitting) == 1:
            sensor[parameter.key] = fitting[0]
            notes += _note_of_unit(asked[0], parameter) if asked and parameter.sent_in is None else ()
        elif fitting:
            sensor[parameter.key] = list(fitting)
            notes.append(f"sends {len(fitting)} metrics that fit {shown(parameter.key)}; add a label that only one has")
    return Found(sensors, notes)


def _note_of_unit(metric: str, parameter: Parameter) -> Iterator[str]:
    unit = _UNITS.get(metric.rpartition("_")[2], parameter.unit)
    if unit != parameter.unit and can_convert(unit, parameter.unit):
        write = f"if its name is right, write sent_in: {unit}, else {parameter.unit}"
        yield f"sends {metric}, stored as {parameter.unit}; {write}"


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
