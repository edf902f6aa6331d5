"""Flags that were given once are given again, or the version of the rules is another.

Written anew, once RULE_SET_VERSION was raised, by: python -m air_pipeline_tests.processing.test_corpus
"""

import json
from itertools import groupby
from pathlib import Path
from random import Random

from air_pipeline.processing.columns import RULE_SET_VERSION
from air_pipeline.processing.flags import flag_station
from air_pipeline_tests.processing.rule_examples import EXAMPLES, START
from air_pipeline_tests.processing.test_rule_properties import HOUR, station, troubled

FILE = Path(__file__).with_name("corpus.json")
TROUBLED = 12


def stations():
    for rule, (trips, quiet) in EXAMPLES.items():
        yield f"{rule}, trips", trips.station()
        yield f"{rule}, quiet", quiet.station()
    for seed in range(TROUBLED):
        yield f"troubled {seed}", station(*troubled(Random(seed)), START, START + 9 * HOUR, 10_000)


def flags():
    """Case to series to runs of [flag, rules, how many slots]; series alike all along as one."""
    found = {}
    for case, one in stations():
        observed = flag_station(one)
        alike = {}
        for series in observed.series:
            pairs = zip(observed.flags[series].tolist(), observed.rules[series].tolist(), strict=True)
            runs = [[*pair, len(list(same))] for pair, same in groupby(pairs)]
            alike.setdefault(json.dumps(runs), []).append(series)
        found[case] = {" ".join(names): json.loads(runs) for runs, names in alike.items()}
    return found


def test_flags_change_only_together_with_the_version_of_the_rules():
    kept = json.loads(FILE.read_text())
    assert kept["rule_set_version"] == RULE_SET_VERSION, f"the version is another: {__doc__}"
    now = flags()
    changed = [case for case in kept["flags"] if kept["flags"][case] != now.get(case)]
    assert not changed, f"other flags under the same version, of: {', '.join(changed)}"
    assert now.keys() == kept["flags"].keys()


def write():
    kept = json.loads(FILE.read_text()) if FILE.exists() else {"rule_set_version": "", "flags": {}}
    now = flags()
    changed = [case for case, one in now.items() if kept["flags"].get(case, one) != one]
    if changed and kept["rule_set_version"] == RULE_SET_VERSION:
        raise SystemExit("flags have changed and RULE_SET_VERSION has not: raise it first")
    FILE.write_text(json.dumps({"rule_set_version": RULE_SET_VERSION, "flags": now}, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    write()
