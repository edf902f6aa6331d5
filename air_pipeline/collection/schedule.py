"""When devices are due: slots on the UTC clock. Pure functions of times and settings."""

from air_pipeline.settings import Device


def slot_at(now_ms: int, interval_ms: int) -> int:
    """The slot that holds at a time: the last multiple of the interval up to it."""
    return now_ms - now_ms % interval_ms


def next_slot(device: Device, now_ms: int, last: int | None) -> int:
    """The slot in which a device is due next: the present one if not begun yet, while an answer is still true to it.

    Args:
        device: the device.
        now_ms: the time, in ms UTC.
        last: the last slot that was begun, if any, however far ahead: each slot is begun once.
    """
    slot = slot_at(now_ms, device.interval_ms)
    if now_ms - slot > device.timeout_s * 1000:
        slot += device.interval_ms
    if last is not None and slot <= last:
        slot = slot_at(last, device.interval_ms) + device.interval_ms
    return slot
