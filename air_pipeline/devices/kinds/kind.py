"""What a kind of device is: where it answers, what its document says of sensors, of its measuring cycle and of itself.

Belongs here: the five things that a kind consists of, each pure. Does not: any kind (a module each), the judging of
values (`devices.document`).
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from air_pipeline.catalogue import Parameter
from air_pipeline.devices.kinds.json_text import Number, parse, shown

Root = dict[str, Any]
"""A document as the kind's `parse` made it: whatever JSON has, numbers as they were written (`json_text.Number`)."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked of a document.

    Attributes:
        parameters: what the device's sensors measure, by the settings; none where that is not known yet.
        payload_key: which top-level object is meant, where there are several.
    """

    parameters: tuple[Parameter, ...] = ()
    payload_key: str | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """What a document says.

    Attributes:
        sensors: sensor to an object of what it measures, both as `Parameter` spells them; a value is as it was sent, or
            `units.In` another unit than ours.
        notes: what is to be said of the document besides.
        units: sensor and key to the unit that the document says, of what is not known otherwise.
    """

    sensors: Mapping[str, object]
    notes: Iterable[str] = ()
    units: Mapping[tuple[str, str], str] = field(default_factory=dict)


def _nothing(_: Root) -> str:
    return ""


def _never(_: bytes, __: Wanted) -> bool:
    return False


def _unknown(_: str, __: str) -> None:
    return None


def _no_mistake(_: str) -> str:
    return ""


def _no_names(_: str) -> Iterable[str]:
    return ()


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind of device.

    Attributes:
        name: as `kind` in the settings says it.
        path: where it answers, where the address says nothing else.
        find: the document's sensors; raises `DocumentUnusable` where it is none of this kind.
        usual: what a device of this kind measures, where the settings name no sensors; nothing: they have to.
        known: what is known of a sensor's parameter by their names: its unit, spelling and range; None: nothing.
        names: the names of what is known of a sensor.
        lesser: names of parameters of which nobody is told that they are not stored.
        key_word: what the settings call the place of a parameter in the document.
        mistake: what is wrong with such a place; empty where nothing is.
        cycle: what changes with each measuring cycle and with nothing else; empty where it does not say.
        identity: which device it is, whatever its address; empty where it does not say.
        measures_every_ms: how long it takes to measure again, at least; 0: no such thing. It is asked no oftener.
        interval: how often it is best asked, as the settings write it; empty: as any device.
        login_in_query: whether it wants user and password in the address, and not by basic or digest.
        head: what the head of whatever it answers says of it, of `Server` and of a login's realm, as a pattern.
        parse: bytes to the document, and whether they are no UTF-8; raises `DocumentUnusable`.
        stream_path: where a device tells of its values one after the other and goes on without an end; empty: nowhere.
        has_all: whether what has come of that has all that is wanted.
    """

    name: str
    path: str
    find: Callable[[Root, Wanted], Found]
    usual: tuple[Parameter, ...] = ()
    known: Callable[[str, str], Parameter | None] = _unknown
    names: Callable[[str], Iterable[str]] = _no_names
    lesser: frozenset[str] = frozenset()
    key_word: Literal["key", "path"] = "key"
    mistake: Callable[[str], str] = _no_mistake
    cycle: Callable[[Root], str] = _nothing
    identity: Callable[[Root], str] = _nothing
    measures_every_ms: int = 0
    interval: str = ""
    login_in_query: bool = False
    head: re.Pattern[str] | None = None
    parse: Callable[[bytes], tuple[Root, bool]] = parse
    stream_path: str = ""
    has_all: Callable[[bytes, Wanted], bool] = _never

    @property
    def tells_identity(self) -> bool:
        """Whether its documents can say which device it is."""
        return self.identity is not _nothing


def named(said: object) -> str:
    """What a device calls itself: a text of a line, or a number as it was written; empty where it is neither."""
    return shown(said).strip() if isinstance(said, str | Number) else ""
