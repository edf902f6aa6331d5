"""What a table of others means: the small YAML file that says it, and the presets, which are such files too.

Belongs here: what may stand in it, read and validated. Does not: reading the table itself (`tables`, `bucket`,
`home_assistant`), and which series a device can have (`planning`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal, cast

from pydantic import BeforeValidator, Field, ValidationError

from air_pipeline.importing.instants import EPOCHS
from air_pipeline.settings import SettingsError
from air_pipeline.settings.schema import Entry
from air_pipeline.settings.values import DeviceId, Interval, Spelling, Text, Zone, choice, mapping, near, shown
from air_pipeline.settings.yaml import Place, read_yaml, settings_error

Origin = Literal["table", "influxdb", "home-assistant"]
_PRESETS = files("air_pipeline.importing") / "presets"


class ColumnEntry(Entry):
    """One of `columns`."""

    series: Text
    unit: Text | None = None


class TimeEntry(Entry):
    """`time`."""

    column: Spelling
    zone: Zone | None = None
    written: Text = "iso"
    twice: Annotated[Literal["first", "second"] | None, BeforeValidator(choice("first", "second"))] = None


class InfluxEntry(Entry):
    """`influxdb`: what is not said is as in the environment, but for the measurement."""

    url: Text | None = None
    org: Text | None = None
    bucket: Text | None = None
    token: Text | None = None
    measurement: Text | None = None


def _column(value: object) -> object:
    return {"series": value} if isinstance(value, str) else value


def _time(value: object) -> object:
    return {"column": value} if isinstance(value, str) else value


def _several(value: object) -> object:
    return [value] if isinstance(value, str) else value


class MappingFile(Entry):
    """The whole file."""

    like: Annotated[list[Text], BeforeValidator(_several)] = Field([])
    origin: Annotated[Origin, BeforeValidator(choice("table", "influxdb", "home-assistant"))] | None = None
    device: DeviceId | None = None
    interval: Interval | None = None
    time: Annotated[TimeEntry | None, BeforeValidator(_time)] = None
    separator: Text | Literal["\t"] | None = None
    decimal: Annotated[Literal[".", ","], BeforeValidator(choice(".", ","))] | None = None
    encoding: Text | None = None
    where: Annotated[dict[str, Any], BeforeValidator(mapping('where: {sensor_id: "71"}'))] = Field({})
    missing: list[str] | None = None
    influxdb: InfluxEntry = InfluxEntry()
    columns: Annotated[
        dict[str, Annotated[ColumnEntry, BeforeValidator(_column)]],
        BeforeValidator(mapping("columns: {temp_f: {series: dht22_temperature, unit: °F}}")),
    ] = Field({})


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a table means.

    Attributes:
        name: of the file or preset, for people.
        said: what it says.
        columns: how a column is called there, to the series that it is and the unit in which it has it (None: unsaid).
    """

    name: str
    said: MappingFile
    columns: Mapping[str, tuple[str, str | None]] = field(default_factory=dict)

    @property
    def origin(self) -> Origin:
        """Where rows come from."""
        return self.said.origin or "table"

    @property
    def time(self) -> TimeEntry:
        """Which column is the time."""
        return self.said.time or TimeEntry(column="time")


def presets() -> list[str]:
    """The names of the presets, sorted."""
    return sorted(one.name.removesuffix(".yaml") for one in _PRESETS.iterdir() if one.name.endswith(".yaml"))


def read_meaning(which: str) -> Meaning:
    """What a preset, or the file at a path, says.

    Raises:
        SettingsError: it is neither, or invalid.
    """
    if which.endswith((".yaml", ".yml")):
        try:
            text = Path(which).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(f"{which}: cannot be read ({error})") from error
    else:
        text = _preset(which)
    return _meaning(which, text)


def _preset(name: str) -> str:
    if name not in presets():
        hint = near(name, presets(), otherwise="; there are " + ", ".join(presets()))
        raise SettingsError(f"--as {name}: is no preset, and no file that ends in .yaml{hint}")
    return (_PRESETS / f"{name}.yaml").read_text(encoding="utf-8")


def _meaning(name: str, text: str) -> Meaning:
    root, said = read_yaml(text, name)
    if not isinstance(said, dict):
        raise SettingsError(f"{name}: is not a mapping; write columns: and what they mean, as docs/importing.md shows")
    likes = _several(said.get("like"))
    for like in reversed(likes if isinstance(likes, list) else []):
        _, usual = read_yaml(_preset(str(like)), str(like))
        said = _merged(cast("dict[str, Any]", usual), said)
    try:
        entry = MappingFile.model_validate(said)
    except ValidationError as error:
        raise settings_error(name, root, map(_mistake, error.errors())) from None
    columns = {column: (one.series, one.unit) for column, one in entry.columns.items()}
    for column, (series, _) in columns.items():
        if others := [other for other, (same, _) in columns.items() if same == series and other != column]:
            place = ("columns", column)
            raise settings_error(name, root, [(place, f"{series} is also what {others[0]} is; give each its own")])
    if not columns:
        raise SettingsError(f"{name}: names no columns; write them as columns: {{temp_f: dht22_temperature}}")
    written = entry.time.written if entry.time else "iso"
    if written != "iso" and written not in EPOCHS and "%" not in written:
        kinds = ", ".join(("iso", *EPOCHS))
        raise SettingsError(f"{name}: time.written: {shown(written)} is none of {kinds}, and no format as %d.%m.%Y")
    return Meaning(name, entry, columns)


def _merged(usual: dict[str, Any], said: dict[str, Any]) -> dict[str, Any]:
    """A mapping like another one: what it says itself counts; columns and the like are added to, null takes out."""
    both = {**usual, **said}
    for key in ("columns", "influxdb", "time", "where"):
        if isinstance(usual.get(key), dict) and isinstance(said.get(key), dict):
            taken_out = {name for name in usual[key] if name in said[key] and said[key][name] is None}
            both[key] = {name: it for name, it in {**usual[key], **said[key]}.items() if name not in taken_out}
    return both


def _mistake(detail: Any) -> tuple[Place, str]:  # noqa: ANN401 -- of pydantic
    place = tuple(detail["loc"])
    if detail["type"] == "extra_forbidden":
        known = [*MappingFile.model_fields] if len(place) == 1 else []
        hint = near(str(place[-1]), known, otherwise="; known are: " + ", ".join(known) if known else "")
        return place[:-1], f"unknown key {shown(place[-1])}{hint}"
    if detail["type"] == "missing":
        return place[:-1], f"{place[-1]} is missing"
    if detail["type"] == "value_error":
        return place, str(detail["ctx"]["error"])
    return place, f"{shown(detail['input'])} cannot stand here ({detail['msg'].lower()})"
