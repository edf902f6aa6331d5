"""The UI's server: Dagster's own, with all of its options, as a module that `up` can start.

For the underlying Dagster concept, see docs.dagster.io: the webserver and its UI.
"""

from dagster_webserver.cli import main

if __name__ == "__main__":
    main()  # type: ignore[no-untyped-call]
