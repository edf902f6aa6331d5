"""The NodeMCU station, and whatever speaks as it does: `{"nodemcu": {"dht22": {"temperature": "27.90"}}}`.

With several top-level objects, those that hold a sensor of the device compete; none of them: the first.
"""

from collections.abc import Iterable, Iterator, Mapping

from air_pipeline.catalogue import KNOWN, STATION, Parameter
from air_pipeline.devices.kinds.json_text import DocumentUnusable, shown
from air_pipeline.devices.kinds.kind import Found, Kind, Root, Wanted
from air_pipeline.showing import flow_text
from air_pipeline.words import some

FIRMWARE_KEY = "nodemcu"
"""The top-level name that the firmware gives itself."""

_MOST_LOOKED_AT = 20
_MOST_NAMED = 5
_SHAPE = '{"nodemcu": {"dht22": {"temperature": "27.90"}}}'


def find(root: Root, wanted: Wanted) -> Found:
    """The object that holds the sensors, with what is to be said of its name."""
    objects = {name: part for name, part in root.items() if isinstance(part, dict)}
    if not objects:
        raise DocumentUnusable(NO_SENSORS)
    holding = [name for name, part in objects.items() if _holds_sensors(part, wanted)]
    if wanted.payload_key in objects:
        name = wanted.payload_key or ""
    elif len(holding) > 1:
        names = some([shown(name) for name in holding[:_MOST_LOOKED_AT]], _MOST_NAMED, of=len(holding))
        raise DocumentUnusable(
            f"several objects hold sensors ({names}): say which is meant with payload_key: {shown(holding[0])}"
        )
    elif not holding and _holds_sensors(root, wanted):
        raise DocumentUnusable("the sensors stand at the top level: an object with a name of its own is to hold them")
    elif any(objects.values()) and not any(_holds_objects(part) for part in objects.values()):
        raise DocumentUnusable(NO_SENSORS)
    else:
        name = holding[0] if holding else next(iter(objects))
    return Found(objects[name], _notes_of_name(name, objects, wanted))


NO_SENSORS = f"the document holds no object with sensors; read is what has the shape of {_SHAPE}"


def _holds_sensors(part: Mapping[str, object], wanted: Wanted) -> bool:
    return any(parameter.sensor_key in part for parameter in wanted.parameters)


def _holds_objects(part: Mapping[str, object]) -> bool:
    return any(isinstance(inner, dict) for inner in part.values())


def _notes_of_name(name: str, objects: Mapping[str, object], wanted: Wanted) -> Iterator[str]:
    meant = wanted.payload_key or FIRMWARE_KEY
    if name != meant:
        yield (
            f"calls itself '{shown(name)}', not '{shown(meant)}'; if that is right, write payload_key:"
            f" {flow_text(name)}"
        )
    for other in objects:
        if other != name:
            yield f"sends an object '{shown(other)}' beside '{shown(name)}', which is not read"


def known(sensor: str, name: str) -> Parameter | None:
    """What the catalogue knows of the station's sensors."""
    return KNOWN.get(sensor, {}).get(name)


def _names(sensor: str) -> Iterable[str]:
    return KNOWN.get(sensor, {})


NODEMCU = Kind(name="nodemcu", path="/circumstances", find=find, usual=STATION, known=known, names=_names)
