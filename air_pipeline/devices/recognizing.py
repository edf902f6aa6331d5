"""Which kind of device an answer is of, and where a device is asked to find out.

Belongs here: the order in which kinds are tried, what is said of an answer of no kind. Does not: asking (`cli.init`),
the lines for `devices.yaml` (`introduction`).
"""

from http import HTTPStatus
from urllib.parse import urlsplit

from air_pipeline.devices.answers import Answer
from air_pipeline.devices.introduction import Introduction, introduce
from air_pipeline.devices.kinds import DEFAULT, KINDS
from air_pipeline.devices.kinds.json_paths import paths_of_numbers
from air_pipeline.devices.kinds.json_text import DocumentUnusable
from air_pipeline.devices.kinds.kind import Kind, Wanted
from air_pipeline.devices.kinds.metrics_text import samples
from air_pipeline.devices.kinds.tasmota import WANTS_LOGIN
from air_pipeline.showing import plain

_SURE = ("airgradient", "airrohr", "purpleair", "shelly", "tasmota", "esphome")
"""The kinds whose documents are nobody else's."""

PATHS = (
    KINDS["nodemcu"].path,
    *(KINDS[name].path for name in _SURE[:4]),
    "/status",  # a Shelly of the first generation
    KINDS["tasmota"].path,
    KINDS["prometheus"].path,  # ESPHome too
    "/",
)
"""Where a device of which only the address is known is asked, one after the other, until it is known."""

_MOST_METRICS = 10


def recognize(body: bytes, *, as_station: bool = True) -> Introduction:
    """What a document says of the device that sent it.

    Args:
        body: the document.
        as_station: whether whatever has the shape of the station's document is one.

    Raises:
        DocumentUnusable: it is of no kind that can be told by it; the message says why.
    """
    for name in _SURE:
        introduction = _introduced(KINDS[name], body)
        if introduction is not None:
            return introduction
    if not as_station:
        raise DocumentUnusable("it is of no kind that is known by its document")
    return introduce(body)


def refuses(answer: Answer, url: str) -> str | None:
    """Of which kind a device is that answers only to whom it knows; empty where it does not tell.

    Args:
        answer: what came.
        url: where it was asked.

    Returns:
        None: it refuses nobody.
    """
    queried = [kind for kind in KINDS.values() if kind.login_in_query]
    if answer.outcome is None:
        return next((kind.name for kind in queried if _warns(kind, answer.body)), None)
    if answer.status not in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        return None
    head = "\n".join([answer.server, *answer.challenges])
    told = (kind.name for kind in KINDS.values() if kind.head and kind.head.search(head))
    without_challenge = (kind.name for kind in queried if url.endswith(kind.path) and not answer.challenges)
    return next(told, None) or next(without_challenge, "")


def _warns(kind: Kind, body: bytes) -> bool:
    """Whether a document of status 200 says that a login is wanted."""
    try:
        kind.find(kind.parse(body)[0], Wanted())
    except DocumentUnusable as error:
        return str(error).startswith(WANTS_LOGIN)
    return False


def kind_of_stream(url: str) -> str:
    """The kind whose devices go on telling without an end where this address leads; else the default."""
    path = urlsplit(url).path
    return next((name for name, kind in KINDS.items() if kind.stream_path and path.endswith(kind.stream_path)), DEFAULT)


def _introduced(kind: Kind, body: bytes) -> Introduction | None:
    try:
        root, _ = kind.parse(body)
        found = kind.find(root, Wanted())
    except DocumentUnusable:
        return None
    sensors = {
        sensor: tuple(key for key in said if key not in kind.lesser)
        for sensor, said in found.sensors.items()
        if isinstance(said, dict)
    }
    sensors = {sensor: keys for sensor, keys in sensors.items() if keys}
    if not sensors and not kind.usual:
        return None
    return Introduction(None, sensors, kind, kind.identity(root), dict(found.units))


def to_write(body: bytes) -> str:
    """What to write for a page of no known kind, as the end of a sentence; empty where nothing of it can be read."""
    json_kind, metrics = KINDS["json"], KINDS["prometheus"]
    try:
        root, _ = json_kind.parse(body)
    except DocumentUnusable:
        pass
    else:
        paths = paths_of_numbers(root)
        where = f"; numbers stand at {', '.join(map(plain, paths))}" if paths else ""
        return f"kind: json, and a path for each parameter under sensors{where}" if paths else ""
    try:
        root, _ = metrics.parse(body)
    except DocumentUnusable:
        return ""
    names = list(dict.fromkeys(sample.name for sample in samples(root)))[:_MOST_METRICS]
    return f"kind: prometheus, and a key for each parameter under sensors, such as {', '.join(names)}"
