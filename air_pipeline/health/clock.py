"""The clock of this machine: every slot and every day is told by it."""

import ctypes
import ipaddress
import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

from air_pipeline.health import Finding, check, fine, unknown, warning
from air_pipeline.health.seen import Seen
from air_pipeline.storage.store import StoreError

APART_S = 5.0
"""Two clocks that agree are closer, whatever the network does; slots are as short as one second."""
_STA_UNSYNC = 0x0040  # adjtimex(2)
_STATUS_AT = 5 * ctypes.sizeof(ctypes.c_long)  # after modes (padded), offset, freq, maxerror, esterror
_TIMEX_BYTES = 512  # more than struct timex has anywhere
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


def kernel_synchronized() -> bool | None:
    """Whether the kernel's clock is kept by a service (adjtimex(2), STA_UNSYNC); None if the kernel does not say."""
    if sys.platform != "linux":
        return None
    buffer = ctypes.create_string_buffer(_TIMEX_BYTES)  # modes = 0: only asks
    if ctypes.CDLL(None).adjtimex(buffer) < 0:
        return None
    return not ctypes.c_int.from_buffer(buffer, _STATUS_AT).value & _STA_UNSYNC


def in_container() -> bool:
    """Whether this process shares a kernel that somebody else looks after."""
    if Path("/.dockerenv").exists() or Path("/run/.containerenv").exists() or "container" in os.environ:
        return True
    try:
        return b"container=" in Path("/proc/1/environ").read_bytes()
    except OSError:
        return False


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
