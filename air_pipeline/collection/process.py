"""The collector process: what polls, records, delivers and looks, each in its thread, and a clean end."""

import gc
import logging
import resource
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from types import FrameType

from air_pipeline.boottime import boottime
from air_pipeline.collection.clock import SystemClock
from air_pipeline.collection.collector import Collector
from air_pipeline.collection.configuration import Configuration
from air_pipeline.collection.delivering import delivering
from air_pipeline.collection.holding import Holding
from air_pipeline.collection.lease import CollectorLock, CollectorRunning, lease_has_ended
from air_pipeline.collection.metrics import Metrics
from air_pipeline.collection.recorder import Recorder
from air_pipeline.environment import Environment
from air_pipeline.settings import Settings

log = logging.getLogger(__name__)

LOOK_EVERY_S = 2.0
"""How often the lock, the lease and the configuration file are looked at."""
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
    with CollectorLock(environment.state, leased=leased) as lock, _stopped_by_signals(stop) as wakes:
        environment.state.remember_store(environment.store)
        metrics = Metrics()
        recorder = Recorder(environment.state, watch=None if metrics_port is None else metrics.take)
        holding = Holding(SystemClock(), environment.state, believe=believe_clock)
        collector = Collector(configuration.settings, recorder, holding=holding)
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
            showing = _showing_metrics(metrics_port, metrics, environment, configuration, recorder)
            collector.bindings.recall(environment, configuration.settings.devices)
            with delivering(environment, recorder.polls_came, telling=True), _every_second(look), showing:
                log.info("collecting from %d devices into %s", len(configuration.settings.devices), environment.store)
                _spare_what_lasts()
                try:
                    while not stop.is_set():
                        collector.step()
                        if (settings := configuration.changed()) is not None:
                            collector.reconfigure(settings)
                            _spare_what_lasts()
                finally:
                    ends_at = boottime() + END_WITHIN_S
                    collector.finish(FINISH_WITHIN_S)
                    recorder.flush(FLUSH_WITHIN_S)
            recorder.close(ends_at - boottime())
        if others:
            raise others[0]
    log.info("the collector has ended")


def _showing_metrics(
    port: int | None, metrics: Metrics, environment: Environment, configuration: Configuration, recorder: Recorder
) -> AbstractContextManager[None]:
    """`/metrics`, where it is wanted."""
    if port is None:
        return nullcontext()
    # With http.server: only who asks for metrics pays for it.
    from air_pipeline.collection.metrics_server import serving

    return serving(port, metrics, environment.state, lambda: configuration.settings, lambda: recorder.is_refused)


def _spare_what_lasts() -> None:
    """Python's collector of garbage need not look again and again through what stays: a tenth of a busy poll's time."""
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
        The devices that were left out: an answer would not be true to their slot any more, or they are not polled now.

    Raises:
        CollectorRunning: one does.
        SettingsError: the state directory belongs to another store.
        OutboxError: the outbox cannot be read.
        PollsLost: the disk refused what was polled.
    """
    with CollectorLock(environment.state):
        environment.state.remember_store(environment.store)
        recorder = Recorder(environment.state)
        with delivering(environment, recorder.polls_came), recorder:
            collector = Collector(settings, recorder, holding=Holding(SystemClock(), environment.state))
            collector.bindings.recall(environment, settings.devices)
            left_out = collector.poll_now()
            collector.finish()
    return left_out


@contextmanager
def _every_second(look: Callable[[], None]) -> Iterator[None]:
    """Looks at what changes beside polling, in a thread of its own: none of it may hold up a slot."""
    stop = threading.Event()

    def run() -> None:
        said = ""
        while not stop.wait(LOOK_EVERY_S):
            try:
                look()
            except Exception as error:  # whatever it is, polling goes on as it was
                if repr(error) != said:
                    log.exception("the lock, the lease and the configuration cannot be looked at now")
                said = repr(error)

    thread = threading.Thread(target=run, name="look", daemon=True)
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
