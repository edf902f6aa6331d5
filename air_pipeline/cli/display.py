"""What a person at a terminal sees: rows as a table, and a sign of life while a command takes long.

Apart from `terminal`, because rich takes 40 ms of CPU, and most commands that are called often print for programs.
"""

import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.box import SIMPLE
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from air_pipeline.showing import plain, without_secrets_in

_WIDE = 10_000
LONG_S = 2.0
"""What is done sooner needs no sign of life."""


def show_table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Prints rows under their column names; plain where the output is no terminal."""
    table = Table(*columns, box=SIMPLE)
    for row in rows:
        table.add_row(*(Text("–" if cell is None else plain(without_secrets_in(str(cell)))) for cell in row))
    console = Console()
    if not console.is_terminal:
        console.width = _WIDE  # what reads it has no width, and wants whole words
    for column in table.columns[:-1]:
        column.no_wrap = True  # ids and times are copied: they stay whole, and what is said of them wraps
    table.columns[-1].overflow = "fold"
    console.print(table, crop=False)


@contextmanager
def bar_if_long(what: str) -> Iterator[Callable[[int, int], None]]:
    """After two seconds a progress bar on the standard error, if that is a terminal; gone at the end of the block.

    Gives what is to be told how many of how many steps are done.
    """
    if not sys.stderr.isatty():
        yield lambda _done, _steps: None
        return
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(elapsed_when_finished=True),
    )
    progress = Progress(*columns, console=Console(stderr=True), transient=True)
    task = progress.add_task(what, total=None)
    timer = threading.Timer(LONG_S, progress.start)
    timer.daemon = True
    timer.start()
    try:
        yield lambda done, steps: progress.update(task, completed=done, total=steps)
    finally:
        timer.cancel()
        timer.join()
        progress.stop()


@contextmanager
def sign_of_life() -> Iterator[None]:
    """Says on a terminal, after two seconds, that something is still being looked at; gone at the end of the block."""
    if not sys.stderr.isatty():
        yield
        return
    status = Console(stderr=True).status("still looking …")
    timer = threading.Timer(LONG_S, status.start)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()
        status.stop()
