"""From which store the days of a place are made: kept beside them, so that whoever shares them is held to it.

Belongs here: keeping and comparing it. Does not: to which store a state directory and its outbox belong (`state`).

A machine that builds days and has lost its variables would take its own, empty store for the right one, and its state
directory knows nothing better where it is new. So the place itself says it.
"""

from pathlib import Path

from air_pipeline.places import DataPlace
from air_pipeline.settings import SettingsError
from air_pipeline.state import check_same_store, known_store
from air_pipeline.storage.shelf import put_text, shelf_at

_NAME = "days/store"


def binding_of(place: DataPlace) -> DataPlace:
    """Where it is kept."""
    return shelf_at(place).place(None, _NAME)


def store_of(place: DataPlace) -> str:
    """The store from which the days there came; empty if none is known.

    Raises:
        SettingsError: it cannot be read, or names none.
        ShelfError: the object store does not say it.
    """
    try:
        name = shelf_at(place).head(None, _NAME).decode("utf-8", "replace").strip()
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except OSError as error:
        raise _unusable(place, error) from None
    return known_store(name, f"which store the days in {place} came from", binding_of(place))


def check_days(place: DataPlace, store: str) -> None:
    """Makes sure that the days of a place came from this store, as far as that is known.

    Raises:
        SettingsError: they came from another one; the message names the remedy.
        ShelfError: the object store does not say it.
    """
    check_same_store(_came(place), store_of(place), store, binding_of(place))


def check_days_here(place: DataPlace, store: str) -> None:
    """The same for a directory of this machine; elsewhere it is asked when the days are wanted.

    Raises:
        SettingsError: they came from another one.
    """
    if isinstance(place, Path):
        check_days(place, store)


def remember_days(place: DataPlace, store: str) -> None:
    """Binds the days of a place to the store, when the first is built.

    Raises:
        SettingsError: they came from another one, or it cannot be written.
        ShelfError: the object store does not take it.
    """
    known = store_of(place)
    check_same_store(_came(place), known, store, binding_of(place))
    if not known:
        bind_days(place, store)


def bind_days(place: DataPlace, store: str) -> None:
    """Binds the days of a place to the store, whichever they came from: the readings have moved there.

    Raises:
        SettingsError: it cannot be written.
        ShelfError: the object store does not take it.
    """
    try:
        put_text(shelf_at(place), None, _NAME, f"{store}\n")
    except OSError as error:
        raise _unusable(place, error) from None


def _came(place: DataPlace) -> str:
    return f"the days in {place} came from"


def _unusable(place: DataPlace, error: OSError) -> SettingsError:
    return SettingsError(
        f"environment: the data directory {place} cannot be used ({error});"
        " set AIR_PIPELINE_DATA to a directory that this user may read and write"
    )
