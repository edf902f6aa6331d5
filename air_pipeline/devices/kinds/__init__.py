"""Kinds of devices: what each answers, and how that is read.

Belongs here: a module a kind, each a few pure functions from a document to what `devices.document` judges value by
value. Does not: asking (`devices.client`), judging. Of the other rooms it needs the catalogue alone: the settings know
the kinds too.
"""

from collections.abc import Mapping
from types import MappingProxyType

from air_pipeline.devices.kinds.airgradient import AIRGRADIENT
from air_pipeline.devices.kinds.airrohr import AIRROHR
from air_pipeline.devices.kinds.esphome import ESPHOME
from air_pipeline.devices.kinds.json_paths import JSON
from air_pipeline.devices.kinds.kind import Kind
from air_pipeline.devices.kinds.nodemcu import NODEMCU
from air_pipeline.devices.kinds.prometheus import PROMETHEUS
from air_pipeline.devices.kinds.purpleair import PURPLEAIR
from air_pipeline.devices.kinds.shelly import SHELLY
from air_pipeline.devices.kinds.tasmota import TASMOTA

_ALL = (NODEMCU, AIRGRADIENT, AIRROHR, PURPLEAIR, SHELLY, TASMOTA, ESPHOME, JSON, PROMETHEUS)

KINDS: Mapping[str, Kind] = MappingProxyType({kind.name: kind for kind in _ALL})
"""Every kind by its name."""

DEFAULT = NODEMCU.name
"""The kind of a device of which nothing is said."""

__all__ = ["DEFAULT", "KINDS", "Kind"]
