"""What the environment says: where the configuration, the state and the data are, and which store is meant.

Belongs here: environment variables, the paths that follow from them, and the last valid configuration kept in the state
directory. Does not: what `devices.yaml` may say (`settings_file`).
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from air_pipeline.settings import InfluxConnection, Settings, SettingsError
from air_pipeline.settings_file import read_settings

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
            return "the embedded store"
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
        SettingsError: InfluxDB is named by half, or its URL is none.
    """
    given = {name: value for name, value in (os.environ if variables is None else variables).items() if value.strip()}
    state = Path(given.get("AIR_PIPELINE_STATE", ".air_pipeline")).expanduser().absolute()
    return Environment(
        config=Path(given.get("AIR_PIPELINE_CONFIG", "devices.yaml")).expanduser().absolute(),
        state=state,
        data=Path(given["AIR_PIPELINE_DATA"]).expanduser().absolute()
        if "AIR_PIPELINE_DATA" in given
        else state / "data",
        influxdb=_influxdb(given),
    )


def _influxdb(given: Mapping[str, str]) -> InfluxConnection | None:
    missing = [name for name in _INFLUX if name not in given]
    if len(missing) == len(_INFLUX):
        return None
    if missing:
        there = ", ".join(name for name in _INFLUX if name in given)
        raise SettingsError(
            f"environment: {there} is set and {', '.join(missing)} is not;"
            " set all four for InfluxDB, or none for the embedded store"
        )
    url, token, org, bucket = (given[name].strip() for name in _INFLUX)
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise SettingsError(f"environment: INFLUXDB_V2_URL is {url!r}, no address; set it as http://localhost:8086")
    return InfluxConnection(url.rstrip("/"), token, org, bucket)


def load_settings(place: Environment) -> Loaded:
    """The settings of the configuration file; while it is invalid, the last valid ones and the mistake.

    A valid file is kept as a copy in the state directory.

    Raises:
        SettingsError: the file is invalid and no valid one has been seen before.
    """
    copy = place.state / "devices.last-valid.yaml"
    try:
        settings = read_settings(place.config)
    except SettingsError as mistake:
        if not copy.exists():
            raise
        return Loaded(read_settings(copy), mistake)
    text = place.config.read_text(encoding="utf-8")
    if not copy.exists() or copy.read_text(encoding="utf-8") != text:
        replace_file(copy, text)
    return Loaded(settings)


def check_store(place: Environment) -> None:
    """Makes sure that the store is the one from which this state directory's days came.

    Raises:
        SettingsError: it is another one; the message names the remedy.
    """
    try:
        remembered = (place.state / "store").read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return
    if remembered != place.store:
        if place.influxdb is None:
            remedy = f"set {', '.join(_INFLUX)} again"
        else:
            remedy = "unset the INFLUXDB_V2_* variables or set them as before"
        raise SettingsError(
            f"environment: {place.state} belongs to {remembered}, and the environment names {place.store}; {remedy}"
            f" — or, if the readings have moved there, delete {place.state / 'store'}"
        )


def remember_store(place: Environment) -> None:
    """Binds the state directory to the store, at the first reading collected or day built.

    Raises:
        SettingsError: it belongs to another one.
    """
    check_store(place)
    path = place.state / "store"
    if not path.exists():
        replace_file(path, place.store + "\n")


def replace_file(path: Path, text: str) -> None:
    """Writes a small file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.{os.getpid()}")
    new.write_text(text, encoding="utf-8")
    new.replace(path)
