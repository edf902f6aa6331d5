"""Air-quality readings that you can defend: collected at their true time, flagged, in local days, as Parquet.

    from air_pipeline import open_archive

`__all__` is what programs and notebooks may rely on; each name is loaded when it is first asked for, so that importing
the package costs nothing. Anything else may move.

The rooms, from the inside out: `errors` (their root and family), `replacing` (files replaced whole), `words` (lists as
people write them), `catalogue` (what is known of sensors), `settings` (what devices.yaml says), `state` (the state
directory), `in_force` (settings, the last valid ones), `times` (what people write for times), `environment` (where
everything is), `devices` (talking to devices), `processing` (pure functions on frames), `storage` (stores of readings,
Parquet tables), `deployment` (all of these opened together), `collection` (slots, polls, outbox, the collector
process), `days` (from a store to the tables of a day), `reports` (the page of a day), `access` (what notebooks and
programs use), `health` (what is not well, and what to do), `notifying` (telling a person), `instance` (Dagster's
storage: runs, days built here), `assets` and `automation` (Dagster, thin), `definitions` (everything Dagster loads),
`running` (all parts as processes: `up`, the demo), `cli` (the `air-pipeline` command).
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from air_pipeline.access import Archive, AsyncArchive, open_archive, open_async_archive
    from air_pipeline.errors import AirPipelineError

__all__ = ["AirPipelineError", "Archive", "AsyncArchive", "open_archive", "open_async_archive"]

if not TYPE_CHECKING:  # which would take any name for known

    def __getattr__(name: str) -> object:
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(f"{__name__}.{'errors' if name == 'AirPipelineError' else 'access'}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
