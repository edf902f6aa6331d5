"""What a terminal shows while a command takes long.

Belongs here: the bar. Does not: what is being done.
"""

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

LONG_S = 2.0
"""What is done sooner needs no bar."""


@contextmanager
def bar_if_long(what: str) -> Iterator[Callable[[int, int], None]]:
    """After two seconds a progress bar on the standard error, if that is a terminal; gone at the end of the block.

    Gives what is to be told how many of how many steps are done.
    """
    if not sys.stderr.isatty():
        yield lambda _done, _steps: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

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
