"""How often a device is best asked that takes a while to measure again.

Belongs here: from a measuring cycle to an interval as `devices.yaml` has it. Does not: finding out how long a cycle is
(`processing.tally`).
"""

_ROUND_S = (1, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30, 60, 90, 120, 150, 180, 240, 300, 360, 600, 720, 900, 1200, 1800, 3600)
"""Intervals that a person writes, in seconds."""
_NEARLY_A_CYCLE = 0.99
"""Of a cycle: how exactly it is known; who is asked so little too often repeats itself in one of a hundred slots."""


def interval_for(cycle_s: float) -> str:
    """The next round interval for a device that measures every so many seconds; the longest there is where none is."""
    seconds = next((one for one in _ROUND_S if one >= _NEARLY_A_CYCLE * cycle_s), _ROUND_S[-1])
    minutes, rest = divmod(seconds, 60)
    if rest:
        return f"{seconds}s"
    return f"{minutes}m" if minutes % 60 else f"{minutes // 60}h"
