"""How often it is said what a device sends and nobody asked for.

Belongs here: what was said of each device, and when. Does not: the notes themselves (`document`), and where they are
kept (`collection`).
"""

SAY_EVERY_S = 3600.0
"""A device that sends other names each time is heard once in so long; 20 notes have 2 KiB at most."""


class Said:
    """What was said of each device last."""

    def __init__(self) -> None:
        self._last: dict[str, tuple[str, float]] = {}

    def is_due(self, device: str, text: str, now_s: float) -> bool:
        """Whether a text is to be said now; it then counts as said.

        Args:
            device: of whom.
            text: the notes; empty where there are none (any more).
            now_s: the time in seconds, on a clock that is never set.
        """
        said, at = self._last.get(device, ("", -SAY_EVERY_S + now_s))
        if text == said or now_s - at < SAY_EVERY_S:
            return False
        self._last[device] = (text, now_s)
        return True
