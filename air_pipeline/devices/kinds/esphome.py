"""ESPHome: `/metrics` (component `prometheus`) or `/events` (`web_server`), all sensors in one request; or `/sensor/…`.

Source: `prometheus_handler.cpp` and `web_server.cpp` of esphome/esphome. A key of the settings is a sensor's object id
or its name. The unit of each metric comes with it. A sensor without a value has no `esphome_sensor_value`. `/events`
begins with an event `state` for each entity, all of it said, and goes on with what changes: the last of each counts.
"""

import re
from collections.abc import Iterator, Mapping

from air_pipeline.devices.kinds import parts
from air_pipeline.devices.kinds.json_text import DocumentUnusable, parse, shown
from air_pipeline.devices.kinds.kind import Found, Kind, Root, Wanted
from air_pipeline.devices.kinds.metrics_text import parse_metrics, samples
from air_pipeline.devices.kinds.units import In
from air_pipeline.units import kept_in
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
    if _EVENT.search(body):
        return _of_events(body)
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
    unit, state = root.get("uom"), root.get("state")
    if not isinstance(unit, str):  # which only all details have; the rounded text ends with it always
        unit = state.partition(" ")[2] if isinstance(state, str) else ""
    return names | ({"unit": unit} if unit else {}), root["value"]


def _of_events(body: bytes) -> tuple[Root, bool]:
    """The sensors of a stream of events, as far as it has come; what has not come whole is left out."""
    found: dict[str, tuple[Mapping[str, str], object]] = {}
    are_latin1 = False
    for said in _states(body):
        try:
            root, is_latin1 = parse(said)
        except DocumentUnusable:  # its neighbours are not touched by it
            continue
        are_latin1 |= is_latin1
        spelt = root.get("name_id", root.get("id"))
        if isinstance(spelt, str) and spelt.startswith((f"{_SENSOR}/", f"{_SENSOR}-")) and "value" in root:
            found[spelt] = _one(root)
    if not found:
        raise DocumentUnusable("no event of a sensor has come: there is none, or the device is slower than its timeout")
    return {_ALL: list(found.values())}, are_latin1


def _states(body: bytes) -> Iterator[bytes]:
    """What the events `state` say that have come whole, https://html.spec.whatwg.org/multipage/server-sent-events.html."""
    *whole, _ = _BLANK_LINE.split(body)
    for event in whole:
        fields = [line.partition(b":")[::2] for line in event.splitlines()]
        said = [(name, value.removeprefix(b" ")) for name, value in fields]
        if (b"event", b"state") in said:
            yield b"\n".join(value for name, value in said if name == b"data")


_EVENT = re.compile(rb"^event:", re.MULTILINE)
_BLANK_LINE = re.compile(rb"\r\n\r\n|\n\n|\r\r")
_SPELT = re.compile(rb'"(?:name_)?id"\s*:\s*"([^"]*)"')


def _has_all(body: bytes, wanted: Wanted) -> bool:
    """Whether an event of each sensor that is wanted has come; which ones there are, nobody knows before."""
    said = (spelt.decode("utf-8", "replace") for event in _states(body) for spelt in _SPELT.findall(event))
    names = {name for _, name in map(_told_apart, said)}
    return bool(wanted.parameters) and all(one.key in names for one in wanted.parameters)


def _told_apart(spelt: str) -> tuple[str, str]:
    if spelt.startswith(f"{_SENSOR}/"):
        return "name", spelt.removeprefix(f"{_SENSOR}/")
    return "id", spelt.removeprefix(f"{_SENSOR}-")


def _find(root: Root, wanted: Wanted) -> Found:
    everything: list[tuple[Mapping[str, str], object]] = root[_ALL]
    if not wanted.parameters:
        units = {(_ITSELF, _key(labels)): _ours(labels) for labels, _ in everything if labels.get("unit")}
        return Found({_ITSELF: {_key(labels): value for labels, value in everything}}, units=units)
    sensors: dict[str, dict[str, object]] = {}
    notes = []
    for parameter in wanted.parameters:
        sensor = sensors.setdefault(parameter.sensor_key, {})
        fitting = [one for one in everything if parameter.key in _names(one[0])]
        if len(fitting) == 1:
            labels, value = fitting[0]
            sensor[parameter.key] = In(value, unit) if (unit := labels.get("unit")) else value
        elif fitting:  # of sub-devices, say: which is meant, nobody knows
            sensor[parameter.key] = [value for _, value in fitting]
            notes.append(f"sends {len(fitting)} sensors that are called {shown(parameter.key)}; give each its own name")
    keys = {parameter.key for parameter in wanted.parameters}
    return Found(sensors, [*notes, *_unasked([one for one in everything if keys.isdisjoint(_names(one[0]))])])


def _names(labels: Mapping[str, str]) -> set[str | None]:
    return {labels.get("id"), labels.get("name")}


def _ours(labels: Mapping[str, str]) -> str:
    """The unit in which a sensor's values are stored."""
    return kept_in(labels.get("unit", "…"))


def _key(labels: Mapping[str, str]) -> str:
    """By what it is best called: what comes first stays."""
    return next((text for label, text in labels.items() if label in {"id", "name"} and text), "")


def _unasked(left: list[tuple[Mapping[str, str], object]]) -> list[str]:
    if not left:
        return []
    names = some([shown(_key(labels)) for labels, _ in left], _MOST_NAMED)
    labels, _ = left[0]
    line = f"{{its_name: {{key: {shown(_key(labels))}, unit: {shown(_ours(labels))}}}}}"
    return [f"sends {names}, not stored; to store the first add under sensors: {{esphome: {line}}}"]


ESPHOME = Kind(
    name="esphome",
    path="/metrics",
    find=_find,
    known=parts.known,
    names=parts.names,
    parse=_parse,
    stream_path="/events",
    has_all=_has_all,
)
