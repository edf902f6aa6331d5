"""What does not fit a file's schema, in the words of a person.

Belongs here: what every file of settings says alike of keys and values. Does not: what its entries are called, and what
they are to look like (`file`, `marks`).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, cast

from pydantic import ValidationError

from air_pipeline.settings.values import near
from air_pipeline.settings.yaml import Place


def mistakes_of(
    error: ValidationError,
    examples: Mapping[str, str],
    known_keys: Callable[[Place], Sequence[str]],
    of_shape: Callable[[str, Mapping[str, Any]], str],
) -> Iterator[tuple[Place, str]]:
    """The place of each mistake, with what is wrong and what would be right.

    Args:
        error: of pydantic.
        examples: key to a line that is right.
        known_keys: gives the keys that may stand where one stands that is unknown.
        of_shape: says, by pydantic's word and its details, what is wrong with what has another shape.
    """
    for detail in cast("list[dict[str, Any]]", error.errors()):
        place: Place = detail["loc"]
        key = str(place[-1]) if place else ""
        match detail["type"]:
            case "missing":
                yield place[:-1], f"{key} is missing; add {examples.get(key, key + ': …')}"
            case "extra_forbidden":
                known = known_keys(place)
                yield place, f"unknown key{near(key, known, otherwise='; known are: ' + ', '.join(known))}"
            case "value_error":
                yield place, str(detail["ctx"]["error"])
            case kind:
                yield place, of_shape(kind, detail)
