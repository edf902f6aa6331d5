"""The UI alone: Dagster's webserver behind the guard, on the storage that `up` or Dagster's own commands use."""

import importlib.resources
from collections.abc import Callable
from pathlib import Path

from air_pipeline.environment import Environment
from air_pipeline.instance.home import dagster_home
from air_pipeline.running.hosts import url_of
from air_pipeline.running.parts import revive, start_part, stop_parts
from air_pipeline.running.up import LOOK_EVERY_S, stopped_by_signals, variables_of_parts, wait_for_ui, webserver


def serve(
    environment: Environment,
    host: str,
    port: int,
    *,
    behind_proxy: frozenset[str],
    read_only: bool,
    welcome: Callable[[str], None],
    say: Callable[[str], None],
) -> None:
    """Serves the UI until a signal ends it. It has a code server of its own, so that no `up` need run.

    Args:
        environment: of which deployment.
        host: address of the UI.
        port: of the UI; free.
        behind_proxy: the names under which proxies pass requests on to it.
        read_only: whether nothing can be changed in it.
        welcome: told the URL of the UI once it is ready.
        say: told what there is to say from then on.

    Raises:
        UpError: it does not start.
    """
    stop = stopped_by_signals()
    variables = variables_of_parts(environment, dagster_home(environment), behind_proxy)
    url = url_of(host, port)
    with (
        importlib.resources.as_file(importlib.resources.files("air_pipeline")) as package,
        environment.state.open(environment.state.dagster_log, "ab") as output,
    ):
        options = ["--read-only"] if read_only else []
        parts = [webserver(Path(package) / "workspace.yaml", host, port, *options)]
        try:
            start_part(parts[0], variables, output)
            wait_for_ui(url, parts, stop, environment)
            if not stop.is_set():
                welcome(url)
            while not stop.wait(LOOK_EVERY_S):
                for line in revive(parts, variables, output):
                    say(line)
        finally:
            stop_parts(parts)
