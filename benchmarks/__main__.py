"""Runs the benchmarks named on the command line, or all of them."""

import argparse

from benchmarks import building, collecting, comparing, days, flagging, reading

BENCHMARKS = {
    "collecting": collecting.main,
    "building": building.main,
    "days": days.main,
    "flagging": flagging.main,
    "comparing": comparing.main,
    "reading": reading.main,
}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="name", help=f"of {', '.join(BENCHMARKS)}")
    names = parser.parse_args().names or list(BENCHMARKS)
    if unknown := [name for name in names if name not in BENCHMARKS]:
        parser.error(f"there is no benchmark {unknown[0]}; there are {', '.join(BENCHMARKS)}")
    for name in names:
        print(f"== {name}")
        BENCHMARKS[name]()
