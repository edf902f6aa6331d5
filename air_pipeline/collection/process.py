"""The collector process: what polls, records, delivers and looks, each in its thread, and a clean end."""

import gc
import logging
import resource
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from functools import partial
from types import FrameType

from air_pipeline.boottime import boottime, until_multiple_of
from air_pipeline.collection.clock import SystemClock
from air_pipeline.collection.collector import Collector
from air_pipeline.collection.configuration import Configuration
from air_pipeline.collection.delivering import delivering
from air_pipeline.collection.holding import Holding
from air_pipeline.collection.lease import CollectorLock, CollectorRunning, lease_has_ended
from air_pipeline.collection.looking import look_again
from air_pipeline.collection.metrics import Metrics
from air_pipeline.collection.recorder import Recorder
from air_pipeline.collection.share import Share
from air_pipeline.collection.taking_over import STORE_WITHIN_S, taking_over
from air_pipeline.environment import Environment
from air_pipeline.settings import Settings
from air_pipeline.storage.opening import open_store

log = logging.getLogger(__name__)

LOOK_EVERY_S = 2.0
"""How often the lock, the lease and the configuration file are looked at."""
GARBAGE_AT = 20_000
"""After so many objects Python looks for garbage: a hundred polls make as many, and hardly any garbage of that kind."""
FINISH_WITHIN_S = 10.0
"""How long the end waits for answers; what has not come by then is a `timeout`."""
FLUSH_WITHIN_S = 2.0
"""How long it then waits for the disk before delivery ends; the recorder goes on trying."""
END_WITHIN_S = 18.0
"""How long the end takes in all, while the disk refuses: less than whoever stops a collector waits before he kills."""
_FILES = 16_384


def collect(
    environment: Environment, *, leased: bool = False, believe_clock: bool = False, metrics_port: int | None = None
) -> None:
    """Collects until SIGTERM or SIGINT, or until the lease ends.

    Args:
        environment: whose devices.
        leased: whether it ends with the lease.
        believe_clock: whether somebody has said that the clock is right, whatever the kernel says.
        metrics_port: where `/metrics` is served on this machine; nowhere without.

    Raises:
        CollectorRunning: another collector holds the state directory.
        SettingsError: there are no usable settings, or the state directory belongs to another store.
        OutboxError: the outbox cannot be read.
        PollsLost: it had to end while the disk refused what was polled.
    """
    _allow_many_files()
    configuration = Configuration(environment)
    stop = threading.Event()
    lock = CollectorLock(environment.state, leased=leased, name=environment.collector)
    with lock, _stopped_by_signals(stop) as wakes:
        environment.state.remember_store(environment.store)
        metrics = Metrics()
        recorder = Recorder(environment.state, watch=None if metrics_port is None else metrics.take)
        holding = Holding(SystemClock(), environment.state, believe=believe_clock)
        share = _share(environment, configuration.settings, recorder)
        collector = Collector(_taken(share), recorder, holding=holding)
        wakes.append(collector.wake)
        others: list[CollectorRunning] = []

        def look() -> None:
            if stop.is_set():
                return
            try:
                lock.keep()
            except CollectorRunning as error:  # the lock's file was removed, and somebody was quicker
                others.append(error)
                stop.set()
            if leased and not recorder.is_refused and lease_has_ended(environment.state):
                log.info("the lease has run out")
                stop.set()
            configuration.look()

        with recorder:
            showing = _showing_metrics(metrics_port, metrics, environment, share, recorder)
            collector.bindings.recall(environment, share.settings.devices)
            with (
                delivering(environment, recorder.polls_came, share),
                taking_over(share, environment, collector.wake),
                _looking(look),
                showing,
            ):
                log.info("collecting from %d devices into %s", len(share.settings.devices), environment.store)
                _say_none(configuration.settings, environment)
                _spare_what_lasts()
                try:
                    while not stop.is_set():
                        collector.step()
                        if (settings := configuration.changed()) is not None:
                            share.take(settings)
                            _say_none(settings, environment)
                        _take_up(share, collector, environment)
                        if share.settle(is_done=not collector.asks_others):
                            recorder.polls_came.set()  # whoever delivers tells it
                finally:
                    ends_at = boottime() + END_WITHIN_S
                    collector.finish(FINISH_WITHIN_S)
                    recorder.flush(FLUSH_WITHIN_S)
            recorder.close(ends_at - boottime())
        if others:
            raise others[0]
    log.info("the collector has ended")


def _showing_metrics(
    port: int | None, metrics: Metrics, environment: Environment, share: Share, recorder: Recorder
) -> AbstractContextManager[None]:
    """`/metrics`, where it is wanted."""
    if port is None:
        return nullcontext()
    # With http.server: only who asks for metrics pays for it.
    from air_pipeline.collection.metrics_server import serving

    return serving(port, metrics, environment.state, lambda: share.settings, lambda: recorder.is_refused)


def _share(environment: Environment, settings: Settings, recorder: Recorder) -> Share:
    """What the collector of an environment polls; where readings are in the state directory itself, nobody else can."""
    is_alone = environment.influxdb is None
    share = Share(environment.collector, environment.state, recorder.last_slots, is_alone=is_alone)
    share.take(settings)
    return share


def _taken(share: Share) -> Settings:
    """What is to be polled of a share at first."""
    change = share.changed()
    return share.settings if change is None else change.settings


def _take_up(share: Share, collector: Collector, environment: Environment) -> None:
    """Has other devices polled, where the share has changed."""
    change = share.changed()
    if change is not None:
        if change.anew:
            collector.begin_anew(change.anew)
        collector.bindings.recall(environment, change.settings.devices)
        collector.reconfigure(change.settings)
        _spare_what_lasts()


def _say_none(settings: Settings, environment: Environment) -> None:
    if environment.collector not in settings.collectors:
        log.warning(
            "no device of devices.yaml is of the collector %s (AIR_PIPELINE_COLLECTOR): they are of %s; nothing is"
            " polled until one is",
            environment.collector,
            ", ".join(settings.collectors),
        )


def _spare_what_lasts() -> None:
    """Python's collector of garbage need not look again and again through what stays: a tenth of a busy poll's time."""
    gc.set_threshold(GARBAGE_AT)
    gc.unfreeze()
    gc.collect()
    gc.freeze()


def _allow_many_files() -> None:
    """A thousand polls at once hold a few thousand descriptors, and most systems begin with 1,024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _FILES if hard == resource.RLIM_INFINITY else min(_FILES, hard)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def collect_once(environment: Environment, settings: Settings) -> list[str]:
    """Collects the present slot of each device and delivers it, for when no collector runs.

    Returns:
        The devices that were left out: an answer would not be true to their slot any more, they are not polled now, or
        another collector may still poll them. Devices of others are neither asked nor named.

    Raises:
        CollectorRunning: one does.
        SettingsError: the state directory belongs to another store.
        OutboxError: the outbox cannot be read.
        PollsLost: the disk refused what was polled.
    """
    with CollectorLock(environment.state, name=environment.collector):
        environment.state.remember_store(environment.store)
        recorder = Recorder(environment.state)
        with delivering(environment, recorder.polls_came), recorder:
            share = _share(environment, settings, recorder)
            collector = Collector(_taken(share), recorder, holding=Holding(SystemClock(), environment.state))
            collector.bindings.recall(environment, share.settings.devices)
            if share.waits:
                with closing(open_store(environment.influxdb, environment.state, STORE_WITHIN_S)) as store:
                    share.look(store)
                _take_up(share, collector, environment)
            left_out = collector.poll_now()
            collector.finish()
    return left_out + share.left_out


@contextmanager
def _looking(look: Callable[[], None]) -> Iterator[None]:
    """Looks at what changes beside polling, in a thread of its own: none of it may hold up a slot."""
    stop = threading.Event()

    failing = "the lock, the lease and the configuration cannot be looked at now"

    def is_over() -> bool:
        return stop.wait(until_multiple_of(LOOK_EVERY_S))

    thread = threading.Thread(target=partial(look_again, look, is_over, failing), name="look", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()


@contextmanager
def _stopped_by_signals(stop: threading.Event) -> Iterator[list[Callable[[], None]]]:
    """From the first moment on, whoever wants an end gets an orderly one; gives the list of what is woken then."""
    wakes: list[Callable[[], None]] = []

    def end(number: int, frame: FrameType | None) -> None:
        del number, frame
        stop.set()
        for wake in wakes:
            wake()

    numbers = (signal.SIGTERM, signal.SIGINT)
    before = {number: signal.signal(number, end) for number in numbers}
    # Whoever started this process may have blocked them.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, numbers)
    try:
        yield wakes
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
