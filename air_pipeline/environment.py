"""What the environment says: where the configuration, the state and the data are, and which store is meant.

Belongs here: environment variables, the paths that follow from them, and the last valid configuration kept in the state
directory. Does not: what `devices.yaml` may say (`settings.file`).
"""

import os
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from air_pipeline.settings import InfluxConnection, Settings, SettingsError
from air_pipeline.settings.file import parse_settings, read_settings, settings_text
from air_pipeline.settings.values import is_address

EMBEDDED_STORE = "the embedded store"
LARGE_LOG_BYTES = 5_000_000

_INFLUX = ("INFLUXDB_V2_URL", "INFLUXDB_V2_TOKEN", "INFLUXDB_V2_ORG", "INFLUXDB_V2_BUCKET")


@dataclass(frozen=True, slots=True)
class Environment:
    """Where everything is.

    Attributes:
        config: the configuration file.
        state: the directory of everything that the program writes.
        data: the directory of the Parquet tables.
        influxdb: the connection; None for the embedded store in the state directory.
    """

    config: Path
    state: Path
    data: Path
    influxdb: InfluxConnection | None = None

    @property
    def store(self) -> str:
        """Which store is meant, for people and to be remembered; without secrets."""
        if self.influxdb is None:
            return EMBEDDED_STORE
        return f"InfluxDB at {self.influxdb.url}, org {self.influxdb.org}, bucket {self.influxdb.bucket}"

    def variables(self) -> dict[str, str]:
        """The paths as variables, for processes that are started elsewhere."""
        return {
            "AIR_PIPELINE_CONFIG": str(self.config),
            "AIR_PIPELINE_STATE": str(self.state),
            "AIR_PIPELINE_DATA": str(self.data),
        }


@dataclass(frozen=True, slots=True)
class Loaded:
    """Settings, and what is wrong with the file if they are not its own but the last valid ones."""

    settings: Settings
    mistake: SettingsError | None = None


def environment(variables: Mapping[str, str] | None = None) -> Environment:
    """What the variables (those of the process by default) say; paths are made absolute, nothing is written.

    Raises:
        SettingsError: InfluxDB is named by half, its URL is none, or a path cannot be made absolute.
    """
    given = {name: value for name, value in (os.environ if variables is None else variables).items() if value.strip()}
    state = _path(given, "AIR_PIPELINE_STATE", ".air_pipeline")
    return Environment(
        config=_path(given, "AIR_PIPELINE_CONFIG", "devices.yaml"),
        state=state,
        data=_path(given, "AIR_PIPELINE_DATA", str(state / "data")),
        influxdb=_influxdb(given),
    )


def _path(given: Mapping[str, str], name: str, default: str) -> Path:
    text = given.get(name, default)
    try:
        return Path(text).expanduser().absolute()
    except (RuntimeError, OSError) as error:  # a home or a working directory that is not there
        raise SettingsError(f"environment: {name} is {text!r} ({error}); set it to an absolute path") from None


def _influxdb(given: Mapping[str, str]) -> InfluxConnection | None:
    missing = [name for name in _INFLUX if name not in given]
    if len(missing) == len(_INFLUX):
        return None
    if missing:
        there = [name for name in _INFLUX if name in given]
        raise SettingsError(
            f"environment: {_joined(there)} set and {_joined(missing)} not;"
            " set all four for InfluxDB, or none for the embedded store"
        )
    url, token, org, bucket = (given[name].strip() for name in _INFLUX)
    if not is_address(url):
        raise SettingsError(f"environment: INFLUXDB_V2_URL is {url!r}, no address; set it as http://localhost:8086")
    if urlsplit(url).username is not None:
        raise SettingsError(
            "environment: INFLUXDB_V2_URL has a user in it; set it as http://localhost:8086, the token says who you are"
        )
    return InfluxConnection(url.rstrip("/"), token, org, bucket)


def _joined(names: list[str]) -> str:
    return f"{', '.join(names)} {'is' if len(names) == 1 else 'are'}"


def last_valid(place: Environment) -> Path:
    """The copy of the last valid configuration."""
    return place.state / "devices.last-valid.yaml"


def load_settings(place: Environment, *, keep: bool = True) -> Loaded:
    """The settings of the configuration file; while it is invalid, the last valid ones and the mistake.

    Args:
        place: where everything is.
        keep: whether a valid file is kept as a copy in the state directory; who only looks writes nothing.

    Raises:
        SettingsError: the file is invalid and no valid one has been seen before.
    """
    copy = last_valid(place)
    try:
        text = settings_text(place.config)
        settings = parse_settings(text, str(place.config))
    except SettingsError as mistake:
        with suppress(SettingsError):  # no copy, or one that is no longer valid: then only the mistake is left
            return Loaded(read_settings(copy), mistake)
        raise
    with suppress(OSError):  # without a copy, valid settings are still valid
        if keep and (not copy.exists() or copy.read_bytes() != text.encode()):
            replace_file(copy, text)
    return Loaded(settings)


def check_store(place: Environment) -> None:
    """Makes sure that the store is the one from which this state directory's days came.

    Raises:
        SettingsError: it is another one, or cannot be told; the message names the remedy.
    """
    remembered = remembered_store(place)
    if remembered and remembered != place.store:
        if place.influxdb is None:
            remedy = f"set {', '.join(_INFLUX)} again"
        else:
            remedy = "unset the INFLUXDB_V2_* variables or set them as before"
        move = ", or move the readings there: air-pipeline copy" if remembered == EMBEDDED_STORE else ""
        raise SettingsError(
            f"environment: {place.state} belongs to {remembered}, and the environment names {place.store}; {remedy}"
            f"{move} — or, if the readings have moved there, delete {place.state / 'store'}"
        )


def remember_store(place: Environment) -> None:
    """Binds the state directory to the store, at the first reading collected or day built.

    Raises:
        SettingsError: it belongs to another one, or cannot be written.
    """
    check_store(place)
    if not remembered_store(place):
        bind_store(place)


def bind_store(place: Environment) -> None:
    """Binds the state directory to the store, whichever it belonged to: its readings have moved there.

    Raises:
        SettingsError: it cannot be written.
    """
    try:
        replace_file(place.state / "store", place.store + "\n")
    except OSError as error:
        raise _unusable_state(place, error) from None


def remembered_store(place: Environment) -> str:
    """The store from which this state directory's days came; empty if none is known."""
    try:
        return (place.state / "store").read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise _unusable_state(place, error) from None


def make_state_directory(place: Environment) -> None:
    """Makes the state directory, if it is not there yet.

    Raises:
        SettingsError: it cannot be made.
    """
    try:
        place.state.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unusable_state(place, error) from None


def _unusable_state(place: Environment, error: Exception) -> SettingsError:
    return SettingsError(
        f"environment: the state directory {place.state} cannot be used ({error});"
        " set AIR_PIPELINE_STATE to a directory that this user may read and write"
    )


def keep_log_small(path: Path) -> None:
    """Sets a log aside (under its name with `.1`) that has grown large, before its next writer opens it."""
    with suppress(FileNotFoundError):
        if path.stat().st_size > LARGE_LOG_BYTES:
            path.replace(path.with_name(f"{path.name}.1"))


def replace_file(path: Path, text: str) -> None:
    """Writes a small file whole or not at all; several processes and threads may do so at once.

    Raises:
        OSError: it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}")
    try:
        new.write_bytes(text.encode("utf-8"))
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)
