"""Words for people that every room needs: a list of names that may be long."""

from collections.abc import Sequence


def some(names: Sequence[str], most: int) -> str:
    """The first so many names, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
