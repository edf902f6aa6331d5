"""The archive for programs with an event loop: the same questions as coroutines, answered in threads.

Belongs here: asking without blocking the loop. Does not: the questions (`archive`), of which there is one definition.
"""

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from functools import partial, wraps
from pathlib import Path
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

from air_pipeline.access.archive import Archive, open_archive

AT_ONCE = 8
"""Questions that are answered at one time; further ones wait. Reading is the store's work more than this process's."""

_P = ParamSpec("_P")
_R = TypeVar("_R")


def open_async_archive(config: str | Path | None = None) -> "AsyncArchive":
    """The archive of the deployment that the environment names, for `async with`; see `open_archive`."""
    return AsyncArchive(open_archive(config))


def _as_coroutine(
    question: Callable[Concatenate[Archive, _P], _R],
) -> Callable[Concatenate["AsyncArchive", _P], Coroutine[Any, Any, _R]]:
    @wraps(question)
    async def asked(self: "AsyncArchive", /, *arguments: _P.args, **named: _P.kwargs) -> _R:
        return await self._in_thread(partial(question, self.archive, *arguments, **named))

    return asked


class AsyncArchive:
    """The questions of an `Archive` as coroutines: the same arguments, answers and errors; the loop goes on meanwhile.

    As an asynchronous context manager it closes itself. A question whose task is cancelled ends unheard in its thread.

    Attributes:
        archive: what is asked; its `devices` and `units()` need no waiting.
    """

    def __init__(self, archive: Archive) -> None:
        """Starts nothing yet.

        Args:
            archive: what to ask; closed with this.
        """
        self.archive = archive
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="archive")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Waits for the questions under way and frees threads and connections; nothing can be asked after it."""
        await asyncio.to_thread(self._threads.shutdown)
        self.archive.close()

    latest = _as_coroutine(Archive.latest)
    history = _as_coroutine(Archive.history)
    observations = _as_coroutine(Archive.observations)
    hourly = _as_coroutine(Archive.hourly)
    daily = _as_coroutine(Archive.daily)
    resample = _as_coroutine(Archive.resample)
    explain = _as_coroutine(Archive.explain)
    flux = _as_coroutine(Archive.flux)

    async def _in_thread(self, answer: Callable[[], _R]) -> _R:
        return await asyncio.get_running_loop().run_in_executor(self._threads, answer)
