"""A value that comes with its unit: converted where it comes in, and shown as it came."""

from dataclasses import dataclass

from air_pipeline.units import DIGITS, can_convert, contradicts, converted, spelt


@dataclass(frozen=True, slots=True)
class In:
    """A value as it was sent, in the unit that it was sent in."""

    sent: object
    unit: str

    def can_be(self, unit: str) -> bool:
        """Whether it can be said in another unit."""
        return can_convert(self.unit, unit)

    def contradicts(self, unit: str) -> bool:
        """Whether it may not be taken for a value in another unit; see `units.contradicts`."""
        return contradicts(self.unit, unit)

    def ours(self, number: float, unit: str) -> float:
        """The number that was sent in another unit; as it is where that cannot be said, or is but spelt otherwise."""
        if spelt(self.unit) == unit or not can_convert(self.unit, unit):
            return number
        return round(converted(number, self.unit, unit), DIGITS) + 0.0
