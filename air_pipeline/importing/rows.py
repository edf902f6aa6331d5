"""Rows of a source, and what of it was not understood: what every reader of a source gives.

Belongs here: these two types. Does not: reading (`tables`, `bucket`, `home_assistant`), slots (`aligning`).
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from air_pipeline.errors import AirPipelineError

Instants = npt.NDArray[np.int64]
Numbers = npt.NDArray[np.float64]

_MOST_EXAMPLES = 3


class ImportFailed(AirPipelineError):
    """A history cannot be imported, or an import not taken back; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of one device, in any order.

    Attributes:
        times: when each was measured, ms UTC.
        series: each with its values; NaN: none.
        spoilt: series to the instants at which it had a text that is no number, with that text.
    """

    times: Instants
    series: Mapping[str, Numbers]
    spoilt: Mapping[str, Mapping[int, str]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.times)

    @classmethod
    def joined(cls, parts: Iterable["Rows"]) -> "Rows":
        """Those of several, one after the other; a series that one has not has no value there."""
        every = list(parts)
        series = dict.fromkeys(name for part in every for name in part.series)
        spoilt: dict[str, dict[int, str]] = {}
        for part in every:
            for name, texts in part.spoilt.items():
                known = spoilt.setdefault(name, {})
                for at, text in texts.items():
                    known[at] = max(text, known.get(at, text))  # whatever their order
        empty = np.empty(0, np.int64)
        return cls(
            np.concatenate([empty, *(part.times for part in every)]),
            {
                name: np.concatenate([part.series.get(name, np.full(len(part), np.nan)) for part in every])
                for name in series
            },
            spoilt,
        )

    def with_something(self) -> "Rows":
        """Those that have a value, or a text in its place."""
        something = np.zeros(len(self), dtype=bool)
        for values in self.series.values():
            something |= ~np.isnan(values)
        for texts in self.spoilt.values():
            something |= np.isin(self.times, np.array(list(texts), np.int64))
        return self if something.all() else self.at(something)

    def at(self, places: npt.NDArray[np.bool_]) -> "Rows":
        """Some of them."""
        return Rows(self.times[places], {name: values[places] for name, values in self.series.items()}, self.spoilt)


@dataclass(slots=True)
class Notes:
    """What of a source does not come, and why: kinds of mishaps, each with how often and a few examples.

    Attributes:
        rows: how many rows the source has.
        counts: in words, what became of rows or cells, to how many.
        examples: the same words to a few places.
    """

    rows: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[str]] = field(default_factory=dict)

    def add(self, what: str, count: int, examples: Iterable[str] = ()) -> None:
        """Counts something; nothing where there is none."""
        if not count:
            return
        self.counts[what] += count
        known = self.examples.setdefault(what, [])
        for example in examples:
            if len(known) >= _MOST_EXAMPLES:
                break
            known.append(example)

    def sentences(self) -> list[str]:
        """One line a kind."""
        lines = []
        for what, count in self.counts.items():
            named = self.examples.get(what)
            more = f": {', '.join(named)}{' …' if count > len(named) else ''}" if named else ""
            lines.append(f"{count} {what}{more}")
        return lines
