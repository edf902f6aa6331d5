"""Runs the benchmarks that are named, or all of them.

The options of `days` and `many` go with one name: python -m benchmarks days --help
"""

import argparse
import sys
from collections.abc import Sequence
from itertools import takewhile

from benchmarks import building, collecting, comparing, days, flagging, many, reading
from benchmarks.machine import machine

SIZED = {"days": days.main, "many": many.main}
"""Those that have sizes, and larger ones with --full."""
BENCHMARKS = {
    "collecting": collecting.main,
    "building": building.main,
    "days": days.main,
    "flagging": flagging.main,
    "comparing": comparing.main,
    "reading": reading.main,
    "many": many.main,
}


def main(arguments: Sequence[str]) -> None:
    """Prints the machine, then each benchmark's lines."""
    named = list(takewhile(lambda argument: not argument.startswith("-"), arguments))
    if len(named) == 1 and named[0] in SIZED:
        _run(named, arguments[1:])
        return
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="name", help=f"of {', '.join(BENCHMARKS)}")
    parser.add_argument("--full", action="store_true", help="also the large sizes, which take long")
    asked = parser.parse_args(list(arguments))
    if unknown := [name for name in asked.names if name not in BENCHMARKS]:
        parser.error(f"there is no benchmark {unknown[0]}; there are {', '.join(BENCHMARKS)}")
    names = asked.names or list(BENCHMARKS)
    _run(names, ["--full"] if asked.full else [])
    if not asked.full and (sized := [name for name in names if name in SIZED]):
        print(f"without the large sizes of {' and '.join(sized)}: --full, or make bench FULL=1, brings them")


def _run(names: Sequence[str], options: Sequence[str]) -> None:
    print(machine(), flush=True)
    for name in names:
        print(f"== {name}", flush=True)
        if name in SIZED:
            SIZED[name](options)
        else:
            BENCHMARKS[name]()


if __name__ == "__main__":
    main(sys.argv[1:])
