"""What the environment says: where the configuration, the state and the data are, and which store is meant.

Belongs here: environment variables, and the paths that follow from them. Does not: what `devices.yaml` may say
(`settings.file`), what is in the state directory (`state`).
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from air_pipeline.places import DataPlace, ObjectAddress
from air_pipeline.replacing import open_at_once
from air_pipeline.settings import INFLUXDB_VARIABLES, MAIN, InfluxConnection, SettingsError
from air_pipeline.settings.remote import ConfigFile, RemoteFile, remote_file
from air_pipeline.settings.values import collector_name, is_address, shown
from air_pipeline.showing import without_secrets
from air_pipeline.state import EMBEDDED_STORE, INFLUXDB_STORE, StateDirectory

_CONFIG = "AIR_PIPELINE_CONFIG"
_OBJECTS = re.compile(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[\w.=-]+)*/?", re.ASCII)
_ALSO = {"AIR_PIPELINE_DATA": " and s3://bucket/prefix", _CONFIG: " and s3://bucket/devices.yaml"}
_TOKEN, _TOKEN_FILE = "INFLUXDB_V2_TOKEN", "INFLUXDB_V2_TOKEN_FILE"


@dataclass(frozen=True, slots=True)
class Environment:
    """Where everything is.

    Attributes:
        config: the configuration file, of this machine or in an object store.
        state: the directory of everything that the program writes.
        data: where the days are, tables and pages.
        influxdb: the connection; None for the embedded store in the state directory.
        collector: the name of the collector here: which devices it polls, `devices.yaml` says.
    """

    config: ConfigFile
    state: StateDirectory
    data: DataPlace
    influxdb: InfluxConnection | None = None
    collector: str = MAIN

    @property
    def store(self) -> str:
        """Which store is meant, for people and to be remembered; without secrets."""
        if self.influxdb is None:
            return EMBEDDED_STORE
        return f"{INFLUXDB_STORE}{self.influxdb.url}, org {self.influxdb.org}, bucket {self.influxdb.bucket}"

    def config_here(self) -> Path:
        """The configuration file, to be written.

        Raises:
            SettingsError: it is in an object store, which this program only reads.
        """
        if isinstance(self.config, RemoteFile):
            raise SettingsError(
                f"environment: {self.config} is only read there; change it, and marks.yaml beside it, where you keep"
                " them, and put them there again"
            )
        return self.config

    def variables(self) -> dict[str, str]:
        """The paths and the name as variables, for processes that are started elsewhere."""
        return {
            _CONFIG: str(self.config),
            "AIR_PIPELINE_STATE": str(self.state),
            "AIR_PIPELINE_DATA": str(self.data),
            "AIR_PIPELINE_COLLECTOR": self.collector,
        }


def read_environment(variables: Mapping[str, str] | None = None) -> Environment:
    """What the variables (those of the process by default) say; paths are made absolute, nothing is written.

    Raises:
        SettingsError: InfluxDB is named by half, its URL is none, its token cannot be read, a path cannot be made
            absolute, or the collector's name is none.
    """
    given = {name: value for name, value in (os.environ if variables is None else variables).items() if value.strip()}
    state = StateDirectory(_path(given, "AIR_PIPELINE_STATE", ".air_pipeline"))
    environment = Environment(
        config=config_file(given.get(_CONFIG, "devices.yaml")),
        state=state,
        data=_data(given, state.path / "data"),
        influxdb=_influxdb(given),
        collector=_collector(given),
    )
    if environment.influxdb is None and isinstance(environment.data, ObjectAddress):
        raise SettingsError(
            f"environment: AIR_PIPELINE_DATA is {environment.data}, which machines share, and no InfluxDB is named:"
            f" each would build from an embedded store of its own; set {', '.join(INFLUXDB_VARIABLES)}, or"
            " AIR_PIPELINE_DATA to a directory"
        )
    return environment


def _data(given: Mapping[str, str], otherwise: Path) -> DataPlace:
    text = given.get("AIR_PIPELINE_DATA", str(otherwise)).strip()
    if not text.startswith("s3:/"):  # with one slash it is a slip, and no directory that anybody means
        return _path(given, "AIR_PIPELINE_DATA", str(otherwise))
    if not _OBJECTS.fullmatch(text):
        raise SettingsError(
            f"environment: AIR_PIPELINE_DATA is {shown(text)}, which is no place for objects; set it as"
            " s3://bucket/prefix"
        )
    return ObjectAddress(text.rstrip("/"))


def _collector(given: Mapping[str, str]) -> str:
    try:
        return collector_name(given.get("AIR_PIPELINE_COLLECTOR", MAIN).strip())
    except ValueError as mistake:
        raise SettingsError(f"environment: AIR_PIPELINE_COLLECTOR: {mistake}") from None


def config_file(named: str | Path) -> ConfigFile:
    """The configuration file that a text or a path names, of which the first may be an address.

    Raises:
        SettingsError: it is another address than one of an object, or cannot be made absolute.
    """
    return remote_file(str(named)) or _path({_CONFIG: str(named)}, _CONFIG, "")


def _path(given: Mapping[str, str], name: str, default: str) -> Path:
    text = given.get(name, default)
    if "://" in text:
        also = _ALSO.get(name, "")
        raise SettingsError(
            f"environment: {name} is {shown(text)}, and only directories of this machine{also} are known; set it to"
            " a path"
        )
    try:
        return Path(text).expanduser().absolute()
    except (RuntimeError, OSError) as error:  # a home or a working directory that is not there
        raise SettingsError(f"environment: {name} is {text!r} ({error}); set it to an absolute path") from None


def _influxdb(given: Mapping[str, str]) -> InfluxConnection | None:
    token_file = None
    if _TOKEN_FILE in given:
        if _TOKEN in given:
            raise SettingsError(f"environment: {_TOKEN} and {_TOKEN_FILE} are both set; unset one of them")
        token_file = _path(given, _TOKEN_FILE, "")
        given = {**given, _TOKEN: _read_token(token_file)}
    missing = [name for name in INFLUXDB_VARIABLES if name not in given]
    if len(missing) == len(INFLUXDB_VARIABLES):
        return None
    if missing:
        there = [_TOKEN_FILE if name == _TOKEN and token_file else name for name in INFLUXDB_VARIABLES if name in given]
        raise SettingsError(
            f"environment: {_joined(there)} set and {_joined(missing)} not;"
            " set all four for InfluxDB, or none for the embedded store"
        )
    url, token, org, bucket = (given[name].strip() for name in INFLUXDB_VARIABLES)
    _require_usable(url, token, {"INFLUXDB_V2_ORG": org, "INFLUXDB_V2_BUCKET": bucket})
    return InfluxConnection(url.rstrip("/"), token, org, bucket, token_file)


def _require_usable(url: str, token: str, names: Mapping[str, str]) -> None:
    if not is_address(url):
        raise SettingsError(
            f"environment: INFLUXDB_V2_URL is {shown(url)}, no address; set it as http://localhost:8086"
        )
    if url.rstrip("/").endswith("/api/v2"):
        there = without_secrets(url.rstrip("/").removesuffix("/api/v2"))
        raise SettingsError(
            f"environment: INFLUXDB_V2_URL ends in /api/v2, which is added by itself; set it as {there}"
        )
    if urlsplit(url).query or urlsplit(url).fragment:
        raise SettingsError("environment: INFLUXDB_V2_URL has a ? or # in it; set it as http://localhost:8086")
    if urlsplit(url).username is not None:
        raise SettingsError(
            "environment: INFLUXDB_V2_URL has a user in it; set it as http://localhost:8086, the token says who you are"
        )
    if not (token.isascii() and token.isprintable()):  # no header takes it, and its refusal would show it
        raise SettingsError("environment: INFLUXDB_V2_TOKEN has a character that no token has; set it again")
    for name, value in names.items():
        if not value.isprintable():
            raise SettingsError(f"environment: {name} is {shown(value)}, no name; set it in UTF-8, on one line")


def _read_token(file: Path) -> str:
    try:
        with open(file, encoding="utf-8", opener=open_at_once) as opened:
            token = opened.read().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(
            f"environment: {_TOKEN_FILE} is {str(file)!r}, which cannot be read ({error});"
            " set it to a file that this user may read"
        ) from None
    if not token:
        raise SettingsError(f"environment: {_TOKEN_FILE} is {str(file)!r}, which is empty; put the token into it")
    return token


def _joined(names: list[str]) -> str:
    return f"{', '.join(names)} {'is' if len(names) == 1 else 'are'}"
