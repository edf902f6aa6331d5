"""One document read by a device of `devices.yaml`, as tests of kinds need it."""

import json
from functools import lru_cache

from air_pipeline.devices.document import read_document
from air_pipeline.settings.file import parse_settings


@lru_cache
def device_of(kind, more="", url="http://192.168.1.40"):
    """The device of a configuration; `more`: further lines of its entry."""
    lines = "".join(f"    {line}\n" for line in more.splitlines())
    head = "timezone: UTC\nstart: 2026-11-01\ninterval: 150s\ndevices:\n"
    return parse_settings(f"{head}  - id: one\n    url: {url}\n    kind: {kind}\n{lines}").devices[0]


def read(kind, body, more=""):
    """What a device of a kind makes of a body."""
    return read_document(body if isinstance(body, bytes) else body.encode(), device_of(kind, more))


def changed(text, **values):
    """A document with other or more values at its top level."""
    return json.dumps(json.loads(text) | values)


def problems(document):
    """Series to what was sent and how that is flagged."""
    return {one.series: (one.value, int(one.flag)) for one in document.problems}
