"""The move of a state directory from one store to another, while it collects as long as possible.

Belongs here: what must hold still for it, and when the state directory is the new store's. Does not: how readings are
copied (`storage.copying`).
"""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import date
from functools import partial

from air_pipeline.collection.lease import CollectorLock, CollectorRunning, holder
from air_pipeline.collection.outbox import Outbox
from air_pipeline.environment import Environment
from air_pipeline.errors import AirPipelineError
from air_pipeline.settings import SettingsError
from air_pipeline.storage.binding import bind_days
from air_pipeline.storage.copying import CopiedDay, CopyError, copy_readings, span_of
from air_pipeline.storage.opening import open_store

_ALL_TIME = (-(2**63), 2**63)


class MoveUnfinished(AirPipelineError):
    """What there was is copied, but a collector goes on; the message says how to finish."""


@dataclass(frozen=True, slots=True)
class Move:
    """From which store to which, as the environments of a deployment that uses the one or the other."""

    origin: Environment
    target: Environment

    @property
    def is_done(self) -> bool:
        """Whether the state directory belongs to the target."""
        return self.target.state.store == self.target.store


def between_embedded_and_influxdb(environment: Environment, *, to_embedded: bool) -> Move:
    """The move from the embedded store to the InfluxDB that the environment names, or back.

    Raises:
        SettingsError: it names none.
    """
    if environment.influxdb is None:
        raise SettingsError(
            "environment: readings are copied between the embedded store and InfluxDB, and no InfluxDB is named; set"
            " INFLUXDB_V2_URL, INFLUXDB_V2_TOKEN, INFLUXDB_V2_ORG and INFLUXDB_V2_BUCKET"
        )
    embedded = replace(environment, influxdb=None)
    return Move(environment, embedded) if to_embedded else Move(embedded, environment)


def move_readings(move: Move) -> Iterator[CopiedDay]:
    """Copies everything; once both stores hold the same and nothing collects, the state directory is the target's.

    A collector may run: the most is then copied beside it, and what is left for the time after it takes moments. What
    waits in the outbox is delivered to the store of the next collector. Interrupted, it is finished by a new start.

    Raises:
        SettingsError: the state directory belongs to a third store, or cannot be used.
        MoveUnfinished: a collector goes on.
        StoreError: see `copy_readings`.
    """
    state = move.target.state
    known = move.target.state.store
    if known not in {"", move.origin.store}:
        raise SettingsError(f"environment: {state} belongs to {known}, and not to {move.origin.store}; copy from there")
    move.target.state.make()
    if holder(state) is not None:
        yield from copy_part(move, *_ALL_TIME)
    try:
        with CollectorLock(state):
            yield from _copy(move, *_ALL_TIME, growing=False)
            bind_days(move.target.data, move.target.store)
            move.target.state.bind(move.target.store)
    except CollectorRunning as running:
        who = f"process {running.holder.pid}" if running.holder else "another process"
        raise MoveUnfinished(
            f"what was in {move.origin.store} is now in {move.target.store} too, but {who} still collects into the old"
            " one, to which the state directory still belongs; stop it (`air-pipeline up` or `collect`) and copy again,"
            " which then takes moments"
        ) from running


def copy_part(move: Move, start: int, end: int) -> Iterator[CopiedDay]:
    """Copies what is in [start, end), ms UTC; the state directory stays with its store, and a collector may run.

    Raises:
        StoreError: see `copy_readings`.
    """
    return _copy(move, start, end, growing=True)


def _copy(move: Move, start: int, end: int, *, growing: bool) -> Iterator[CopiedDay]:
    with (
        closing(open_store(move.origin.influxdb, move.origin.state)) as origin,
        closing(open_store(move.target.influxdb, move.target.state)) as target,
    ):
        span = span_of(origin)
        if span is None:
            raise CopyError(
                f"{origin.identity} holds no readings: do AIR_PIPELINE_STATE and INFLUXDB_V2_* say what you mean?"
            )
        target.latest()  # a wrong token or bucket is told before anything is read
        yield from copy_readings(
            origin, target, max(start, span[0]), min(end, span[1]), growing=growing, mark=partial(_mark, move)
        )


def _mark(move: Move, day: date) -> None:
    """Has the days of a UTC date compared again that are built from the store that is written to, however old."""
    if move.is_done:
        with closing(Outbox(move.target.state.outbox)) as box:
            box.mark_late([day])
