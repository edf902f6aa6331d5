"""What people use from notebooks and programs: readings, observations and aggregates as DataFrames with local times.

    from air_pipeline import open_archive

    with open_archive() as air:
        air.latest()
        air.history("-1d", devices=["living-room"])
        air.daily("2026-11-01", "2026-11-08")

`open_async_archive` gives the same questions as coroutines. Belongs here: questions of people to stores and tables.
Does not: commands (`cli`), and how anything is stored.
"""

from air_pipeline.access.archive import Archive, open_archive
from air_pipeline.access.asynchronous import AsyncArchive, open_async_archive

__all__ = ["Archive", "AsyncArchive", "open_archive", "open_async_archive"]
