"""The clock of this machine: every slot and every day is told by it."""

import ctypes
import ipaddress
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from air_pipeline.diagnosis import Finding, Level

APART_S = 5.0
"""Two clocks that agree are closer, whatever the network does; slots are as short as one second."""
_STA_UNSYNC = 0x0040  # adjtimex(2)
_STATUS_AT = 5 * ctypes.sizeof(ctypes.c_long)  # after modes (padded), offset, freq, maxerror, esterror
_TIMEX_BYTES = 512  # more than struct timex has anywhere
_REMEDY = "let a service keep it: sudo timedatectl set-ntp true (or install chrony)"


def look_at_clock() -> Iterator[Finding]:
    """Whether the kernel says that a service keeps the clock."""
    yield judge_clock(kernel_synchronized(), in_container=in_container())


def judge_clock(synchronized: bool | None, *, in_container: bool) -> Finding:  # noqa: FBT001 -- as the kernel says
    """What the kernel's word is worth.

    Args:
        synchronized: what the kernel says; None if it cannot be asked.
        in_container: whether another system keeps the clock, which may do so without telling the kernel.
    """
    if synchronized:
        return Finding("clock", Level.OK, "synchronized")
    if synchronized is None or in_container:
        where = "in a container" if in_container else "on this system"
        text = f"whether it is synchronized cannot be told {where}"
        return Finding("clock", Level.UNKNOWN, text, "see on the host: timedatectl" if in_container else "")
    return Finding(
        "clock", Level.WARNING, "no service keeps it synchronized, so slots drift away from true time", _REMEDY
    )


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


def look_at_servers_clock(url: str, ahead_s: float | None) -> Iterator[Finding]:
    """Whether the clock of a server on another machine agrees; nothing is said of one on this machine."""
    if ahead_s is not None and not _is_here(url) and abs(ahead_s) > APART_S:
        text = f"the clock at {url} is {abs(ahead_s):.0f} s {'ahead of' if ahead_s > 0 else 'behind'} this machine's"
        yield Finding("clock", Level.WARNING, text, "see with timedatectl on both which one is wrong")


def _is_here(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
