"""`sensors` of a device: what it measures, by the catalogue and by what `devices.yaml` adds, with every mistake."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, cast

from pydantic import ValidationError

from air_pipeline.catalogue import Parameter, shared_parameters
from air_pipeline.devices.kinds import Kind
from air_pipeline.settings.schema import ParameterEntry
from air_pipeline.settings.values import near, shown
from air_pipeline.settings.yaml import Place
from air_pipeline.units import can_convert, kept_in

_SENSOR_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]{0,39}")
_NO_ID = (
    "{} is not a sensor id; use at most 40 letters, digits, - and ., and say how the device spells it: {{key: …, …}}"
)
_UNNAMED = "are not named, and devices of kind {} differ; air-pipeline init writes what yours has"
_PARAMETER_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")


def parameters_of(
    sensors: Mapping[str, Any] | None, kind: Kind
) -> tuple[tuple[Parameter, ...], list[tuple[Place, str]]]:
    """What the `sensors` of a device of a kind measure, and what is wrong with them."""
    if sensors is None:
        return kind.usual, [] if kind.usual else [((), _UNNAMED.format(kind.name))]
    found: list[Parameter] = []
    mistakes: list[tuple[Place, str]] = []
    if not sensors:
        usual = ", or leave sensors out for the usual ones" if kind.usual else ""
        mistakes.append(((), f"there is none; name some{usual}"))
    for sensor, said in sensors.items():
        if not isinstance(sensor, str) or not _SENSOR_ID.fullmatch(sensor):
            mistakes.append(((sensor,), _NO_ID.format(shown(sensor))))
            continue
        spelt = said.get("key") if isinstance(said, dict) else None
        listed = said
        if isinstance(spelt, str):  # a mapping is a parameter that is called key
            listed = {name: entry for name, entry in said.items() if name != "key"}
        entries = (
            dict.fromkeys(listed) if isinstance(listed, list) and all(isinstance(n, str) for n in listed) else listed
        )
        if not isinstance(entries, dict) or not entries:
            mistakes.append(((sensor,), "names no parameters; write them as [temperature, humidity]"))
            continue
        for name, entry in entries.items():
            try:
                parameter = _parameter(kind, sensor, name, entry)
            except ValueError as mistake:
                mistakes.append(((sensor, name), str(mistake)))
            else:
                found.append(replace(parameter, sensor_spelt=spelt) if isinstance(spelt, str) else parameter)
    mistakes += _spelled_alike(found)
    series = {parameter.series for parameter in found}
    mistakes += [
        (
            (members[0].sensor, members[0].name),
            f"the mean over sensors would be called {name}, as a series is; rename one",
        )
        for name, members in shared_parameters(tuple(found)).items()
        if name in series
    ]
    return tuple(found), mistakes


def _spelled_alike(parameters: Iterable[Parameter]) -> Iterator[tuple[Place, str]]:
    """The parameters that would all be read from one value."""
    first: dict[tuple[str, str], Parameter] = {}
    for parameter in parameters:
        other = first.setdefault((parameter.sensor_key, parameter.key), parameter)
        if other is not parameter:
            called = other.name if other.sensor == parameter.sensor else other.series
            yield (
                (parameter.sensor, parameter.name),
                f"its key {shown(parameter.key)} is also that of {called}; give each its own key, or leave one out",
            )


def _parameter(kind: Kind, sensor: str, name: object, entry: object) -> Parameter:
    """One parameter from its line in the settings and what the catalogue knows.

    Raises:
        ValueError: what is wrong with the line.
    """
    if not isinstance(name, str) or not _PARAMETER_NAME.fullmatch(name):
        raise ValueError(
            f"{shown(name)} is not a parameter name; use at most 40 of a-z, 0-9 and _, and begin with a letter"
        )
    known = kind.known(sensor, name)
    try:
        given = ParameterEntry.model_validate({} if entry is None else entry)
    except ValidationError as error:
        raise ValueError(_explain_parameter(cast("dict[str, Any]", error.errors()[0]))) from None
    place = _place(given, kind)
    if known is not None:
        if given.unit not in {None, known.unit}:
            raise ValueError(f"{sensor} reports {name} in {known.unit}, not in {given.unit}; leave unit out")
        said = given.model_dump(exclude={"path"}) | {"key": place}
        return _converted(replace(known, **{key: value for key, value in said.items() if value is not None}))
    if given.unit is None:
        ask = f"; if the sensor has it, say its unit: {{{name}: {{unit: …}}}}"
        hint = near(name, kind.names(sensor), otherwise=ask)
        raise ValueError(f"the catalogue does not know this parameter of {sensor}{hint}")
    key = name if place is None else place
    parameter = Parameter(sensor, name, given.unit, key, given.sensor_range, given.resolution, sent_in=given.sent_in)
    return _converted(parameter)


def _place(given: ParameterEntry, kind: Kind) -> str | None:
    """Where a parameter stands in the document, if its line says so.

    Raises:
        ValueError: it is none for this kind, or not called so.
    """
    said = {"key": given.key, "path": given.path}
    for word, place in said.items():
        if place is None:
            continue
        if word != kind.key_word:
            raise ValueError(f"{word} is not of kind {kind.name}; write {kind.key_word}: {shown(place)}")
        if wrong := kind.mistake(place):
            raise ValueError(f"{word}: {shown(place)} {wrong}")
    return said[kind.key_word]


def _converted(parameter: Parameter) -> Parameter:
    """The parameter, whose values can be converted where they come in another unit.

    Raises:
        ValueError: they cannot.
    """
    if parameter.sent_in is not None and not can_convert(parameter.sent_in, parameter.unit):
        unit = kept_in(parameter.sent_in)
        raise ValueError(f"sent_in: {parameter.sent_in} becomes {unit}, not {parameter.unit}; write unit: {unit}")
    return parameter


def _explain_parameter(detail: dict[str, Any]) -> str:
    if detail["type"] == "extra_forbidden":
        key, known = str(detail["loc"][-1]), ParameterEntry.model_fields
        return f"unknown key {shown(key)}{near(key, known, otherwise='; known are: ' + ', '.join(known))}"
    if detail["type"] == "value_error":
        return f"{'.'.join(map(str, detail['loc']))}: {detail['ctx']['error']}"
    return "is not a mapping; write it as {key: PM2.5, unit: µg/m³, sensor_range: [0, 999.9]}"
