"""Which device each history is of: by what it said of itself last, so that no other one goes on with it.

Belongs here: what is known of that, kept through restarts, and taken from the store where the state directory is new.
Does not: what becomes of an answer of another one (`devices.document`).
"""

import logging
import threading
from collections.abc import Collection, Mapping
from contextlib import closing

from air_pipeline.collection.recorder import Recorder
from air_pipeline.devices.document import may_say_who, same_identity
from air_pipeline.environment import Environment
from air_pipeline.settings import Device
from air_pipeline.storage.opening import open_store
from air_pipeline.storage.store import StoreError

log = logging.getLogger(__name__)

RECALL_WITHIN_S = 10.0
"""So long the store may take; who has answered by then is bound to what it said itself."""


class Bindings:
    """Device to its identity; for several threads."""

    def __init__(self, recorder: Recorder) -> None:
        """Begins with what was kept."""
        self._recorder = recorder
        self._known = dict(recorder.identities)

    def of(self, device: str) -> str:
        """To what a device is bound; empty where that is not known yet."""
        return self._known.get(device, "")

    def is_news(self, device: str, identity: str) -> bool:
        """Whether a document says something else than what is known."""
        return bool(identity) and not same_identity(identity, self.of(device))

    def bind(self, device: str, identity: str) -> None:
        """Keeps which device it is; another one is rejected from now on."""
        if identity:
            self._known[device] = identity
            self._recorder.keep(device, identity=identity)

    def unknown(self, devices: Collection[Device]) -> frozenset[str]:
        """Those that may say which one they are, and were never asked from here: a store may know it."""
        asked = self._recorder.last_slots.keys() | self._known.keys()
        return frozenset(device.id for device in devices if may_say_who(device) and device.id not in asked)

    def recall(self, environment: Environment, devices: Collection[Device]) -> None:
        """Asks the store of which devices it has readings, in a thread of its own: no slot waits for it."""
        if unknown := self.unknown(devices):
            threading.Thread(target=self._recall, args=(environment, unknown), name="recall", daemon=True).start()

    def _recall(self, environment: Environment, unknown: frozenset[str]) -> None:
        try:
            with closing(open_store(environment.influxdb, environment.state, RECALL_WITHIN_S)) as store:
                self.take(store.identities(), unknown)
        except StoreError as error:
            log.warning("of which devices there are readings is not known, whichever answers is taken in: %s", error)

    def take(self, identities: Mapping[str, str], unknown: frozenset[str]) -> None:
        """Takes over what a store says, but of those that have said it themselves meanwhile."""
        for name in unknown & identities.keys() - self._known.keys():
            self.bind(name, identities[name])
