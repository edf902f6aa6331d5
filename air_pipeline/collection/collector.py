"""The collector as a plain object: at every slot it asks each device once and puts what became of it into the outbox.

Belongs here: slots begun, polls in flight, deadlines, what goes into the outbox. Does not: processes, signals, locks
(`process`), sending to the store (`delivery`).
"""

import hashlib
import heapq
import logging
import math
import queue
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

from air_pipeline.collection.believing import Decision
from air_pipeline.collection.clock import Clock, SystemClock
from air_pipeline.collection.holding import Holding
from air_pipeline.collection.outbox import Outbox, OutboxError
from air_pipeline.collection.schedule import next_slot, slot_at
from air_pipeline.collection.workers import LOOK_EVERY_S, Workers
from air_pipeline.devices.assemble import make_poll
from air_pipeline.devices.client import Answer, Exchange
from air_pipeline.devices.polls import Outcome, Poll
from air_pipeline.settings import ALWAYS, Device, Settings

log = logging.getLogger(__name__)

GATHER_S = 0.1
"""Answers are gathered for so long before they are committed together; the promise is 200 ms."""
RETRY_S = 5.0
"""A disk that is full or gone is tried again so often; meanwhile polls are kept in memory."""
STEPPED_S = 1.0
"""The wall clock was stepped, not slewed, when it departs this far from the monotonic one: slots are planned anew."""
CLOCK_EVERY_S = 1.0
"""How often it is looked whether the clock can be believed."""
LONGEST_STEP_S = 0.5


class Asking(Protocol):
    """One GET that can be ended from outside; `devices.client.Exchange` is one."""

    def run(self) -> Answer:
        """Blocks until there is an answer."""
        ...

    def abort(self) -> None:
        """Makes `run` end soon."""
        ...

    def timed_out(self) -> Answer:
        """What it amounts to at its deadline."""
        ...


@dataclass(slots=True, eq=False)
class _InFlight:
    """A poll that was begun: until its thread is done, its device is asked nothing else."""

    device: Device
    slot: int
    exchange: Asking
    late_s: float  # from the slot to the moment at which it was begun
    begun: float  # monotonic
    asked: float = math.inf  # monotonic; when a thread took it up
    recorded: bool = False

    @property
    def deadline(self) -> float:
        return self.asked + self.device.timeout_s


@dataclass(frozen=True, slots=True)
class _Done:
    """What a thread brings back."""

    flight: _InFlight
    answer: Answer
    at: float  # monotonic


class Collector:
    """Polls the devices of the settings; for one thread, which calls `step` again and again.

    Args:
        settings: whom to ask; `reconfigure` changes them.
        outbox: where polls go.
        clock: a test's own, or that of the machine.
        ask: makes the GET for a URL and a timeout in seconds.
        holding: says which slots may be begun, by what is to be thought of the clock.
    """

    def __init__(
        self,
        settings: Settings,
        outbox: Outbox,
        clock: Clock | None = None,
        ask: Callable[[str, float], Asking] = Exchange,
        holding: Holding | None = None,
    ) -> None:
        self._outbox = outbox
        self._clock = clock or SystemClock()
        self._holding = holding or Holding(self._clock)
        self._ask = ask
        self._last = outbox.last_slots()
        self._rejected = outbox.last_rejected()
        self._notes = outbox.notes()
        self._flights: dict[str, _InFlight] = {}
        self._done: queue.SimpleQueue[_Done | None] = queue.SimpleQueue()
        self._polls: list[Poll] = []
        self._gathered_since = math.inf
        self._drift = self._clock.time() - self._clock.monotonic()
        self._belief = Decision(None)
        self._workers = Workers(limit=1)
        self.reconfigure(settings)

    def reconfigure(self, settings: Settings) -> None:
        """Goes on with other settings; polls in flight end as they were begun."""
        self._settings = settings
        self._devices = {device.id: device for device in settings.devices}
        self._between = {device.id: device.polled_between for device in settings.devices}
        self._workers.limit = len(self._devices)
        self._look_at_clock()
        self._plan()

    @property
    def in_flight(self) -> int:
        """How many devices are being asked."""
        return len(self._flights)

    def step(self, longest_s: float = LONGEST_STEP_S) -> None:
        """Begins what is due, takes in answers, records what is overdue; waits for an event, `longest_s` at most."""
        self._begin_due()
        self._take_in(longest_s)
        self._expire()
        if self._polls and self._clock.monotonic() - self._gathered_since >= GATHER_S:
            self.flush()

    def wake(self) -> None:
        """Ends the waiting of a `step`; may be called from a signal handler or another thread."""
        self._done.put(None)

    def poll_now(self, devices: Iterable[str] | None = None) -> None:
        """Begins the present slot of every device (or these) that has not begun it, however long ago it was due."""
        now = self._now_ms()
        slots = {}
        for name in self._devices if devices is None else devices:
            slot = slot_at(now, self._devices[name].interval_ms)
            is_new = slot > self._last.get(name, ALWAYS) and self._belief.may_begin(slot)
            if is_new and name not in self._flights:
                slots[name] = slot
        self._begin(slots)

    def finish(self) -> None:
        """Waits for the polls in flight, each until its deadline at most, and commits them; begins no more."""
        while any(not flight.recorded for flight in self._flights.values()):
            self._take_in(LONGEST_STEP_S)
            self._expire()
        self.flush()

    def flush(self) -> None:
        """Commits what was gathered."""
        try:
            self._outbox.add(self._polls)
        except OutboxError as error:
            log.error("%d polls wait in memory: %s", len(self._polls), error)
            self._gathered_since = self._clock.monotonic() + RETRY_S
            return
        for device in {poll.device for poll in self._polls if poll.body is not None}:
            self._outbox.remember(device, rejected=self._rejected[device])
        self._polls = []
        self._gathered_since = math.inf

    def _now_ms(self) -> int:
        return math.floor(self._clock.time() * 1000)

    def _plan(self) -> None:
        """Sets down when each device is due next, from the present time."""
        now = self._now_ms()
        self._due = [(next_slot(d, now, self._last.get(d.id)), d.id) for d in self._devices.values()]
        heapq.heapify(self._due)

    def _look_at_clock(self) -> bool:
        """Looks what is to be thought of the clock; whether slots are to be planned anew."""
        held = self._belief.is_holding
        self._belief = self._holding.look(self._settings, self._last)
        self._clock_at = self._clock.monotonic() + CLOCK_EVERY_S
        wrong = [name for name, slot in self._last.items() if slot > self._belief.forget_after]
        if wrong:
            self._remember(dict.fromkeys(wrong, self._now_ms() - 1))
        return bool(wrong) or held != self._belief.is_holding

    def _begin_due(self) -> None:
        drift = self._clock.time() - self._clock.monotonic()
        stepped = drift - self._drift
        self._drift = drift
        if abs(stepped) > STEPPED_S:
            log.warning("the clock was stepped by %.1f s", stepped)
            self._look_at_clock()
            self._plan()
        elif self._clock.monotonic() >= self._clock_at and self._look_at_clock():
            self._plan()
        now = self._now_ms()
        slots = {}
        while self._due and self._due[0][0] <= now:
            due, name = self._due[0]
            device = self._devices[name]
            slot = next_slot(device, now, self._last.get(name))
            if slot <= now:
                since, until = self._between[name]
                if since <= slot < until and self._belief.may_begin(slot):
                    slots[name] = slot
                    self._last[name] = slot
                slot += device.interval_ms
            heapq.heapreplace(self._due, (max(slot, due + 1), name))
        self._begin(slots)

    def _remember(self, slots: dict[str, int]) -> None:
        """Keeps the last slots of these devices, for this process and the next."""
        try:
            self._outbox.begin(slots)
        except OutboxError as error:
            log.error("going on without a memory of slots: %s", error)
        self._last.update(slots)

    def _begin(self, slots: dict[str, int]) -> None:
        """Asks each device for its slot, or records that it is still busy with an earlier one."""
        if not slots:
            return
        self._remember(slots)
        for name, slot in slots.items():
            device = self._devices[name]
            late = max(self._clock.time() - slot / 1000, 0.0)
            if name in self._flights:
                self._record(make_poll(device, slot, Answer(Outcome.SKIPPED, None), round(late * 1000))[0])
                continue
            exchange = self._ask(device.url, device.timeout_s)
            flight = _InFlight(device, slot, exchange, late, self._clock.monotonic())
            self._flights[name] = flight
            self._workers.submit(partial(self._poll, flight))

    def _poll(self, flight: _InFlight) -> None:
        """In a worker's thread: asks, and brings back the answer."""
        flight.asked = self._clock.monotonic()
        answer = flight.exchange.run()
        self._done.put(_Done(flight, answer, self._clock.monotonic()))

    def _take_in(self, longest_s: float) -> None:
        """Waits for one event, then takes in every answer that is there."""
        try:
            done = self._done.get(timeout=max(min(longest_s, self._wait_s()), 0.0))
            while True:
                if done is not None:
                    self._settle(done)
                done = self._done.get_nowait()
        except queue.Empty:
            pass

    def _wait_s(self) -> float:
        """How long nothing is due, in seconds."""
        if self._workers.backlog():
            self._workers.grow()
            return LOOK_EVERY_S
        now = self._clock.monotonic()
        waits = [flight.deadline - now for flight in self._flights.values() if not flight.recorded]
        if self._due:
            waits.append((self._due[0][0] - self._clock.time() * 1000) / 1000)
        if self._polls:
            waits.append(self._gathered_since + GATHER_S - now)
        return min(waits, default=math.inf)

    def _settle(self, done: _Done) -> None:
        flight = done.flight
        self._flights.pop(flight.device.id)
        if flight.recorded:
            return
        duration = round((flight.late_s + done.at - flight.begun) * 1000)
        poll, document = make_poll(flight.device, flight.slot, done.answer, duration)
        self._record(self._without_repetition(poll))
        if document is not None and not document.rejection:
            self._note(flight.device.id, "\n".join(document.notes))

    def _expire(self) -> None:
        """Records the polls whose deadline is past, whatever their threads still do."""
        now = self._clock.monotonic()
        for flight in self._flights.values():
            if not flight.recorded and now >= flight.deadline:
                flight.recorded = True
                duration = round((flight.late_s + now - flight.begun) * 1000)
                self._record(make_poll(flight.device, flight.slot, flight.exchange.timed_out(), duration)[0])
                flight.exchange.abort()

    def _record(self, poll: Poll) -> None:
        if not self._polls:
            self._gathered_since = self._clock.monotonic()
        self._polls.append(poll)

    def _without_repetition(self, poll: Poll) -> Poll:
        """The poll, with its rejected document only if that differs from the last one that was rejected."""
        if poll.body is None:
            return poll
        digest = hashlib.sha256(poll.body.encode()).hexdigest()[:16]
        if self._rejected.get(poll.device) == digest:
            return replace(poll, body=None)
        self._rejected[poll.device] = digest
        return poll

    def _note(self, device: str, notes: str) -> None:
        """Keeps and says once what a device sends that the settings do not know."""
        if self._notes.get(device, "") != notes:
            self._notes[device] = notes
            self._outbox.remember(device, notes=notes)
            log.info("%s: %s", device, notes or "everything it sends is known again")
