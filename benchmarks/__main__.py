"""Runs the benchmarks named on the command line, or all of them."""

import sys

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
    for name in sys.argv[1:] or BENCHMARKS:
        print(f"== {name}")
        BENCHMARKS[name]()
