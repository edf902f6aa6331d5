"""A GET as devices are asked, of any address."""

from air_pipeline.devices.answers import Answer
from air_pipeline.devices.client import Exchange, within
from air_pipeline.settings import NO_ACCESS, Access


def get(url: str, timeout_s: float, access: Access = NO_ACCESS) -> Answer:
    """One GET that never takes longer than `timeout_s` seconds, whatever hangs."""
    return within(Exchange(url, timeout_s, access), timeout_s)
