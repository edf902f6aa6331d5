"""The command `init`: a first `devices.yaml`, from what the devices themselves say."""

import ipaddress
import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import typer
from pydantic import TypeAdapter, ValidationError

from air_pipeline.cli.options import ConfigOption, use_config
from air_pipeline.cli.terminal import say
from air_pipeline.collection.asking import Asked, ask_device
from air_pipeline.collection.lease import CollectorRunning, holder
from air_pipeline.devices.introduction import Introduction
from air_pipeline.devices.kinds import DEFAULT, KINDS
from air_pipeline.devices.kinds.json_text import DocumentUnusable
from air_pipeline.devices.login import without_login
from air_pipeline.devices.polls import Outcome
from air_pipeline.devices.recognizing import PATHS, kind_of_stream, recognize, refuses, to_write
from air_pipeline.environment import Environment, read_environment
from air_pipeline.health.devices import LONGEST_S, finding_of
from air_pipeline.replacing import replace_file
from air_pipeline.settings import Device, SettingsError
from air_pipeline.settings.file import read_settings
from air_pipeline.settings.template import Entry, new_configuration
from air_pipeline.settings.values import Zone, is_address, is_ipv6, shown
from air_pipeline.settings.variables import with_variables
from air_pipeline.showing import plain, without_secrets

if TYPE_CHECKING:
    from air_pipeline.devices.discovering import Announced

_PATH = KINDS[DEFAULT].path


def init(
    urls: Annotated[
        list[str] | None,
        typer.Argument(help="Addresses of devices: 192.168.1.32, station.local:8080 or a URL.", show_default=False),
    ] = None,
    ids: Annotated[
        list[str] | None,
        typer.Option("--id", help="Your name for a device; may be repeated.", show_default="its host name"),
    ] = None,
    timezone: Annotated[
        str | None,
        typer.Option(help="Whose days are built, such as Europe/Warsaw.", show_default="that of the machine"),
    ] = None,
    config: ConfigOption = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace a file that is there, and write of devices that do not answer.")
    ] = False,
    discovers: Annotated[
        bool, typer.Option("--discover", help="Listen for 3 s for devices that tell the network of themselves.")
    ] = False,
    local: Annotated[
        bool, typer.Option("--local", help="Of those, write names in .local, which stay when addresses change.")
    ] = False,
) -> None:
    """Write a devices.yaml that fits your devices: each is asked for what it sends, until its kind is known.

    Example: air-pipeline init 192.168.1.32 --id living-room
    """
    use_config(config)
    environment = read_environment()
    config_file = environment.config_here()
    if config_file.exists() and not force:
        raise SettingsError(
            f"{config_file} is there already; to add a device, have another file written with --config new.yaml"
            " and copy its entry over; --force replaces the one that is there"
        )
    zone = _zone(timezone)
    found = _discovered(local=local) if discovers else {}
    addresses = [*(urls or ()), *found] if discovers else urls or _asked_for_addresses()
    entries = _entries(addresses, ids or [], {where: one.name for where, one in found.items()})
    kinds = {entry.url: found[where].kind for where, entry in zip(addresses, entries, strict=True) if where in found}
    if (running := holder(environment.state)) and _is_polled(environment, entries):
        raise CollectorRunning(environment.state, running)  # one request at a time is all that a device can take
    start = datetime.now(ZoneInfo(zone) if _is_zone(zone) else UTC).date()
    new_configuration(zone, start, entries)  # what is wrong with these is said before a device is asked
    answers = [(entry, _introduced(entry, zone, kinds.get(entry.url))) for entry in entries]
    if not force:  # what was only heard of is no mistake of anybody
        answers = [(entry, one) for entry, one in answers if (one and one.is_well) or entry.url not in kinds]
    if not answers:
        raise SettingsError(f"none of them can be used, so nothing was written; {_BY_ADDRESS}")
    introduced = [one.entry for _, one in answers if one]
    is_well = all(one and one.is_well for _, one in answers)
    if not introduced or not (is_well or force or _agreed(f"Write {config_file} all the same?")):
        what = "it" if len(introduced) == len(answers) else "the others"
        say(
            f"nothing was written; --force writes {what} all the same" if introduced else "nothing was written",
            err=True,
        )
        raise typer.Exit(1)
    try:
        replace_file(config_file, new_configuration(zone, start, introduced))
    except OSError as error:
        raise SettingsError(f"{config_file} cannot be written ({error.strerror}); name another by --config") from error
    for entry in introduced:
        if without_login(entry.url)[1] and with_variables(entry.url, os.environ) == entry.url:
            say(f"{entry.id}: its password stands in {config_file}; better write a $NAME of the environment there")
    given = [entry.id for entry in introduced if entry.id not in (ids or [])]
    if given and not _on_a_terminal():
        say(f"Names stay with their readings: if you want others than {', '.join(given)}, change them now")
    say(f"{config_file} is written. Start everything: air-pipeline up")


def _is_polled(environment: Environment, entries: list[Entry]) -> bool:
    """Whether a running collector asks one of them."""
    try:
        urls = {device.url for device in read_settings(environment.state.last_valid).devices}
    except SettingsError:
        return False
    hosts = {_host(url) for url in urls}
    return any(entry.url in urls or (_is_bare(entry.url) and _host(entry.url) in hosts) for entry in entries)


def _host(url: str) -> str:
    return urlsplit(without_login(url)[0]).netloc


def device_address(text: str) -> str:
    """The URL that an address means; without a path, that of the NodeMCU station, which is asked first.

    Raises:
        SettingsError: it is none.
    """
    named = f"[{text.strip()}]" if is_ipv6(text.strip()) else text.strip()
    url = named if "://" in named else f"http://{named}"
    if not is_address(url):
        raise SettingsError(f"{shown(text)} is not an address; write it as 192.168.1.32 or http://192.168.1.32{_PATH}")
    return url.rstrip("/") + _PATH if urlsplit(url).path in {"", "/"} and not urlsplit(url).query else url


def machine_zone(variables: Mapping[str, str], localtime: Path = Path("/etc/localtime")) -> tuple[str | None, str]:
    """The IANA name of this machine's zone (None if it has none), and how it is known: by TZ, or by a file's link."""
    named = variables.get("TZ", "")
    if _is_zone(named.removeprefix(":")):
        return named.removeprefix(":"), "by TZ"
    try:
        led = str(localtime.resolve(strict=True)).rpartition("/zoneinfo/")[2]
    except OSError:
        led = ""
    unusable = f"; TZ is {shown(named)}, which is no IANA name and says nothing here" if named else ""
    return (led, f"by {localtime}{unusable}") if _is_zone(led) else (None, unusable.removeprefix("; "))


def _is_zone(name: str) -> bool:
    try:
        TypeAdapter(Zone).validate_python(name)
    except ValidationError:
        return False
    return True


def _zone(given: str | None) -> str:
    if given:
        return given
    found, how = machine_zone(os.environ)
    if _on_a_terminal():
        return str(typer.prompt("Time zone of the devices", default=found or "Europe/Warsaw"))
    if not found:
        why = f" ({how})" if how else ""
        raise SettingsError(f"the time zone of this machine is not known{why}; name one: --timezone Europe/Warsaw")
    say(f"Days are those of {found}, {how}; --timezone names another")
    return found


def _asked_for_addresses() -> list[str]:
    if not _on_a_terminal():
        raise typer.BadParameter("name at least one device, such as 192.168.1.32", param_hint="URLS")
    return str(typer.prompt("Address of the device, such as 192.168.1.32 (several with spaces between)")).split()


def _discovered(*, local: bool) -> "dict[str, Announced]":
    """The devices that tell the network of themselves, as far as they are wanted, by where each is asked.

    Raises:
        SettingsError: there is none.
    """
    from air_pipeline.devices.discovering import LISTEN_S, discover  # with zeroconf: only who listens pays for it

    try:
        found = discover()
    except OSError as error:
        raise SettingsError(f"there is no network to listen to ({error.strerror or error}); {_BY_ADDRESS}") from error
    if not found:
        raise SettingsError(f"no device of a kind that is known told of itself within {LISTEN_S:g} s; {_BY_ADDRESS}")
    for number, one in enumerate(found, start=1):
        who = f" ({one.identity})" if one.identity else ""
        say(f"{number:>3}  {one.kind:<12} {one.name}{who}  {one.where(local=False)}  {one.where(local=True)}")
    if _on_a_terminal():
        numbers = str(typer.prompt("Which are yours, such as 1 3", default="all")).replace(",", " ").split()
        if numbers != ["all"]:
            wanted = {int(number) for number in numbers if number.isdecimal()}
            found = [one for number, one in enumerate(found, start=1) if number in wanted]
        local = local or typer.confirm("Write their names in .local, which stay when addresses change?", default=False)
    return {one.where(local=local): one for one in found}


_BY_ADDRESS = "name devices by their addresses: air-pipeline init 192.168.1.32"


def _entries(addresses: list[str], ids: list[str], names: Mapping[str, str]) -> list[Entry]:
    """The devices at addresses, by the ids that are given or suggested: from a name of theirs, or their address."""
    if len(ids) > len(addresses):
        raise SettingsError(
            f"there are {len(ids)} --id for {len(addresses)} devices; give one a device, in their order"
        )
    entries: list[Entry] = []
    for number, address in enumerate(addresses):
        url = device_address(address)
        taken = {entry.id for entry in entries} | set(ids)
        name = ids[number] if number < len(ids) else _suggested_id(names.get(address) or _host_name(url), taken)
        if number >= len(ids) and _on_a_terminal():
            name = typer.prompt(f"Your name for the device at {without_secrets(url)} (a-z, 0-9, _ and -)", default=name)
        entries.append(Entry(name, url))
    return entries


def _host_name(url: str) -> str:
    """What a host is called; empty where it has an address alone."""
    host = urlsplit(url).hostname or ""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return host.split(".")[0]
    return ""


def _suggested_id(called: str, taken: set[str]) -> str:
    name = re.sub(r"[^a-z0-9_-]", "-", called.lower()).strip("-_")[:50]
    names = [name] if name else []
    return next(
        one for one in [*names, *(f"{name or 'device'}-{n}" for n in range(1, len(taken) + 2))] if one not in taken
    )


@dataclass(frozen=True, slots=True)
class Introduced:
    """An entry with what the device says, and whether it said something that can be used."""

    entry: Entry
    is_well: bool


def _introduced(entry: Entry, zone: str, kind_told: str | None) -> Introduced | None:
    """What a device says; None of one that says nothing to who asks: of no kind it would be written rightly."""
    known = _asked_until_known(entry, zone, kind_told)
    asked, introduction = known.asked, known.introduction
    if known.refuses is not None:
        say(f"{entry.id}: {_of_login(entry, asked, known.refuses)}", err=True)
        return None
    if introduction is None:
        finding = finding_of(asked, datetime.now(UTC))
        say(f"{entry.id}: {finding.text} → {finding.remedy}", err=True)
        for address, write in known.pages:
            where = without_secrets(address)
            say(f"{entry.id}: {where} is a page of no kind that is known; write it as url, and {write}", err=True)
        return Introduced(entry, is_well=False)
    url, kind = asked.device.url, introduction.kind
    if _is_bare(entry.url) and url != entry.url:  # the address alone, where the kind says the rest
        address = entry.url.removesuffix(_PATH)
        entry = replace(entry, url=address if url == address + kind.path else url)
    sensors = ", ".join(introduction.sensors)
    what = "" if kind.name == DEFAULT else f" as a device of kind {kind.name}"
    say(f"{entry.id}: answers{what}, with {sensors}" if sensors else f"{entry.id}: answers{what}, without values yet")
    units = _units(introduction)
    stores = introduction.stores(units)
    if not stores:
        say(f"{entry.id}: nothing of it would be stored, as no unit is known; with --force the file has the lines to"
            " fill in", err=True)  # fmt: skip
    return Introduced(replace(entry, lines=tuple(introduction.lines(units))), stores)


def _of_login(entry: Entry, asked: Asked, kind: str) -> str:
    """What is said of a device that wants to know who asks, or did not take who was said."""
    what = f", as a device of kind {kind}" if kind else ""
    if asked.poll and asked.poll.outcome is Outcome.HTTP_ERROR:
        what += f": {asked.reason}"
    where, login = without_login(entry.url.removesuffix(_PATH) if _is_bare(entry.url) else entry.url)
    if login:
        return f"does not take this user and password{what} → correct them in its address"
    scheme, _, rest = without_secrets(where).partition("://")
    address = f"{'' if scheme == 'http' else f'{scheme}://'}admin:$STATION_PASSWORD@{rest}"
    return (
        f"wants a login{what} → say its own before the address, with the password in the environment:"
        f" export STATION_PASSWORD=…; air-pipeline init '{address}'"
    )


@dataclass(frozen=True, slots=True)
class _Known:
    """What is known of a device after it was asked.

    Attributes:
        asked: the answer by which it is known, else the first, or the one that wants a login.
        pages: addresses of pages that are readable and of no known kind, and what to write for them.
        introduction: what it says; None where it is of no known kind.
        refuses: of which kind it is where it wants a login, empty if that is not known; None: it wants none.
    """

    asked: Asked
    pages: list[tuple[str, str]] = field(default_factory=list)
    introduction: Introduction | None = None
    refuses: str | None = None


def _asked_until_known(entry: Entry, zone: str, kind_told: str | None) -> _Known:
    """Asks a device at its url, or, of an address alone, where one kind after the other answers, until it is known.

    First where one of the kind answers of which it said to be.
    """
    first: Asked | None = None
    pages: list[tuple[str, str]] = []
    for url in _places(entry.url, kind_told):
        asked = _ask(entry, url, zone, kind_of_stream(url))
        refuses_as = asked.answer and refuses(asked.answer, url)
        if refuses_as and KINDS[refuses_as].login_in_query and without_login(url)[1]:
            asked = _ask(entry, url, zone, refuses_as)  # who is told in the address, as no other kind is
            refuses_as = asked.answer and refuses(asked.answer, url)
        first = first or asked
        if refuses_as is not None:
            return _Known(asked, refuses=str(refuses_as or kind_told or ""))
        if asked.answer and asked.answer.body:
            try:
                return _Known(asked, pages, recognize(asked.answer.body, as_station=url == entry.url))
            except DocumentUnusable:
                pages += [(url, write)] if (write := to_write(asked.answer.body)) else []
        elif asked.poll is None or asked.poll.outcome is not Outcome.HTTP_ERROR:
            break  # it is away, or slow: asking on would only cost it
    return _Known(cast("Asked", first), pages)


def _ask(entry: Entry, url: str, zone: str, kind: str) -> Asked:
    asked = ask_device(Device(entry.id, with_variables(url, os.environ), zone, kind=kind), LONGEST_S)
    return replace(asked, device=replace(asked.device, url=url))


def _is_bare(url: str) -> bool:
    parts = urlsplit(url)
    return parts.path == _PATH and not parts.query


def _places(url: str, kind_told: str | None) -> list[str]:
    """Where a device is asked: at its url, or wherever a kind answers if it is an address alone."""
    if not _is_bare(url):
        return [url]
    kind = KINDS.get(kind_told or "")
    first = [path for path in (kind.path, kind.stream_path) if path] if kind else []
    paths = dict.fromkeys([*first, *PATHS])
    return [url.removesuffix(_PATH) + path for path in paths]


def _units(introduction: Introduction) -> dict[tuple[str, str], str]:
    """The units of what the catalogue does not know, as far as there is somebody who knows them."""
    units = {}
    for sensor, key in introduction.unknown:
        which = plain(f"{sensor}.{key}")  # on one line: it has no other to write a line of ours in
        if _on_a_terminal():
            unit = str(typer.prompt(f"Unit of {which}, such as µg/m³ (empty: leave it out)", default="")).strip()
            if unit:
                units[sensor, key] = unit
        else:
            say(f"  what {which} measures is not known: see the comment in the file", err=True)
    return units


def _agreed(question: str) -> bool:
    return _on_a_terminal() and typer.confirm(question)


def _on_a_terminal() -> bool:
    return sys.stdin.isatty() and sys.stdout.isatty()
