"""What things are called where not every name may be: each name once, whatever others there are.

Belongs here: names that do not clash. Does not: which spelling a shape wants (its own module).
"""

from collections.abc import Callable, Collection, Hashable, Iterable, Mapping
from itertools import chain, count
from typing import TypeVar

_Thing = TypeVar("_Thing", bound=Hashable)


def distinct(
    things: Iterable[_Thing],
    spelt: Callable[[_Thing], str],
    numbered: Callable[[_Thing, int], str],
    taken: Collection[str],
    endings: Collection[str] = ("",),
) -> Mapping[_Thing, str]:
    """Each by its name there; one that is taken, with any of its endings, gets a number: 2, 3 and so on.

    Names that differ in capitals alone are taken too: some readers do not tell them apart.
    """
    seen = {one.casefold() for one in taken}
    found = {}
    for thing in things:
        for one in chain([spelt(thing)], (numbered(thing, number) for number in count(2))):
            wanted = {f"{one}{ending}".casefold() for ending in endings}
            if seen.isdisjoint(wanted):
                break
        seen |= wanted
        found[thing] = one
    return found
