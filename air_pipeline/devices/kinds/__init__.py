"""Kinds of devices: what each answers, and how that is read.

Belongs here: a module a kind, each a few pure functions from a document to what `devices.document` judges value by
value. Does not: asking (`devices.client`), judging. Of the other rooms it needs the catalogue alone: the settings know
the kinds too.
"""

from collections.abc import Mapping
from types import MappingProxyType

from air_pipeline.devices.kinds.kind import Kind
from air_pipeline.devices.kinds.nodemcu import NODEMCU

KINDS: Mapping[str, Kind] = MappingProxyType({kind.name: kind for kind in (NODEMCU,)})
"""Every kind by its name."""

DEFAULT = NODEMCU.name
"""The kind of a device of which nothing is said."""

__all__ = ["DEFAULT", "KINDS", "Kind"]
