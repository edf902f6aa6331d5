"""Words for people that every room needs: a list of names that may be long."""

from collections.abc import Sequence


def some(names: Sequence[str], most: int, of: int | None = None) -> str:
    """The first so many names, and how many more there are; `of` is how many, where only the first are given."""
    number = len(names) if of is None else of
    more = f" and {number - most} more" if number > most else ""
    return ", ".join(names[:most]) + more
