"""What a test needs of its machine: where that is missing, the test is skipped, and fails in CI, which has it all."""

import os
from typing import NoReturn

import pytest


def missing(reason: str) -> NoReturn:
    """Ends a test that lacks a program or a right; the reason says which."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"{reason}; CI has everything that the tests need (.ci/run)")
    pytest.skip(reason)
