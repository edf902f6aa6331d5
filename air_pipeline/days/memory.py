"""The memory of a process that builds days, which wants much of it for a moment, device after device.

Belongs here: that what was freed is given back. Does not: how much is in memory at a time (`ahead`, `building`).
"""

import pyarrow as pa


def give_back() -> None:
    """Gives the system what this process has freed; what Arrow takes from now on can be given back as well.

    Arrow's own pool keeps some 80 MB of a day at 1 Hz to itself, which then are beside those that numpy takes.
    """
    pa.set_memory_pool(pa.system_memory_pool())
    pa.default_memory_pool().release_unused()  # malloc_trim(3), for whoever has freed it
