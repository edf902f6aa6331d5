"""What a collector that Dagster keeps writes into its log is bounded while it runs, whoever says it."""

import subprocess
import sys
from pathlib import Path

_MUCH = """
import logging, os, sys
from pathlib import Path
from air_pipeline.collection import log

handler = log.Rotating(Path(sys.argv[1]), 20_000)
handler.setFormatter(log.Formatter("%(levelname)s %(message)s"))
logging.basicConfig(level=logging.INFO, handlers=[handler])
for number in range(2_000):
    logging.info("line %d %s", number, "x" * 80)
    print("a stray line of a library", number, file=sys.stderr, flush=True)
os.write(1, b"the end of it\\n")
"""


_ONE_LINE = """
import sys
from pathlib import Path
from air_pipeline.collection.log import Rotating

Rotating(Path(sys.argv[1]))
print("after")
"""


def test_a_log_is_rotated_while_its_process_runs_and_stray_lines_are_in_it_too(tmp_path: Path) -> None:
    log = tmp_path / "collector.log"
    done = subprocess.run([sys.executable, "-c", _MUCH, log], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["collector.log", "collector.log.1"]
    assert all(path.stat().st_size < 21_000 for path in tmp_path.iterdir())
    said = (tmp_path / "collector.log.1").read_text() + log.read_text()
    assert said.endswith("a stray line of a library 1999\nthe end of it\n")
    assert "INFO line 1999 x" in said


def test_what_is_in_it_already_stays(tmp_path: Path) -> None:
    log = tmp_path / "collector.log"
    log.write_text("before\n")
    subprocess.run([sys.executable, "-c", _ONE_LINE, log], check=True)
    assert log.read_text() == "before\nafter\n"
