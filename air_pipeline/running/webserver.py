"""The UI's server: Dagster's own, with all of its options, behind the guard, as a module that `up` and `ui` can start.

For the underlying Dagster concept, see docs.dagster.io: the webserver and its UI.
"""

import os
from collections.abc import Callable

from dagster_webserver import cli

from air_pipeline.running.guard import App, Guard
from air_pipeline.running.hosts import BEHIND_PROXY, proxy_names

CREATE_APP = "create_app_from_workspace_process_context"
"""What Dagster's command makes its application with; there is no public way to put something around that."""


def guarded(create_app: Callable[..., App], names: frozenset[str]) -> Callable[..., App]:
    """What makes the application, with the guard around what it makes."""
    return lambda *arguments, **options: Guard(create_app(*arguments, **options), names)


def main() -> None:
    """Runs Dagster's command with its options."""
    names = proxy_names(os.environ.get(BEHIND_PROXY, "").split())
    setattr(cli, CREATE_APP, guarded(getattr(cli, CREATE_APP), names))
    cli.main()  # type: ignore[no-untyped-call]


if __name__ == "__main__":
    main()
