"""What a test needs of the machine and of who runs it; without, it is skipped (in CI: fails)."""

import os
from typing import NoReturn

import pytest


def go_without(reason: str) -> NoReturn:
    """Ends the test that cannot be made here."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"{reason}; CI has everything that the tests need (.ci/run)")
    pytest.skip(reason)


def need_root(why: str) -> None:
    """Ends the test unless this process is root's."""
    if os.geteuid() != 0:
        go_without(why)
