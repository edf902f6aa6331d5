"""ESPHome: `/metrics` (component `prometheus`), all sensors in one request; or one of them at `/sensor/…` (web_server).

Source: `prometheus_handler.cpp` and `web_server.cpp` of esphome/esphome. A key of the settings is a sensor's object id
or its name. The unit of each metric comes with it. A sensor without a value has no `esphome_sensor_value`.
"""

from collections.abc import Mapping

from air_pipeline.devices.kinds import parts
from air_pipeline.devices.kinds.json_text import DocumentUnusable, parse, shown
from air_pipeline.devices.kinds.kind import Found, Kind, Root, Wanted
from air_pipeline.devices.kinds.metrics_text import parse_metrics, samples
from air_pipeline.devices.kinds.units import In
from air_pipeline.units import OURS, kept_in
from air_pipeline.words import some

_VALUE = "esphome_sensor_value"
_ALL = "entities"
_SENSOR = "sensor"
_ITSELF = "esphome"
_MOST_NAMED = 5


def _parse(body: bytes) -> tuple[Root, bool]:
    """The sensors of a page: id to name, unit and value."""
    if body.lstrip().startswith(b"{"):
        root, is_latin1 = parse(body)
        return {_ALL: [_one(root)]}, is_latin1
    root, is_latin1 = parse_metrics(body)
    found = [(dict(sample.labels), sample.value) for sample in samples(root) if sample.name == _VALUE]
    if not found:
        raise DocumentUnusable(f"there is no {_VALUE}: the page is none of ESPHome's, or no sensor has a value yet")
    return {_ALL: found}, is_latin1


def _one(root: Root) -> tuple[Mapping[str, str], object]:
    """A sensor's own document: `sensor/Name` or `sensor-object_id`, before 2026.8 both."""
    spelt = [text for key in ("name_id", "id") if isinstance(text := root.get(key), str)]
    names = {kind: text for one in spelt for kind, text in [_told_apart(one)] if text}
    if not names or "value" not in root:
        raise DocumentUnusable("the document is none of an ESPHome sensor: it has no id and value")
    unit = root.get("uom")
    return names | ({"unit": unit} if isinstance(unit, str) else {}), root["value"]


def _told_apart(spelt: str) -> tuple[str, str]:
    if spelt.startswith(f"{_SENSOR}/"):
        return "name", spelt.removeprefix(f"{_SENSOR}/")
    return "id", spelt.removeprefix(f"{_SENSOR}-")


def _find(root: Root, wanted: Wanted) -> Found:
    sensors: dict[str, dict[str, object]] = {}
    left = list(root[_ALL])
    for parameter in wanted.parameters:
        sensor = sensors.setdefault(parameter.sensor_key, {})
        for one in root[_ALL]:
            labels, value = one
            if parameter.key in {labels.get("id"), labels.get("name")}:
                unit = labels.get("unit", "")
                sensor[parameter.key] = In(value, unit) if OURS.get(unit) == parameter.unit else value
                left = [other for other in left if other is not one]
    if wanted.parameters:
        return Found(sensors, _unasked(left))
    units = {(_ITSELF, _key(labels)): _ours(labels) for labels, _ in left if labels.get("unit")}
    return Found({_ITSELF: {_key(labels): value for labels, value in left}}, units=units)


def _ours(labels: Mapping[str, str]) -> str:
    """The unit in which a sensor's values are stored."""
    return kept_in(labels.get("unit", "…"))


def _key(labels: Mapping[str, str]) -> str:
    return labels.get("id") or labels.get("name", "")


def _unasked(left: list[tuple[Mapping[str, str], object]]) -> list[str]:
    if not left:
        return []
    names = some([shown(_key(labels)) for labels, _ in left], _MOST_NAMED)
    labels, _ = left[0]
    line = f"{{its_name: {{key: {shown(_key(labels))}, unit: {shown(_ours(labels))}}}}}"
    return [f"sends {names}, not stored; to store the first add under sensors: {{esphome: {line}}}"]


ESPHOME = Kind(name="esphome", path="/metrics", find=_find, known=parts.known, names=parts.names, parse=_parse)
