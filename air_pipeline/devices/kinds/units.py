"""A value that comes in another unit than ours: converted where it comes in, and shown as it came."""

from dataclasses import dataclass

from air_pipeline.units import DIGITS, converted, kept_in


@dataclass(frozen=True, slots=True)
class In:
    """A value as it was sent, in a unit that we do not store."""

    sent: object
    unit: str

    def ours(self, number: float) -> float:
        """The number that was sent, in our unit."""
        return round(converted(number, self.unit, kept_in(self.unit)), DIGITS) + 0.0
