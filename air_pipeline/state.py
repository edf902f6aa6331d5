"""The state directory: everything that the program writes, and which store it belongs to.

Belongs here: the paths in it, their rights, its version, the store that it is bound to.
Does not: what is in its files, which each have a room of their own.
"""

from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any, Literal

from air_pipeline.replacing import open_at_once, replace_file
from air_pipeline.settings import INFLUXDB_VARIABLES, SettingsError

EMBEDDED_STORE = "the embedded store"
INFLUXDB_STORE = "InfluxDB at "
"""How the name of any other store begins."""
VERSION = 1
"""Of what is where in the directory. A newer one is not touched; an older one is brought up to date by its rooms."""
LARGE_LOG_BYTES = 5_000_000
_LONGEST_VERSION = 9
_DIRECTORY_MODE, _FILE_MODE = 0o700, 0o600  # outboxes and logs are nobody else's business


@dataclass(frozen=True, slots=True)
class StateDirectory:
    """The directory of everything that the program writes; nothing is made before `make` or `write`."""

    path: Path

    def __str__(self) -> str:
        return str(self.path)

    @property
    def outbox(self) -> Path:
        """Polls on their way to the store."""
        return self.path / "outbox.sqlite"

    @property
    def readings(self) -> Path:
        """The embedded store."""
        return self.path / "readings.sqlite"

    @property
    def collector_lock(self) -> Path:
        """Held by the one collector."""
        return self.path / "collector.lock"

    @property
    def collector_lease(self) -> Path:
        """Until when a collector that Dagster keeps is wanted."""
        return self.path / "collector.lease"

    @property
    def recording(self) -> Path:
        """How the disk takes what is polled, as the collector saw it last."""
        return self.path / "recording"

    @property
    def reserve(self) -> Path:
        """Room that is given to the outbox when the disk is full."""
        return self.path / "reserve"

    @property
    def collector_log(self) -> Path:
        """What a collector that Dagster keeps says."""
        return self.path / "collector.log"

    @property
    def clock(self) -> Path:
        """Why the collector does not believe the clock, if it does not."""
        return self.path / "clock.json"

    @property
    def up_lock(self) -> Path:
        """Held by the one `up`."""
        return self.path / "up.lock"

    @property
    def ui_address(self) -> Path:
        """Where the UI of `up` is, while it runs."""
        return self.path / "ui"

    @property
    def sockets(self) -> Path:
        """Where the sockets of `up` are, while it runs."""
        return self.path / "sockets"

    @property
    def dagster(self) -> Path:
        """Dagster's storage, where DAGSTER_HOME names no other place."""
        return self.path / "dagster"

    @property
    def dagster_log(self) -> Path:
        """What the parts of `up` say."""
        return self.path / "dagster.log"

    @property
    def last_valid(self) -> Path:
        """The copy of the last valid configuration."""
        return self.path / "devices.last-valid.yaml"

    @property
    def former(self) -> Path:
        """The devices and series that were ever in force."""
        return self.path / "devices.former.json"

    @property
    def last_valid_marks(self) -> Path:
        """The copy of the last valid marks."""
        return self.path / "marks.last-valid.yaml"

    @property
    def binding(self) -> Path:
        """The name of the store that the directory belongs to."""
        return self.path / "store"

    @property
    def compared(self) -> Path:
        """How far the days were compared with the store, as earlier versions kept it; it moves to the days."""
        return self.path / "compared"

    @property
    def notified(self) -> Path:
        """What a person was told, and is to be told."""
        return self.path / "notified.json"

    @property
    def space(self) -> Path:
        """How much room there was on the disks in the last days."""
        return self.path / "space.json"

    @property
    def deleted(self) -> Path:
        """What was deleted of the readings that days were built from, until these are built again."""
        return self.path / "deleted.json"

    @property
    def imports(self) -> Path:
        """A file for each import: what it was, and whether it was taken back."""
        return self.path / "imports"

    @property
    def version(self) -> Path:
        """Of what is where in the directory."""
        return self.path / "version"

    def make(self) -> None:
        """Makes the directory for this user alone, if it is not there yet; one that is there keeps its rights.

        Raises:
            SettingsError: it cannot be made.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.mkdir(_DIRECTORY_MODE, exist_ok=True)
            if not self.version.exists():
                replace_file(self.version, f"{VERSION}\n", _FILE_MODE)
        except OSError as error:
            raise self._unusable(error) from None

    def write(self, path: Path, text: str) -> None:
        """Writes one of the directory's small files, whole and durably.

        Raises:
            SettingsError: the directory cannot be made, or something else than a file is in the way.
            OSError: the file cannot be written.
        """
        self.make()
        try:
            replace_file(path, text, _FILE_MODE)
        except IsADirectoryError as error:
            raise self._unusable(error) from None

    def open(self, path: Path, mode: Literal["r", "rb", "a+", "ab"]) -> IO[Any]:
        """Opens one of the directory's files, made for this user alone; never waits, as for who writes into a pipe.

        Raises:
            FileNotFoundError: it is to be read, and is not there.
            SettingsError: it cannot be opened, or is no file.
        """
        encoding = None if "b" in mode else "utf-8"
        try:
            return open(path, mode, encoding=encoding, opener=partial(open_at_once, mode=_FILE_MODE))
        except (FileNotFoundError, NotADirectoryError):
            raise
        except OSError as error:
            raise self._unusable(error) from None

    def read(self, path: Path, errors: str = "strict") -> str:
        """The text of one of its small files; empty where there is none.

        Args:
            path: one of the above.
            errors: what becomes of bytes that are no UTF-8, as `bytes.decode` knows it.

        Raises:
            SettingsError: it cannot be read.
        """
        try:
            with self.open(path, "rb") as file:
                return bytes(file.read()).decode("utf-8", errors).strip()
        except FileNotFoundError:
            return ""
        except (OSError, UnicodeDecodeError) as error:
            raise self._unusable(error) from None

    @property
    def store(self) -> str:
        """The store from which the days here came; empty if none is known.

        Raises:
            SettingsError: it cannot be read, or names none: as the wrong store would be taken for the right one.
        """
        name = self.read(self.binding, errors="replace")
        if not name and not self.binding.exists():
            return ""
        return known_store(name, f"which store the readings of {self} are in", self.binding)

    def check_version(self) -> None:
        """Makes sure that the directory is no newer program's.

        Raises:
            SettingsError: it is.
        """
        version = self.read(self.version)
        if version.isdecimal() and (len(version) > _LONGEST_VERSION or int(version) > VERSION):
            raise SettingsError(f"environment: {self} was written by a newer air_pipeline; update this one")

    def check_store(self, store: str) -> None:
        """Makes sure that the directory may be used with this store: it is no newer program's, and no other store's.

        Raises:
            SettingsError: it may not; the message names the remedy.
        """
        self.check_version()
        check_same_store(f"{self} belongs to", self.store, store, self.binding)

    def remember_store(self, store: str) -> None:
        """Binds the directory to the store, at the first reading collected or day built.

        Raises:
            SettingsError: it belongs to another one, or cannot be written.
        """
        self.check_store(store)
        if not self.store:
            self.bind(store)

    def bind(self, store: str) -> None:
        """Binds the directory to the store, whichever it belonged to: its readings have moved there.

        Raises:
            SettingsError: it cannot be written.
        """
        try:
            self.write(self.binding, f"{store}\n")
        except OSError as error:
            raise self._unusable(error) from None

    def _unusable(self, error: Exception) -> SettingsError:
        return SettingsError(
            f"environment: the state directory {self} cannot be used ({error});"
            " set AIR_PIPELINE_STATE to a directory that this user may read and write"
        )


def known_store(name: str, what: str, file: object) -> str:
    """The name of a store, as it was kept in a file.

    Raises:
        SettingsError: it is none, and so does not say what it should: the wrong store would be taken for the right one.
    """
    if name != EMBEDDED_STORE and not name.startswith(INFLUXDB_STORE):
        raise SettingsError(
            f"environment: {file} is damaged and does not say {what}; set the environment to that one (INFLUXDB_V2_*,"
            " or none of them for the embedded store) and delete the file"
        )
    return name


def check_same_store(belongs: str, known: str, store: str, file: object) -> None:
    """Makes sure that the store that the environment names is the one that was known before, if any was.

    Args:
        belongs: what was said of the one that is known, such as `… belongs to`.
        known: its name; empty where none is.
        store: the one that the environment names.
        file: where it was kept.

    Raises:
        SettingsError: it is another; the message names the remedy.
    """
    if not known or known == store:
        return
    if store == EMBEDDED_STORE:
        remedy = f"set {', '.join(INFLUXDB_VARIABLES)} again"
    else:
        remedy = "unset the INFLUXDB_V2_* variables or set them as before"
    move = ", or move the readings there: air-pipeline copy" if known == EMBEDDED_STORE else ""
    raise SettingsError(
        f"environment: {belongs} {known}, and the environment names {store}; {remedy}{move} — or, if the readings have"
        f" moved there, delete {file}"
    )


def keep_log_small(path: Path) -> None:
    """Sets a log aside (under its name with `.1`) that has grown large, before its next writer opens it."""
    with suppress(FileNotFoundError):
        if path.stat().st_size > LARGE_LOG_BYTES:
            path.replace(path.with_name(f"{path.name}.1"))
