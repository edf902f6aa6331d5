"""`devices.yaml`: its schema, read and checked, every mistake with its place and its remedy.

Belongs here: from a text to `Settings`. Does not: where the file is (`environment`), what the settings mean to others.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal, cast
from urllib.parse import urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from air_pipeline.catalogue import KNOWN, RULE_PARAMETERS, STATION, Parameter, shared_parameters
from air_pipeline.settings import Device, Email, Notify, Settings, SettingsError
from air_pipeline.settings.values import (
    Address,
    Clock,
    ClockRange,
    Day,
    DeviceId,
    Grace,
    Interval,
    Mailbox,
    Number,
    Positive,
    Range,
    Server,
    Text,
    Timeout,
    Wait,
    WarmUp,
    Webhook,
    Zone,
    choice,
    mapping,
    near,
    shown,
)
from air_pipeline.settings.yaml import Place, read_yaml, settings_error

_SENSOR_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]{0,39}")
_PARAMETER_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ParameterEntry(_Entry):
    """One parameter of a sensor that the catalogue does not know, or knows otherwise."""

    key: Text | None = None
    unit: Text | None = None
    sensor_range: Range | None = None
    resolution: Positive | None = None


class DeviceEntry(_Entry):
    """One entry of `devices`."""

    id: DeviceId
    url: Address
    timezone: Zone | None = None
    interval: Interval | None = None
    timeout: Timeout | None = None
    since: Day | None = None
    until: Day | None = None
    payload_key: Text | None = None
    sensors: Annotated[dict[str, Any] | None, BeforeValidator(mapping("sensors: {dht22: [temperature, humidity]}"))] = (
        None
    )
    expected_range: Annotated[
        dict[str, Range], BeforeValidator(mapping("expected_range: {dht22_temperature: [5, 40]}"))
    ] = {}
    thresholds: Annotated[dict[str, Number], BeforeValidator(mapping("thresholds: {mq135_co2: 1000}"))] = {}
    rules: Annotated[
        dict[str, Annotated[dict[str, Positive], BeforeValidator(mapping("{max_rate: 0.5}"))]],
        BeforeValidator(mapping("rules: {dht22_temperature: {max_rate: 0.5}}")),
    ] = {}
    warm_up: WarmUp = 48 * 3_600_000


def _listed(value: object) -> object:
    """One thing, or a list of them."""
    return value if isinstance(value, list) else [value]


class EmailEntry(_Entry):
    """The `email` of `notify`."""

    to: Annotated[list[Mailbox], BeforeValidator(_listed)]
    sender: Mailbox = Field(alias="from")
    server: Server
    user: Text | None = None


class NotifyEntry(_Entry):
    """The `notify` of `devices.yaml`."""

    webhook: Annotated[list[Webhook], BeforeValidator(_listed)] = []
    email: Annotated[EmailEntry | None, BeforeValidator(mapping("email: {to: me@example.org, from: …, server: …}"))] = (
        None
    )
    quiet_hours: ClockRange | None = None
    in_quiet_hours: Annotated[Literal["grave", "nothing"], BeforeValidator(choice("grave", "nothing"))] = "grave"
    digest: Clock | None = None
    wait: Wait = 5 * 60_000


class FileSchema(_Entry):
    """The whole of `devices.yaml`."""

    timezone: Zone
    start: Day
    interval: Interval = 10_000
    timeout: Timeout | None = None
    grace: Grace = 15 * 60_000
    collector: Annotated[Literal["dagster", "external"], BeforeValidator(choice("dagster", "external"))] = "dagster"
    notify: Annotated[NotifyEntry | None, BeforeValidator(mapping("notify: {webhook: https://example.org/hook}"))] = (
        None
    )
    devices: list[DeviceEntry]


_DEFAULT_TIMEOUT_MS = 5_000
_EXAMPLES = {
    "timezone": "timezone: Europe/Warsaw",
    "start": "start: 2026-11-01",
    "devices": "devices: and below it - id: … with its url: …",
    "id": "id: living-room",
    "url": "url: http://192.168.1.32/circumstances",
    "to": "to: me@example.org",
    "from": "from: air@example.org",
    "server": "server: smtp.example.org:587",
}


def read_settings(path: Path) -> Settings:
    """The settings in a file.

    Raises:
        SettingsError: the file is not there, cannot be read or says something that cannot be used.
    """
    return parse_settings(settings_text(path), str(path))


def settings_text(path: Path) -> str:
    """The text of a configuration file.

    Raises:
        SettingsError: the file is not there or cannot be read.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise SettingsError(
            f"{path}: there is no such file; air-pipeline init writes one, or name another in AIR_PIPELINE_CONFIG"
        ) from None
    except OSError as error:
        raise SettingsError(
            f"{path}: cannot be read ({error.strerror}); make it a file that this user may read"
        ) from None
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise SettingsError(f"{path}:{line}: is not UTF-8 text; save the file as UTF-8") from None


def parse_settings(text: str, name: str = "devices.yaml") -> Settings:
    """The settings in a text; `name` is how errors call it.

    Raises:
        SettingsError: with a line for each mistake.
    """
    root, document = read_yaml(text, name)
    if not isinstance(document, dict):
        raise SettingsError(
            f"{name}:1: is not a mapping of settings; begin with a line such as timezone: Europe/Warsaw"
        )
    try:
        schema = FileSchema.model_validate(document)
    except ValidationError as error:
        mistakes = [_explain(cast("dict[str, Any]", detail)) for detail in error.errors()]
        raise settings_error(name, root, mistakes) from None
    settings, mistakes = _resolve(schema)
    if mistakes:
        raise settings_error(name, root, mistakes)
    return settings


def _explain(detail: dict[str, Any]) -> tuple[Place, str]:
    place: Place = detail["loc"]
    match detail["type"]:
        case "missing":
            key = str(place[-1])
            return place[:-1], f"{key} is missing; add {_EXAMPLES.get(key, key + ': …')}"
        case "extra_forbidden":
            known = _known_keys(place)
            return (
                place,
                f"unknown key{near(str(place[-1]), known, otherwise='; known are: ' + ', '.join(known))}",
            )
        case "value_error":
            return place, str(detail["ctx"]["error"])
        case "list_type":
            return place, "is not a list; begin each device with - id: …"
        case "model_type" | "model_attributes_type":
            return place, "is not a device; begin it with - id: … and add its url: …"
        case "dict_type":
            return place, f"{shown(detail['input'])} is not a mapping of names to values"
        case _:
            return place, f"{shown(detail['input'])} cannot be used here: {' '.join(detail['msg'].split())}"


def _known_keys(place: Place) -> list[str]:
    """The keys that may stand where one stands that is unknown."""
    entry: type[_Entry] = FileSchema
    if place[0] == "devices":
        entry = DeviceEntry
    elif place[0] == "notify" and len(place) > 1:
        entry = EmailEntry if place[1:-1] == ("email",) else NotifyEntry
    return [field.alias or name for name, field in entry.model_fields.items()]


def _resolve(schema: FileSchema) -> tuple[Settings, list[tuple[Place, str]]]:
    """The settings with all defaults filled in, and what contradicts itself in them."""
    mistakes: list[tuple[Place, str]] = []
    if not schema.devices:
        mistakes.append((("devices",), "there is none; add - id: living-room and its url: http://…"))
    devices: list[Device] = []
    for number, entry in enumerate(schema.devices):
        place: Place = ("devices", number)
        parameters, wrong = _parameters(entry.sensors)
        mistakes += [((*place, "sensors", *where), message) for where, message in wrong]
        interval = entry.interval or schema.interval
        device = Device(
            id=entry.id,
            url=entry.url,
            timezone=entry.timezone or schema.timezone,
            interval_ms=interval,
            timeout_s=(entry.timeout or schema.timeout or min(_DEFAULT_TIMEOUT_MS, interval)) / 1000,
            since=entry.since,
            until=entry.until,
            payload_key=entry.payload_key,
            parameters=parameters,
            expected_range=MappingProxyType(dict(entry.expected_range)),
            thresholds=MappingProxyType(dict(entry.thresholds)),
            rules=MappingProxyType({series: MappingProxyType(dict(rule)) for series, rule in entry.rules.items()}),
            warm_up=timedelta(milliseconds=entry.warm_up),
        )
        if not wrong:
            mistakes += [((*place, *where), message) for where, message in _device_mistakes(device)]
        devices.append(device)
    mistakes += _shared_mistakes(devices)
    notify = _notify(schema.notify)
    mistakes += [(("notify", *where), message) for where, message in _notify_mistakes(notify)]
    settings = Settings(
        timezone=schema.timezone,
        start=schema.start,
        devices=tuple(devices),
        grace=timedelta(milliseconds=schema.grace),
        collector=schema.collector,
        notify=notify,
    )
    return settings, mistakes


def _notify(entry: NotifyEntry | None) -> Notify | None:
    if entry is None:
        return None
    email = None
    if entry.email is not None:
        mail = entry.email
        email = Email(tuple(mail.to), mail.sender, *mail.server, user=mail.user)
    return Notify(
        webhooks=tuple(entry.webhook),
        email=email,
        quiet_hours=entry.quiet_hours,
        in_quiet_hours=entry.in_quiet_hours,
        digest=entry.digest,
        wait=timedelta(milliseconds=entry.wait),
    )


def _notify_mistakes(notify: Notify | None) -> Iterator[tuple[Place, str]]:
    if notify is None:
        return
    if not notify.webhooks and notify.email is None:
        yield (), "names nobody to tell; add webhook: https://example.org/hook, or email:"
    if len(set(notify.webhooks)) < len(notify.webhooks):
        yield ("webhook",), "has the same address twice; keep one"
    if notify.email and not notify.email.to:
        yield ("email", "to"), "names nobody; add to: me@example.org"
    if notify.email and notify.email.user and notify.email.security == "plain":
        yield ("email", "user"), "a password would travel unencrypted; leave user out, or plain:// of the server"
    if notify.digest and notify.is_quiet(notify.digest):
        yield ("digest",), f"{notify.digest:%H:%M} is inside quiet_hours; choose a time outside"


def _device_mistakes(device: Device) -> Iterator[tuple[Place, str]]:
    if device.since and device.until and device.since >= device.until:
        yield (
            ("until",),
            f"{device.until} is not after since ({device.since}); the device would never be expected",
        )
    series = device.units
    own = {parameter.series for parameter in device.parameters}
    for key, configured, known in (
        ("expected_range", device.expected_range, series),
        ("thresholds", device.thresholds, series),
        ("rules", device.rules, own),
    ):
        for name in configured:
            if name not in known:
                otherwise = "; it has: " + ", ".join(known)
                yield (key, name), f"the device has no such series{near(name, known, otherwise=otherwise)}"
    for name, rule in device.rules.items():
        for parameter in rule:
            if parameter not in RULE_PARAMETERS:
                otherwise = "; known are: " + ", ".join(RULE_PARAMETERS)
                yield (
                    ("rules", name, parameter),
                    f"unknown rule parameter{near(parameter, RULE_PARAMETERS, otherwise=otherwise)}",
                )


def _shared_mistakes(devices: list[Device]) -> Iterator[tuple[Place, str]]:
    """What devices contradict each other in."""
    ids: dict[str, int] = {}
    urls: dict[str, str] = {}
    units: dict[str, tuple[str, str]] = {}
    sensors: dict[str, str] = {}
    for number, device in enumerate(devices):
        if device.id in ids:
            yield (
                ("devices", number, "id"),
                f"{device.id!r} is also device {ids[device.id] + 1}; give each its own id",
            )
        ids.setdefault(device.id, number)
        url = _comparable(device.url)
        if url in urls:
            yield (
                ("devices", number, "url"),
                f"{device.url} is also the address of {urls[url]!r}; poll each device once",
            )
        urls.setdefault(url, device.id)
        for sensor in dict.fromkeys(parameter.sensor for parameter in device.parameters):
            other = sensors.setdefault(sensor.lower(), sensor)
            if other != sensor:
                yield ("devices", number, "sensors", sensor), f"is elsewhere written {other}; write it in one way"
        for parameter in device.parameters:
            unit, where = units.setdefault(parameter.name, (parameter.unit, f"{parameter.sensor} of {device.id!r}"))
            if unit != parameter.unit:
                disagree = f"{parameter.name} is in {parameter.unit} here and in {unit} for {where}"
                place = ("devices", number, "sensors", parameter.sensor, parameter.name)
                yield place, f"{disagree}; use one unit, or call this parameter something else"


def _comparable(url: str) -> str:
    parts = urlsplit(url)
    port = parts.port or {"http": 80, "https": 443}[parts.scheme]
    return f"{parts.scheme}://{(parts.hostname or '').lower()}:{port}{parts.path or '/'}?{parts.query}"


def _parameters(sensors: Mapping[str, Any] | None) -> tuple[tuple[Parameter, ...], list[tuple[Place, str]]]:
    """What the `sensors` of a device measure, and what is wrong with them."""
    if sensors is None:
        return STATION, []
    found: list[Parameter] = []
    mistakes: list[tuple[Place, str]] = []
    if not sensors:
        mistakes.append(((), "there is none; name some, or leave sensors out for the five of the NodeMCU station"))
    for sensor, listed in sensors.items():
        if not isinstance(sensor, str) or not _SENSOR_ID.fullmatch(sensor):
            mistakes.append(((sensor,), f"{shown(sensor)} is not a sensor id; use at most 40 letters, digits, - and ."))
            continue
        entries = (
            dict.fromkeys(listed) if isinstance(listed, list) and all(isinstance(n, str) for n in listed) else listed
        )
        if not isinstance(entries, dict) or not entries:
            mistakes.append(((sensor,), "names no parameters; write them as [temperature, humidity]"))
            continue
        for name, entry in entries.items():
            try:
                found.append(_parameter(sensor, name, entry))
            except ValueError as mistake:
                mistakes.append(((sensor, name), str(mistake)))
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
    """The parameters of one sensor that would all be read from one value."""
    names: dict[tuple[str, str], str] = {}
    for parameter in parameters:
        other = names.setdefault((parameter.sensor, parameter.key), parameter.name)
        if other != parameter.name:
            yield (
                (parameter.sensor, parameter.name),
                f"its key {parameter.key} is also that of {other}; give each its own key, or leave one out",
            )


def _parameter(sensor: str, name: object, entry: object) -> Parameter:
    """One parameter from its line in the settings and what the catalogue knows.

    Raises:
        ValueError: what is wrong with the line.
    """
    if not isinstance(name, str) or not _PARAMETER_NAME.fullmatch(name):
        raise ValueError(
            f"{shown(name)} is not a parameter name; use at most 40 of a-z, 0-9 and _, and begin with a letter"
        )
    known = KNOWN.get(sensor, {})
    try:
        given = ParameterEntry.model_validate({} if entry is None else entry)
    except ValidationError as error:
        raise ValueError(_explain_parameter(cast("dict[str, Any]", error.errors()[0]))) from None
    if name in known:
        if given.unit not in {None, known[name].unit}:
            unit = known[name].unit
            raise ValueError(f"{sensor} reports {name} in {unit}, not in {given.unit}; leave unit out")
        changes = {key: value for key, value in given.model_dump().items() if value is not None}
        return replace(known[name], **changes)
    if given.unit is None:
        hint = near(name, known, otherwise=f"; if the sensor has it, say its unit: {{{name}: {{unit: …}}}}")
        raise ValueError(f"the catalogue does not know this parameter of {sensor}{hint}")
    return Parameter(sensor, name, given.unit, given.key or name, given.sensor_range, given.resolution)


def _explain_parameter(detail: dict[str, Any]) -> str:
    if detail["type"] == "extra_forbidden":
        key, known = str(detail["loc"][-1]), ParameterEntry.model_fields
        return f"unknown key {shown(key)}{near(key, known, otherwise='; known are: ' + ', '.join(known))}"
    if detail["type"] == "value_error":
        return f"{'.'.join(map(str, detail['loc']))}: {detail['ctx']['error']}"
    return "is not a mapping; write it as {key: PM2.5, unit: µg/m³, sensor_range: [0, 999.9]}"
