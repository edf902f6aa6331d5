"""The rules: what is believed of a value, and what is not. Here are their names, bits and how far they look.

Belongs here: what is known of the rules without a reading. Does not: the rules themselves, by the question that each
asks: of one value (`values`), of a value and those before it (`course`), of what a device's values say of each other
(`agreement`), of what somebody says of them (`marked`). Nothing but the standard library is imported: who only plans
days does not load numpy.
"""

from collections.abc import Mapping
from datetime import timedelta
from types import MappingProxyType

RULE_BITS: Mapping[str, int] = MappingProxyType(
    {
        "unusable_value": 1,
        "sensor_range": 2,
        "expected_range": 4,
        "failure_value": 8,
        "before_first_measurement": 16,
        "gases_off": 32,
        "bmp180_garbage": 64,
        "spike": 128,
        "probe_step": 256,
        "rate": 512,
        "flat_line": 1024,
        "dht22_frozen": 2048,
        "same_document": 4096,
        "thermometers_apart": 8192,
        "pressure_ratio": 16384,
        "gas_ratio": 32768,
        "warming_up": 65536,
        "marked": 131072,
        "same_cycle": 262144,
        "channels_apart": 524288,
    }
)
"""Rule name to the bit that stands for it, as in the metadata of the files. A bit, once given, keeps its rule for ever:
new rules take the next one."""

LONGEST_STEP = timedelta(minutes=90)
"""No two values further apart than this are neighbours, however long the interval is (three of them otherwise)."""

READ_BEFORE = timedelta(hours=3, minutes=10)
"""How far before a slot values matter to its flag: the longest looks back of all stages, added up."""

RESTARTS_BEFORE = timedelta(hours=48) + LONGEST_STEP
"""How far before a slot restarts matter to its flag: the longest warm-up, and what a restart is recognized by."""


def reach() -> tuple[timedelta, timedelta]:
    """How far before and after a day all readings are read to flag it, but for the one slot after it."""
    return READ_BEFORE, timedelta()


def influence() -> tuple[timedelta, timedelta]:
    """How far before and after a day a reading may lie that matters to its flags: of what is not read, a restart."""
    return RESTARTS_BEFORE, timedelta(hours=1)  # a slot is as long as an interval at most
