"""The collector as a plain object: at every slot it asks each device once and hands on what became of it.

Belongs here: slots begun, polls in flight, deadlines. Does not: the disk (`recorder`), processes, signals, locks
(`process`). Its thread does nothing but time: whatever takes long is done by workers, and by the recorder.
"""

import hashlib
import heapq
import logging
import math
import queue
import time
from collections.abc import Callable, Collection
from dataclasses import replace
from functools import partial
from itertools import count

from air_pipeline.boottime import until_multiple_of
from air_pipeline.collection.believing import Decision
from air_pipeline.collection.bindings import Bindings
from air_pipeline.collection.clock import Clock, SystemClock
from air_pipeline.collection.exchanges import Exchanges
from air_pipeline.collection.flights import Asking, Finished, InFlight
from air_pipeline.collection.holding import Holding
from air_pipeline.collection.outbox_rows import Row
from air_pipeline.collection.recorder import Recorder
from air_pipeline.collection.schedule import next_slot
from air_pipeline.collection.workers import LOOK_EVERY_S, Workers
from air_pipeline.devices.answers import Answer
from air_pipeline.devices.assemble import make_poll
from air_pipeline.devices.client import exchange_with
from air_pipeline.devices.document import other_identity
from air_pipeline.devices.notes import Said
from air_pipeline.devices.polls import Outcome
from air_pipeline.devices.steps import Steps, take
from air_pipeline.settings import Device, Settings

log = logging.getLogger(__name__)

STEPPED_S = 1.0
"""The wall clock was stepped when it departs this far from the time that goes by: slots are planned anew."""
CLOCK_EVERY_S = 1.0
"""How often at most it is looked whether the clock can be believed: while it cannot, and before slots are begun."""
LONGEST_STEP_S = 1.0
MANY = 16
TOGETHER_S = 0.02
"""Where more than `MANY` answers are awaited, they are taken in together: a wake for each costs as much as its poll."""
QUICK_BYTES = 4096
"""A document up to so long is read at once, in a tenth of a ms; a longer one, which may be hostile, in a thread."""
_DAY_MS = 86_400_000


class Collector:
    """Polls the devices of the settings; for one thread, which calls `step` again and again.

    Args:
        settings: whom to ask; `reconfigure` changes them.
        recorder: where polls go.
        clock: a test's own, or that of the machine.
        ask: makes the GET for a device.
        holding: says which slots may be begun, by what is to be thought of the clock.
    """

    def __init__(
        self,
        settings: Settings,
        recorder: Recorder,
        clock: Clock | None = None,
        ask: Callable[[Device], Asking] = exchange_with,
        holding: Holding | None = None,
    ) -> None:
        self._recorder = recorder
        self._encoded = recorder.polls_came.encoded
        self._clock = clock or SystemClock()
        self._holding = holding or Holding(self._clock)
        self._ask = ask
        self._last = dict(recorder.last_slots)
        self._rejected = dict(recorder.last_rejected)
        self._notes = dict(recorder.notes)
        self.bindings = Bindings(recorder)
        self._asked_for: dict[str, tuple[tuple[str, ...], int]] = {}
        self._devices: dict[str, Device] = {}
        self._flights: dict[str, InFlight] = {}
        self._awaited = 0
        self._deadlines: list[tuple[float, int, InFlight]] = []
        self._numbers = count()
        self._done: queue.SimpleQueue[tuple[InFlight, Finished | None] | None] = queue.SimpleQueue()
        self._rows: list[Row] = []
        self._due: list[tuple[int, str]] = []
        self._drift = self._clock.time() - self._clock.monotonic()
        self._belief = Decision(None)
        self._said = Said()
        self._workers = Workers()
        self._exchanges = Exchanges()
        self.reconfigure(settings)

    def reconfigure(self, settings: Settings) -> None:
        """Goes on with other settings; polls in flight end as they were begun.

        A device that has another id now is still the one that was asked in its last slot.
        """
        self._settings = settings
        former = {device.url: name for name, device in self._devices.items()}
        self._devices = {device.id: device for device in settings.devices}
        for name, device in self._devices.items():
            before = former.get(device.url, "")
            if name not in self._last and (last := self._last.get(before)) is not None:
                self._last[name] = last
                self.bindings.bind(name, self.bindings.of(before))
        self._between = {device.id: device.polled_between for device in settings.devices}
        self._series = {one.id: tuple(parameter.series for parameter in one.parameters) for one in settings.devices}
        self._look_at_clock()
        self._plan()

    def begin_anew(self, names: Collection[str]) -> None:
        """Has devices of the next settings begun with a slot after now: another collector may have the present one."""
        self._remember({name: max(self._now_ms(), self._last.get(name, 0)) for name in names})

    @property
    def asks_others(self) -> bool:
        """Whether a device is still being asked that is none of the settings any more."""
        return not self._flights.keys() <= self._devices.keys()

    @property
    def in_flight(self) -> int:
        """How many devices are being asked."""
        return len(self._flights)

    def step(self, longest_s: float = LONGEST_STEP_S) -> None:
        """Begins what is due, takes in answers, records what is overdue; waits for an event, `longest_s` at most."""
        self._begin_due()
        self._take_in(min(longest_s, until_multiple_of(LONGEST_STEP_S)))
        self._expire()
        self._hand_on()

    def wake(self) -> None:
        """Ends the waiting of a `step`; may be called from a signal handler or another thread."""
        self._done.put(None)

    def poll_now(self) -> list[str]:
        """Begins the present slot of every device that has not begun it, while an answer is still true to it.

        Returns:
            The devices that are left out: their slot is too long ago or was begun already, or they are not polled now.
        """
        now = self._now_ms()
        slots, left_out = {}, []
        for name, device in self._devices.items():
            slot = next_slot(device, now, self._last.get(name))
            since, until = self._between[name]
            if slot <= now and since <= slot < until and self._belief.may_begin(slot) and name not in self._flights:
                slots[name] = slot
            else:
                left_out.append(name)
        self._begin(slots)
        return left_out

    def finish(self, within_s: float = math.inf) -> None:
        """Waits for the polls in flight, each until its deadline, and hands on each as it comes; begins no more.

        After `within_s` those that are left are recorded as they are at their deadline.
        """
        self._due = []
        end = self._clock.monotonic() + within_s
        while self._awaited and (left := end - self._clock.monotonic()) > 0:
            self._take_in(min(left, LONGEST_STEP_S))
            self._expire()
            self._hand_on()
        for flight in self._flights.values():
            self._time_out(flight)
        self._hand_on()

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
        forget_after = self._belief.forget_after
        wrong = [name for name, slot in self._last.items() if slot > forget_after]
        if wrong:
            self._remember(dict.fromkeys(wrong, self._now_ms() - 1))
        return bool(wrong) or held != self._belief.is_holding

    def _begin_due(self) -> None:
        drift = self._clock.time() - self._clock.monotonic()
        stepped = drift - self._drift
        self._drift = drift
        is_due = self._due and self._due[0][0] <= self._now_ms()
        if abs(stepped) > STEPPED_S:
            log.warning("the clock was stepped by %.1f s", stepped)
            self._look_at_clock()
            self._plan()
        elif self._clock.monotonic() >= self._clock_at and (is_due or self._belief.doubt) and self._look_at_clock():
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
                slot += device.interval_ms
            heapq.heapreplace(self._due, (max(slot, due + 1), name))
        self._begin(slots)

    def _remember(self, slots: dict[str, int]) -> None:
        """Keeps the last slots of these devices, for this process and the next."""
        self._recorder.begin(slots)
        self._last.update(slots)

    def _begin(self, slots: dict[str, int]) -> None:
        """Asks each device for its slot, or records that it is still busy with an earlier one."""
        if not slots:
            return
        self._remember(slots)
        together = []
        for name, slot in slots.items():
            device = self._devices[name]
            now = self._clock.monotonic()
            late = max(self._clock.time() - slot / 1000, 0.0)
            if name in self._flights:
                skipped, _ = make_poll(device, slot, Answer(Outcome.SKIPPED, None), round(late * 1000))
                self._rows.append(self._encoded(skipped))
                continue
            exchange = self._ask(device)
            flight = InFlight(device, slot, exchange, late, self._to_say(device, slot), now)
            self._flights[name] = flight
            self._awaited += 1
            heapq.heappush(self._deadlines, (flight.ends(now), next(self._numbers), flight))
            if exchange.needs_thread:
                self._workers.submit(partial(take, self._poll(flight)))
            else:
                together.append(self._poll(flight))
        self._exchanges.submit(together)
        if len(self._deadlines) > 2 * len(self._flights):  # most of them are of polls that were answered long before
            self._deadlines = [entry for entry in self._deadlines if not entry[2].recorded]
            heapq.heapify(self._deadlines)

    def _to_say(self, device: Device, slot: int) -> tuple[str, ...] | None:
        """What a device is asked for, where that is not what was said of it on this UTC day.

        Said again each day, it outlives a store that keeps readings for some weeks only.
        """
        said = self._series[device.id], slot // _DAY_MS
        if self._asked_for.get(device.id) == said:
            return None
        self._asked_for[device.id] = said
        return said[0]

    def _poll(self, flight: InFlight) -> Steps[None]:
        """Beside the others: asks, and brings back a finished poll, whatever happens."""
        is_handed_on = False
        try:
            answer, now = yield from self._answer(flight)
            bring = partial(self._bring, flight, answer, now)
            if flight.exchange.needs_thread or len(answer.body) <= QUICK_BYTES:
                bring()
            else:  # reading it may take long
                self._workers.submit(bring)
            is_handed_on = True
        finally:
            if not is_handed_on:
                self._done.put((flight, None))

    def _answer(self, flight: InFlight) -> Steps[tuple[Answer, float]]:
        """Asks; the answer, and when it was there."""
        try:
            now = self._clock.monotonic()
            if flight.recorded or flight.since_slot_s(now) > flight.device.timeout_s:
                return Answer(Outcome.SKIPPED, None), now  # whatever it said now would not be of its slot
            flight.asked = now
            answer = yield from flight.exchange.steps()
            now = self._clock.monotonic()
            if now >= flight.ends(now):  # also where the machine was suspended meanwhile
                answer = flight.exchange.timed_out()
        except Exception as error:  # noqa: BLE001 - one device's poll, whatever it is, is one failed poll
            flight.say_unusable(error)
            return Answer(Outcome.UNREACHABLE, None), self._clock.monotonic()
        return answer, now

    def _bring(self, flight: InFlight, answer: Answer, now: float) -> None:
        """Makes a poll of an answer, and brings it back."""
        finished = None
        try:
            finished = self._finished(flight, answer, now)
        except Exception as error:  # noqa: BLE001 - as above
            flight.say_unusable(error)
            unusable = replace(answer, outcome=answer.outcome or Outcome.REJECTED)
            finished = self._finished(flight, unusable, self._clock.monotonic())
        finally:
            self._done.put((flight, finished))

    def _finished(self, flight: InFlight, answer: Answer, now: float) -> Finished:
        """The poll of an answer, ready for the disk: nothing that takes longer than a moment is left to do."""
        bound_to = self.bindings.of(flight.device.id)
        duration_ms = round(flight.since_slot_s(now) * 1000)
        poll, document = make_poll(flight.device, flight.slot, answer, duration_ms, bound_to)
        poll = replace(poll, series=flight.series) if flight.series is not None else poll
        if poll.outcome.has_reading and document and self.bindings.is_news(poll.device, document.identity):
            poll = replace(poll, identity=document.identity)
        rejected = notes = None
        if poll.body is not None:  # which is kept once, and again when it differs
            rejected = hashlib.sha256(poll.body.encode()).hexdigest()[:16]
            if self._rejected.get(poll.device) == rejected:
                poll, rejected = replace(poll, body=None), None
        elif document is not None:
            notes = "\n".join(document.notes)
        if document is not None and other_identity(document.rejection):
            notes = document.rejection
        return Finished(self._encoded(poll), rejected, notes, poll.identity)

    def _take_in(self, longest_s: float) -> None:
        """Waits for one event, then takes in every answer that is there."""
        try:
            done = self._done.get(timeout=max(min(longest_s, self._wait_s()), 0.0))
            if self._awaited > MANY:
                time.sleep(max(min(longest_s, TOGETHER_S, self._wait_s()), 0.0))
            while True:
                if done is not None:
                    self._settle(*done)
                done = self._done.get_nowait()
        except queue.Empty:
            pass

    def _wait_s(self) -> float:
        """How long nothing is due, in seconds."""
        wait = math.inf
        if self._workers.backlog():
            self._workers.grow()
            wait = LOOK_EVERY_S
        if self._due:
            wait = min(wait, self._due[0][0] / 1000 - self._clock.time())
        while self._deadlines and self._deadlines[0][2].recorded:
            heapq.heappop(self._deadlines)
        if self._deadlines:
            wait = min(wait, self._deadlines[0][0] - self._clock.monotonic())
        return wait

    def _settle(self, flight: InFlight, finished: Finished | None) -> None:
        """Takes in what a worker brought back, unless its deadline was before."""
        name = flight.device.id
        self._flights.pop(name)
        if flight.recorded:
            return
        if finished is None:  # its thread was ended in the middle of it
            finished = self._finished(flight, Answer(Outcome.UNREACHABLE, None), self._clock.monotonic())
        self._end(flight, finished)
        if finished.rejected is not None:
            self._rejected[name] = finished.rejected
            self._recorder.keep(name, rejected=finished.rejected)
        if finished.notes is not None:
            self._note(name, finished.notes)
        if finished.identity is not None:
            self.bindings.bind(name, finished.identity)

    def _expire(self) -> None:
        """Records the polls whose deadline is past, whatever their threads still do."""
        now = self._clock.monotonic()
        while self._deadlines and self._deadlines[0][0] <= now:
            flight = heapq.heappop(self._deadlines)[2]
            if not flight.recorded and flight.ends(now) > now:  # it was taken up later than it was begun
                heapq.heappush(self._deadlines, (flight.ends(now), next(self._numbers), flight))
            else:
                self._time_out(flight)

    def _time_out(self, flight: InFlight) -> None:
        if not flight.recorded:
            self._end(flight, self._finished(flight, flight.exchange.timed_out(), self._clock.monotonic()))
            flight.exchange.abort()

    def _end(self, flight: InFlight, finished: Finished) -> None:
        flight.recorded = True
        self._awaited -= 1
        self._rows.append(finished.row)

    def _hand_on(self) -> None:
        if self._rows:
            self._recorder.record(self._rows)
            self._rows = []

    def _note(self, device: str, notes: str) -> None:
        """Keeps and says once what a device sends that the settings do not know."""
        if self._notes.get(device, "") != notes:
            self._notes[device] = notes
            self._recorder.keep(device, notes=notes)
            if self._said.is_due(device, notes, self._clock.monotonic()):
                log.info("%s: %s", device, notes or "everything it sends is known again")
