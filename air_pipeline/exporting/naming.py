"""What series are called where not every name may be: each name once, whatever others there are.

Belongs here: names that do not clash. Does not: which spelling a shape wants (its own module).
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from itertools import chain, count


def distinct(
    names: Iterable[str],
    spelt: Callable[[str], str],
    numbered: Callable[[str, int], str],
    taken: Collection[str],
    endings: Collection[str] = ("",),
) -> Mapping[str, str]:
    """Each name as it is spelt there; one that is taken, with any of its endings, gets a number: 2, 3 and so on.

    Names that differ in capitals alone are taken too: some readers do not tell them apart.
    """
    seen = {one.casefold() for one in taken}
    found = {}
    for name in names:
        plain = spelt(name)
        for one in chain([plain], (numbered(plain, number) for number in count(2))):
            wanted = {f"{one}{ending}".casefold() for ending in endings}
            if seen.isdisjoint(wanted):
                break
        seen |= wanted
        found[name] = one
    return found
