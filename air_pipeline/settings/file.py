"""`devices.yaml`: its schema, read and checked, every mistake with its place and its remedy.

Belongs here: from a text to `Settings`. Does not: where the file is (`environment`), what the settings mean to others.
"""

import os
import stat
from collections.abc import Iterator, Mapping
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import ValidationError

from air_pipeline.catalogue import ANY_SERIES, LIMITS, RULE_PARAMETERS
from air_pipeline.devices.kinds import DEFAULT, KINDS, Kind
from air_pipeline.settings import Access, Device, Settings, SettingsError
from air_pipeline.settings.calibration import Calibration, Calibrations, calibrated_name
from air_pipeline.settings.mistakes import mistakes_of
from air_pipeline.settings.moments import instant_of
from air_pipeline.settings.notify import Email, Notify
from air_pipeline.settings.remote import LARGEST_BYTES, ConfigFile, RemoteFile
from air_pipeline.settings.schema import (
    AuthEntry,
    CalibrationEntry,
    DeviceEntry,
    EmailEntry,
    Entry,
    FileSchema,
    NotifyEntry,
)
from air_pipeline.settings.sensors import parameters_of
from air_pipeline.settings.values import near, shown
from air_pipeline.settings.variables import said_by, with_variables
from air_pipeline.settings.yaml import Place, read_yaml, settings_error
from air_pipeline.showing import without_secrets

_DEFAULT_TIMEOUT_MS = 5_000
_EXAMPLES = {
    "timezone": "timezone: Europe/Warsaw",
    "start": "start: 2026-11-01",
    "devices": "devices: and below it - id: … with its url: …",
    "id": "id: living-room",
    "url": "url: http://192.168.1.32/circumstances",
    "since": "since: 2026-11-01",
    "reason": "reason: beside the reference for two weeks",
    "to": "to: me@example.org",
    "from": "from: air@example.org",
    "server": "server: smtp.example.org:587",
}


def read_settings(path: ConfigFile) -> Settings:
    """The settings in a file.

    Raises:
        SettingsError: the file is not there, cannot be read or says something that cannot be used.
    """
    return parse_settings(settings_text(path), str(path))


def settings_text(path: ConfigFile) -> str:
    """The text of a configuration file.

    Raises:
        SettingsError: the file is not there or cannot be read.
    """
    try:
        content = path.content() if isinstance(path, RemoteFile) else _content(path)
    except FileNotFoundError:
        raise SettingsError(
            f"{path}: there is no such file; air-pipeline init writes one, or name another in AIR_PIPELINE_CONFIG"
        ) from None
    except OSError as error:
        raise SettingsError(
            f"{path}: cannot be read ({error.strerror or error}); make it a file that this user may read"
        ) from None
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise SettingsError(f"{path}:{line}: is not UTF-8 text; save the file as UTF-8") from None


def _content(path: Path) -> bytes:
    def at_once(name: str, flags: int) -> int:  # a pipe that nobody writes into is not waited for
        return os.open(name, flags | os.O_NONBLOCK)

    with open(path, "rb", opener=at_once) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError("it is no file")
        content = file.read(LARGEST_BYTES + 1)
    if len(content) > LARGEST_BYTES:
        raise OSError(f"it is larger than {LARGEST_BYTES // 1_000_000} MB")
    return content


def parse_settings(text: str, name: str = "devices.yaml", variables: Mapping[str, str] | None = None) -> Settings:
    """The settings in a text.

    Args:
        text: the text.
        name: how errors call it.
        variables: what `$NAME` in a device's address means; those of the process by default.

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
        raise settings_error(name, root, mistakes_of(error, _EXAMPLES, _known_keys, _of_shape)) from None
    settings, mistakes = _resolve(schema, os.environ if variables is None else variables)
    if mistakes:
        raise settings_error(name, root, mistakes)
    return settings


def _of_shape(kind: str, detail: Mapping[str, Any]) -> str:
    match kind:
        case "list_type":
            return "is not a list; begin each device with - id: …"
        case "model_type" | "model_attributes_type":
            return "is not a device; begin it with - id: … and add its url: …"
        case "dict_type":
            return f"{shown(detail['input'])} is not a mapping of names to values"
        case _:
            return f"{shown(detail['input'])} cannot be used here: {' '.join(detail['msg'].split())}"


def _known_keys(place: Place) -> list[str]:
    """The keys that may stand where one stands that is unknown."""
    entry: type[Entry] = FileSchema
    if place[0] == "devices":
        entry = AuthEntry if place[2:-1] == ("auth",) else DeviceEntry
        if place[2:3] == ("calibrate",) and len(place) > 3:  # noqa: PLR2004 - below it
            entry = CalibrationEntry
    elif place[0] == "notify" and len(place) > 1:
        entry = EmailEntry if place[1:-1] == ("email",) else NotifyEntry
    return [field.alias or name for name, field in entry.model_fields.items()]


def _resolve(schema: FileSchema, variables: Mapping[str, str]) -> tuple[Settings, list[tuple[Place, str]]]:
    """The settings with all defaults filled in, and what contradicts itself in them."""
    mistakes: list[tuple[Place, str]] = []
    if not schema.devices:
        mistakes.append((("devices",), "there is none; add - id: living-room and its url: http://…"))
    devices: list[Device] = []
    for number, entry in enumerate(schema.devices):
        place: Place = ("devices", number)
        kind = KINDS[entry.kind or DEFAULT]
        parameters, wrong = parameters_of(entry.sensors, kind)
        mistakes += [((*place, "sensors", *where), message) for where, message in wrong]
        interval = entry.interval or schema.interval
        url = entry.url
        try:
            url = _whole(with_variables(entry.url, variables), None if entry.kind is None else kind)
        except ValueError as mistake:
            mistakes.append(((*place, "url"), str(mistake)))
        access, unsaid = _access(entry, kind, variables)
        mistakes += [((*place, *where), message) for where, message in unsaid]
        device = Device(
            id=entry.id,
            url=url,
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
            calibrations=_calibrations(entry, ZoneInfo(entry.timezone or schema.timezone)),
            warm_up=timedelta(milliseconds=entry.warm_up),
            sleeps=None if entry.sleeps is None else timedelta(milliseconds=entry.sleeps),
            access=access,
            kind=kind.name,
            identity=entry.identity,
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
        clock=schema.clock,
    )
    return settings, mistakes


def _calibrations(entry: DeviceEntry, zone: ZoneInfo) -> Calibrations:
    return MappingProxyType(
        {
            series: tuple(Calibration(instant_of(one.since, zone), one.gain, one.offset, one.reason) for one in some)
            for series, some in entry.calibrate.items()
        }
    )


def _whole(url: str, kind: Kind | None) -> str:
    """An address with the path at which a kind of device answers, where it has none of its own."""
    parts = urlsplit(url)
    if kind is None or parts.path not in {"", "/"} or parts.query:
        return url
    return url.rstrip("/") + kind.path


def _access(entry: DeviceEntry, kind: Kind, variables: Mapping[str, str]) -> tuple[Access, list[tuple[Place, str]]]:
    """Who asks a device and what else is said to it, with what is wrong with that."""
    mistakes: list[tuple[Place, str]] = []
    said: dict[Place, str] = {("headers", name): value for name, value in entry.headers.items()}
    if entry.auth is not None:
        said["auth", "password"] = entry.auth.password
        if "@" in urlsplit(entry.url).netloc:
            mistakes.append((("auth",), "stands beside a user in the url; keep one of them"))
    for place, value in said.items():
        try:
            said[place] = said_by(value, variables, ascii_alone=place[0] == "headers")
        except ValueError as mistake:
            mistakes.append((place, str(mistake)))
    headers = {name: said["headers", name] for name in entry.headers}
    if entry.auth is None:
        return Access(headers=MappingProxyType(headers)), mistakes
    password = said["auth", "password"]
    return Access(entry.auth.user, password, MappingProxyType(headers), kind.login_in_query), mistakes


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
    kind = KINDS[device.kind]
    if device.interval_ms < kind.measures_every_ms:
        least = f"the {kind.measures_every_ms / 1000:g} s in which a device of kind {kind.name} measures"
        shorter = f"{device.interval_ms / 1000:g}s is shorter than {least}: most answers would say nothing new"
        yield ("interval",), f"{shorter}; write interval: {kind.interval}"
    if device.identity is not None and not kind.tells_identity:
        yield ("identity",), f"documents of kind {kind.name} do not say which device it is; leave identity out"
    if device.since and device.until and device.since >= device.until:
        yield (
            ("until",),
            f"{device.until} is not after since ({device.since}); the device would never be expected",
        )
    yield from _calibration_mistakes(device)
    series = device.units
    own = {parameter.series for parameter in device.parameters}
    for key, configured, known in (
        ("expected_range", device.expected_range, series),
        ("thresholds", device.thresholds, series),
        ("rules", device.rules, own),
        ("calibrate", device.calibrations, device.uncalibrated_units),
    ):
        for name in configured:
            if name not in known:
                otherwise = "; it has: " + ", ".join(known)
                yield (key, name), f"the device has no such series{near(name, known, otherwise=otherwise)}"
    for name, rule in device.rules.items():
        known_here = {*ANY_SERIES, *LIMITS.get(name, {})}
        here = [parameter for parameter in RULE_PARAMETERS if parameter in known_here]
        for parameter in rule:
            if parameter not in here:
                otherwise = "; known are: " + ", ".join(here)
                yield (
                    ("rules", name, parameter),
                    f"unknown rule parameter{near(parameter, here, otherwise=otherwise)}",
                )


def _calibration_mistakes(device: Device) -> Iterator[tuple[Place, str]]:
    for series, of_one in device.calibrations.items():
        place: Place = ("calibrate", series)
        if not of_one:
            yield place, "there is none; add - {since: 2026-11-01, gain: 0.92, offset: 1.1, reason: …}"
        if (name := calibrated_name(series)) in device.uncalibrated_units:
            yield place, f"would be called {name}, as another series is; rename that one"
        for number, (before, one) in enumerate(pairwise(of_one), start=1):
            if one.since == before.since:
                yield (*place, number, "since"), "is that of the entry before, too; keep one of them"
            elif one.since < before.since:
                yield (*place, number, "since"), "is before that of the entry before; put the earlier one first"


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
                f"{without_secrets(device.url)} is also the address of {urls[url]!r}; poll each device once",
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
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    return f"{parts.scheme}://{(parts.hostname or '').lower()}:{port}{parts.path or '/'}?{parts.query}"
