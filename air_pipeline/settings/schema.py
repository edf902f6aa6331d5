"""What may stand in `devices.yaml`: its keys and the kinds of their values.

Belongs here: each entry by itself. Does not: what entries mean together (`file`), words for mistakes.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from air_pipeline.devices.kinds import KINDS
from air_pipeline.settings import MAIN
from air_pipeline.settings.moments import Moment
from air_pipeline.settings.values import (
    Address,
    Clock,
    ClockRange,
    CollectorName,
    Day,
    DeviceId,
    Gain,
    Grace,
    Interval,
    Mailbox,
    Number,
    Positive,
    PositiveOrOff,
    Range,
    Server,
    Sleeps,
    Spelling,
    Text,
    Timeout,
    Wait,
    WarmUp,
    Webhook,
    Zone,
    choice,
    mapping,
)
from air_pipeline.settings.variables import HeaderName, HeaderValue, Secret
from air_pipeline.units import SENT


class Entry(BaseModel):
    """Keys that are known, and no others."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ParameterEntry(Entry):
    """One parameter of a sensor that the catalogue does not know, or knows otherwise."""

    key: Spelling | None = None
    path: Spelling | None = None
    unit: Text | None = None
    sent_in: Annotated[str | None, BeforeValidator(choice(*SENT))] = None
    sensor_range: Range | None = None
    resolution: Positive | None = None


class AuthEntry(Entry):
    """The `auth` of a device."""

    user: Text
    password: Secret


class CalibrationEntry(Entry):
    """One entry of the `calibrate` of a series."""

    since: Moment
    gain: Gain = 1.0
    offset: Number = 0.0
    reason: Text


_CALIBRATION = "{since: 2026-11-01, gain: 0.92, offset: 1.1, reason: beside the reference for two weeks}"


def _listed(value: object) -> object:
    """One thing, or a list of them."""
    return value if isinstance(value, list) else [value]


class DeviceEntry(Entry):
    """One entry of `devices`."""

    id: DeviceId
    url: Address
    kind: Annotated[str | None, BeforeValidator(choice(*KINDS))] = None
    identity: Text | None = None
    collector: CollectorName = MAIN
    timezone: Zone | None = None
    interval: Interval | None = None
    timeout: Timeout | None = None
    since: Day | None = None
    until: Day | None = None
    auth: Annotated[AuthEntry | None, BeforeValidator(mapping("auth: {user: admin, password: $STATION_PASSWORD}"))] = (
        None
    )
    headers: Annotated[dict[HeaderName, HeaderValue], BeforeValidator(mapping("headers: {X-Api-Key: $KEY}"))] = {}
    payload_key: Spelling | None = None
    sensors: Annotated[dict[str, Any] | None, BeforeValidator(mapping("sensors: {dht22: [temperature, humidity]}"))] = (
        None
    )
    expected_range: Annotated[
        dict[str, Range], BeforeValidator(mapping("expected_range: {dht22_temperature: [5, 40]}"))
    ] = {}
    thresholds: Annotated[dict[str, Number], BeforeValidator(mapping("thresholds: {mq135_co2: 1000}"))] = {}
    rules: Annotated[
        dict[str, Annotated[dict[str, PositiveOrOff], BeforeValidator(mapping("{max_rate: 0.5}"))]],
        BeforeValidator(mapping("rules: {dht22_temperature: {max_rate: 0.5}}")),
    ] = {}
    calibrate: Annotated[
        dict[
            str,
            Annotated[
                list[Annotated[CalibrationEntry, BeforeValidator(mapping(_CALIBRATION))]], BeforeValidator(_listed)
            ],
        ],
        BeforeValidator(mapping(f"calibrate: {{dht22_temperature: [{_CALIBRATION}]}}")),
    ] = {}
    warm_up: WarmUp = 48 * 3_600_000
    sleeps: Sleeps | None = None


class EmailEntry(Entry):
    """The `email` of `notify`."""

    to: Annotated[list[Mailbox], BeforeValidator(_listed)]
    sender: Mailbox = Field(alias="from")
    server: Server
    user: Text | None = None


class NotifyEntry(Entry):
    """The `notify` of `devices.yaml`."""

    webhook: Annotated[list[Webhook], BeforeValidator(_listed)] = []
    email: Annotated[EmailEntry | None, BeforeValidator(mapping("email: {to: me@example.org, from: …, server: …}"))] = (
        None
    )
    quiet_hours: ClockRange | None = None
    in_quiet_hours: Annotated[Literal["grave", "nothing"], BeforeValidator(choice("grave", "nothing"))] = "grave"
    digest: Clock | None = None
    wait: Wait = 5 * 60_000


class FileSchema(Entry):
    """The whole of `devices.yaml`."""

    timezone: Zone
    start: Day
    interval: Interval = 10_000
    timeout: Timeout | None = None
    grace: Grace = 15 * 60_000
    collector: Annotated[Literal["dagster", "external"], BeforeValidator(choice("dagster", "external"))] = "dagster"
    clock: Annotated[Literal["checked", "trusted"], BeforeValidator(choice("checked", "trusted"))] = "checked"
    notify: Annotated[NotifyEntry | None, BeforeValidator(mapping("notify: {webhook: https://example.org/hook}"))] = (
        None
    )
    devices: list[DeviceEntry]
