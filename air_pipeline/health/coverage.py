"""How much of what was expected is enough, and what is said where it is less."""

A_QUARTER = 1 / 4
"""Of a day's slots: what is left of a series is then no longer complete (75 %, EU directive 2008/50/EC, annex VII). The
sun, or a heater in the evening, parts thermometers for less."""


def shortfall(coverage: float | None, complete_hours: int, hour_count: int) -> str:
    """Why a series is not complete: too little of what was expected is there, or too few hours have enough of it."""
    if coverage is None:
        return "not expected"
    if coverage < 1 - A_QUARTER:
        return f"coverage {coverage:.0%}"
    return f"{complete_hours} of {hour_count} hours complete"
