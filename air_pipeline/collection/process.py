"""The collector process: lock, lease, live configuration, delivery beside polling, and a clean end."""

import logging
import resource
import signal
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from types import FrameType

from air_pipeline.collection.clock import SystemClock
from air_pipeline.collection.collector import Collector
from air_pipeline.collection.delivery import Delivery
from air_pipeline.collection.holding import Holding
from air_pipeline.collection.lease import CollectorLock, lease_holds
from air_pipeline.collection.outbox import Outbox
from air_pipeline.deployment import settings_stamp
from air_pipeline.environment import Environment
from air_pipeline.settings import Settings, SettingsError
from air_pipeline.state import load_settings
from air_pipeline.storage.opening import open_store

log = logging.getLogger(__name__)

LOOK_EVERY_S = 1.0
"""How often the lease and the configuration file are looked at."""
LAST_DELIVERY_S = 5.0
"""How long the end waits for the store; what it does not take stays in the outbox."""
_LINGER_S = 0.2
_FILES = 16_384
_BEGIN_ANEW_S = 10.0


def collect(environment: Environment, *, leased: bool = False, believe_clock: bool = False) -> None:
    """Collects until SIGTERM or SIGINT, or until the lease ends.

    Args:
        environment: whose devices.
        leased: whether it ends with the lease.
        believe_clock: whether somebody has said that the clock is right, whatever the kernel says.

    Raises:
        CollectorRunning: another collector holds the state directory.
        SettingsError: there are no usable settings, or the state directory belongs to another store.
    """
    _allow_many_files()
    configuration = Configuration(environment)
    environment.state.remember_store(environment.store)
    with CollectorLock(environment.state, leased=leased):
        outbox = Outbox(environment.state.outbox)
        holding = Holding(SystemClock(), environment.state, believe=believe_clock)
        collector = Collector(configuration.settings, outbox, holding=holding)
        stop = threading.Event()
        with _stopped_by_signals(stop, collector), delivering(environment):
            log.info("collecting from %d devices into %s", len(configuration.settings.devices), environment.store)
            clock = SystemClock()
            look_at = clock.monotonic() + LOOK_EVERY_S
            while not stop.is_set():
                collector.step()
                if clock.monotonic() >= look_at:
                    look_at = clock.monotonic() + LOOK_EVERY_S
                    if leased and not lease_holds(environment.state):
                        log.info("the lease has run out")
                        break
                    if configuration.changed():
                        collector.reconfigure(configuration.settings)
            collector.finish()
        outbox.close()
    log.info("the collector has ended")


def _allow_many_files() -> None:
    """A thousand polls at once hold a few thousand descriptors, and most systems begin with 1,024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _FILES if hard == resource.RLIM_INFINITY else min(_FILES, hard)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def collect_once(environment: Environment, settings: Settings) -> None:
    """Collects the present slot of every device and delivers it, for when no collector runs.

    Raises:
        CollectorRunning: one does.
        SettingsError: the state directory belongs to another store.
    """
    environment.state.remember_store(environment.store)
    with CollectorLock(environment.state):
        outbox = Outbox(environment.state.outbox)
        with delivering(environment):
            collector = Collector(settings, outbox, holding=Holding(SystemClock(), environment.state))
            collector.poll_now()
            collector.finish()
        outbox.close()


class Configuration:
    """The settings in force, taken anew from the file whenever it changes into something valid."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._seen = settings_stamp(environment.config)
        loaded = load_settings(environment.config, environment.state)
        self.settings = loaded.settings
        if loaded.mistake:
            log.error("going on with the last valid configuration: %s", loaded.mistake)

    def changed(self) -> bool:
        """Looks at the file; whether the settings are others now."""
        stamp = settings_stamp(self._environment.config)
        if stamp == self._seen:
            return False
        self._seen = stamp
        try:
            loaded = load_settings(self._environment.config, self._environment.state)
        except SettingsError as mistake:
            log.error("going on as before: %s", mistake)
            return False
        if loaded.mistake:
            log.error("going on with the last valid configuration: %s", loaded.mistake)
            return False
        if loaded.settings == self.settings:
            return False
        self.settings = loaded.settings
        log.info("taking up the changed configuration: %d devices", len(self.settings.devices))
        return True


@contextmanager
def delivering(environment: Environment) -> Iterator[None]:
    """Delivers the outbox to the store in a thread of its own; at the end, waits a little for what is left."""
    stop = threading.Event()
    thread = threading.Thread(target=_deliver, args=(environment, stop), name="delivery", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(LAST_DELIVERY_S)


def _deliver(environment: Environment, stop: threading.Event) -> None:
    while True:
        try:
            with (
                closing(Outbox(environment.state.outbox)) as outbox,
                closing(open_store(environment.influxdb, environment.state)) as store,
            ):
                _deliver_until(stop, Delivery(outbox, store))
        except Exception:
            # Whatever it is, polling goes on and nothing is lost: the readings wait in the outbox for the next try.
            log.exception("delivery failed; readings stay in the outbox, next attempt in %.0f s", _BEGIN_ANEW_S)
            stop.wait(_BEGIN_ANEW_S)
        if stop.is_set():
            return


def _deliver_until(stop: threading.Event, delivery: Delivery) -> None:
    while not stop.wait(_LINGER_S):
        wait = delivery.step()
        if wait > _LINGER_S:
            stop.wait(min(wait, 1.0) - _LINGER_S)
    while delivery.step() == 0:
        pass


@contextmanager
def _stopped_by_signals(stop: threading.Event, collector: Collector) -> Iterator[None]:
    def end(number: int, frame: FrameType | None) -> None:
        del number, frame
        stop.set()
        collector.wake()

    numbers = (signal.SIGTERM, signal.SIGINT)
    before = {number: signal.signal(number, end) for number in numbers}
    # Whoever started this process may have blocked them.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, numbers)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
