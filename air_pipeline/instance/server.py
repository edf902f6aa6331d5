"""Whether the server answers in which Dagster keeps its storage, where that is no files of this machine.

Belongs here: asking whether somebody listens, which takes moments. Does not: the storage itself, whose own attempts to
connect go on for as long as a look may take, and name nobody.

For the underlying Dagster concept, see docs.dagster.io: the Dagster instance.
"""

import os
import socket
from pathlib import Path
from typing import Any

import yaml

CONNECT_WITHIN_S = 4.0


def no_answer(home: Path) -> str:
    """Which server does not answer and why, in words; empty where it does, or `dagster.yaml` names none."""
    address = _address(home)
    if address is None:
        return ""
    host, port = address
    try:
        socket.create_connection((host, port), CONNECT_WITHIN_S).close()
    except OSError as error:
        return f"PostgreSQL at {host}:{port} does not answer ({error.strerror or error})"
    return ""


def _address(home: Path) -> tuple[str, int] | None:
    try:
        said = yaml.safe_load((home / "dagster.yaml").read_text(encoding="utf-8"))["storage"]["postgres"]["postgres_db"]
        return str(_value(said["hostname"])), int(_value(said.get("port", 5432)))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, yaml.YAMLError):
        return None


def _value(said: Any) -> Any:  # noqa: ANN401 -- whatever YAML holds
    """What stands there, or what the variable of the environment says that is named there."""
    return os.environ[said["env"]] if isinstance(said, dict) else said
