"""Words for people that every room needs: a list of names, or of dates, that may be long."""

from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from itertools import pairwise


def some(names: Sequence[str], most: int, of: int | None = None) -> str:
    """The first so many names, and how many more there are; `of` is how many, where only the first are given."""
    number = len(names) if of is None else of
    more = f" and {number - most} more" if number > most else ""
    return ", ".join(names[:most]) + more


def some_days(days: Iterable[date], most: int) -> str:
    """Dates in order, those that follow each other as one: the first so many, and how many days there are more.

    2026-10-01 … 2026-10-31, 2026-11-03 and 4 more
    """
    ordered = sorted(set(days))
    edges = [0, *(n for n, (one, later) in enumerate(pairwise(ordered), 1) if later - one > timedelta(days=1))]
    runs = [ordered[first:last] for first, last in pairwise([*edges, len(ordered)])]
    named = [f"{run[0]} … {run[-1]}" if len(run) > 1 else f"{run[0]}" for run in runs if run]
    return some(named, most, most + sum(map(len, runs[most:])))
