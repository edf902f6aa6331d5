"""Breaks the code that judges and counts in every small way that mutmut knows, and says what no test noticed.

`make mutants` tries all of them and writes the table of docs/testing.md. With patterns of mutants, such as
`air_pipeline.processing.flags.*`, it tries those again, by the tests as they are now, and only says what is left.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import chdir
from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import fnmatch
from pathlib import Path
from tomllib import loads

import yaml
from mutmut.mutation.diff_apply import get_diff_for_mutant
from mutmut.stats import status_by_exit_code

from air_pipeline_tests.mutating.undecorated import undecorated

ROOT = Path(__file__).parents[2]
COPY = ROOT / "mutants"
PAGE = ROOT / "docs" / "testing.md"
EQUIVALENT = Path(__file__).with_name("equivalent.yaml")
NOTICED = frozenset({"killed", "timeout"})


@dataclass(frozen=True)
class Mutant:
    """One change of one function, and what became of it.

    Attributes:
        name: mutmut's.
        path: the file, from the root.
        status: `killed` where a test failed, `survived` where none did; mutmut knows some more.
    """

    name: str
    path: str
    status: str

    @property
    def change(self) -> str:
        """The lines that are gone, and what they became."""
        lines = get_diff_for_mutant(self.name, path=self.path).splitlines()[2:]
        return "\n".join(re.sub(r"^([-+])\s*", r"\1 ", line) for line in lines if line.startswith(("-", "+")))


def copied(patterns: list[str]) -> None:
    """Brings the copy up to the tree: what has not changed stays, and with it what is known of its mutants."""
    files = [path for package in ("air_pipeline", "air_pipeline_tests") for path in (ROOT / package).rglob("*")]
    for path in [ROOT / "pyproject.toml", *(one for one in files if one.is_file() and "__pycache__" not in one.parts)]:
        name = path.relative_to(ROOT)
        content = path.read_bytes()
        if any(fnmatch(str(name), pattern) for pattern in patterns):
            content = undecorated(content.decode()).encode()
        if path.name.startswith("test_"):
            content = re.sub(rb"max_examples=\d+", fewer_examples, content)
        copy = COPY / name
        if not copy.exists() or copy.read_bytes() != content:
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(content)


def fewer_examples(found: re.Match[bytes]) -> bytes:
    """A third of them: a mutant that none of these notices is seldom noticed by the others."""
    name, count = found[0].split(b"=")
    return b"%s=%d" % (name, max(int(count) // 3, 5))


def mutants() -> Iterator[Mutant]:
    """All that are known, by file."""
    for meta in sorted((COPY / "mutants").rglob("*.meta")):
        path = str(meta.relative_to(COPY / "mutants")).removesuffix(".meta")
        for name, code in json.loads(meta.read_text(encoding="utf-8"))["exit_code_by_key"].items():
            yield Mutant(name, path, status_by_exit_code[code])


def equivalent() -> set[tuple[str, str]]:
    """File and change of those that are known to make no difference."""
    kept = yaml.safe_load(EQUIVALENT.read_text(encoding="utf-8"))
    return {(one["in"], change.strip()) for one in kept for change in one["changes"]}


def table(found: list[Mutant], explained: set[Mutant]) -> str:
    """How many there are of each file, and what became of them."""

    def row(title: str, of: list[Mutant]) -> str:
        tried = [one for one in of if one.status != "not checked"]
        noticed = sum(one.status in NOTICED for one in tried)
        same = sum(one in explained for one in tried)
        score = f"{100 * noticed / (len(tried) - same):.1f} %" if len(tried) > same else "–"
        return f"| {title} | {len(of)} | {len(tried)} | {noticed} | {same} | {len(tried) - noticed - same} | {score} |"

    rows = [
        row(f"`{path}`", [one for one in found if one.path == path]) for path in sorted({one.path for one in found})
    ]
    head = ["| module | mutants | tried | noticed | explained | left | score |", "|---|---|---|---|---|---|---|"]
    return "\n".join([*head, *rows, row("all", found)])


def main(patterns: list[str]) -> None:
    """Tries mutants and says what is left; all of them without patterns."""
    if not patterns:
        shutil.rmtree(COPY, ignore_errors=True)
    copied(loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["mutmut"]["only_mutate"])
    command = [Path(sys.executable).with_name("mutmut"), "run", *patterns]
    tried = subprocess.run(command, cwd=COPY, env={**os.environ, "CI": "true"}, check=False)
    if tried.returncode:
        sys.exit(tried.returncode)
    found, known = list(mutants()), equivalent()
    with chdir(COPY):
        survivors = {one: one.change for one in found if one.status not in {*NOTICED, "not checked"}}
    explained = {one for one, change in survivors.items() if (one.path, change) in known}
    for one, change in survivors.items():
        if one not in explained:
            print(f"\n{one.status}: {one.name}\n{change}")  # noqa: T201 - what this command is for
    said = table(found, explained)
    print(f"\n{said}")  # noqa: T201
    if not patterns:
        text = PAGE.read_text(encoding="utf-8")
        new = f"<!-- mutants -->\n\nTried on {datetime.now(UTC):%Y-%m-%d}.\n\n{said}\n\n<!-- end -->"
        PAGE.write_text(re.sub(r"<!-- mutants -->.*<!-- end -->", new, text, flags=re.DOTALL), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
