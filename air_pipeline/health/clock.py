"""The clock of this machine: every slot and every day is told by it."""

import ipaddress
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

from air_pipeline.collection.believing import Doubt
from air_pipeline.collection.clock import SystemClock, kernel_synchronized
from air_pipeline.collection.holding import REMEDY, contradiction, read_doubt
from air_pipeline.health import Finding, check, failure, fine, unknown, warning
from air_pipeline.health.seen import Seen
from air_pipeline.storage.store import StoreError

APART_S = 5.0
"""Two clocks that agree are closer, whatever the network does; slots are as short as one second."""
_LOOKED_WITHIN_S = 30.0
"""A collector that runs has looked at the clock, and said so, by then."""
_REMEDY = "let a service keep it: sudo timedatectl set-ntp true (or install chrony)"


@check(means="A service keeps the clock of this machine.", remedy=_REMEDY, title="clock")
def clock_kept(_seen: Seen) -> Iterator[Finding]:
    """Whether the kernel says that a service keeps the clock."""
    yield of_clock(kernel_synchronized(), in_container=in_container())


def of_clock(synchronized: bool | None, *, in_container: bool) -> Finding:  # noqa: FBT001 -- as the kernel says
    """What the kernel's word is worth.

    Args:
        synchronized: what the kernel says; None if it cannot be asked.
        in_container: whether another system keeps the clock, which may do so without telling the kernel.
    """
    if synchronized:
        return fine("synchronized")
    if synchronized is None or in_container:
        where = "in a container" if in_container else "on this system"
        text = f"whether it is synchronized cannot be told {where}"
        return unknown(text, "see on the host: timedatectl" if in_container else "")
    return warning("no service keeps it synchronized, so slots drift away from true time")


def in_container() -> bool:
    """Whether this process shares a kernel that somebody else looks after."""
    if Path("/.dockerenv").exists() or Path("/run/.containerenv").exists() or "container" in os.environ:
        return True
    try:
        return b"container=" in Path("/proc/1/environ").read_bytes()
    except OSError:
        return False


@check(
    asset="raw_readings",
    means="Nothing that was collected contradicts the clock, or the kernel says that it is kept.",
    remedy=f"{REMEDY[0].upper()}{REMEDY[1:]}.",
    title="clock",
    bad="the clock may be wrong",
    good="the clock is believed again",
)
def clock_believed(seen: Seen) -> Iterator[Finding]:
    """Whether the collector believes the clock; while it does not, whether slots are held."""
    clock = SystemClock()
    yield of_doubt(read_doubt(seen.environment.state), clock.boot(), clock.monotonic())


def of_doubt(doubt: Doubt | None, boot: str, running_s: float) -> Finding:
    """What is to be said of a collector's doubt, so many seconds after boot."""
    if doubt is None:
        return fine("nothing contradicts it", numbers={"slots_held": 0})
    if doubt.is_over:
        text = f"{contradiction(doubt, doubt.since_s)}; slots have followed it all the same"
        return failure(text, numbers={"slots_held": 0})
    if doubt.boot != boot or running_s > doubt.until_s + _LOOKED_WITHIN_S:  # its collector is gone
        return fine("nothing has contradicted it since a collector ended", numbers={"slots_held": 0})
    since, left = running_s - doubt.since_s, max(doubt.until_s - running_s, 0.0)
    held = f"no slot has been begun for {since:.0f} s, nor will be for {left:.0f} s at most"
    return warning(f"{contradiction(doubt, running_s)}; {held}", numbers={"slots_held": 1})


@check(
    means="The clock of a store on another machine agrees with this one.",
    remedy="see with timedatectl on both which one is wrong",
    title="clock",
)
def clocks_agree(seen: Seen) -> Iterator[Finding]:
    """Whether the clock of a server on another machine agrees; nothing is said of one on this machine."""
    with suppress(StoreError):  # said by the look at the store
        if seen.influxdb and seen.environment.influxdb:
            yield from of_other_clock(seen.environment.influxdb.url, seen.influxdb.ahead_s)


def of_other_clock(url: str, ahead_s: float | None) -> Iterator[Finding]:
    """What is to be said of the clock of the server at a URL, which is so much ahead of this machine's."""
    if ahead_s is not None and not _is_here(url) and abs(ahead_s) > APART_S:
        yield warning(
            f"the clock at {url} is {abs(ahead_s):.0f} s {'ahead of' if ahead_s > 0 else 'behind'} this machine's"
        )


def _is_here(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
