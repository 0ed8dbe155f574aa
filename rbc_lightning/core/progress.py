"""The console, and progress bars for work that Lightning's own bar does not cover."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

console = Console(highlight=False)


def tell(line: str) -> None:
    """Print one line as it is."""
    console.print(line, markup=False, soft_wrap=True)


@contextmanager
def count_progress(title: str, total: int) -> Iterator[Callable[[int, int], None]]:
    """A progress bar; yields `advance(done, total)`, to be called after each item."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns) as progress:
        task = progress.add_task(title, total=total)

        def advance(done: int, total: int) -> None:
            progress.update(task, completed=done, total=total)

        yield advance
