"""What the figures were measured on, and how busy it was.

Belongs here: the machine, its versions and its load in words. Does not: what is measured.
"""

import os
import platform
from importlib.metadata import version
from pathlib import Path

import psutil

LIBRARIES = ("dagster", "pandas", "pyarrow")


def machine() -> str:
    """Processor, cores, memory, kernel, Python, libraries and load, in one line."""
    versions = ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
    return (
        f"{_processor()}, {os.cpu_count()} cores, {psutil.virtual_memory().total / 2**30:.0f} GiB,"
        f" {platform.system()} {platform.release()}, Python {platform.python_version()}, {versions}; {load()}"
    )


def load() -> str:
    """The processes that ran or waited to run, in the mean of the last minute."""
    return f"load {os.getloadavg()[0]:.1f}"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())
