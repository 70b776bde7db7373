"""Training in several processes started here, with their errors passed on."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from pushforward.errors import DataError, TrainingError, UsageError
from pushforward.training.interrupt import Forwarded, Interrupted, Stopped

if TYPE_CHECKING:
    from lightning_fabric import Fabric

__all__ = ["spread"]


def spread(fabric: Fabric, work: Callable[..., None], run: Path) -> None:
    """Start the processes of a fabric, call ``work(fabric)`` in each, and wait for them.

    Arguments:
        fabric: not launched yet.
        work: a picklable function.
        run: directory of the run, for messages.

    Raises:
        UsageError, DataError, TrainingError, Interrupted: as raised in one of the processes.
        TrainingError: if a process was lost.
    """
    from torch.multiprocessing import ProcessExitedException, ProcessRaisedException

    try:
        with Forwarded():
            fabric.launch(work)
    except ProcessRaisedException as problem:
        _raise_here(str(problem))
        raise
    except ProcessExitedException as problem:
        raise TrainingError(
            f"a training process was lost ({problem}), perhaps for lack of memory, or because a script calls fit"
            f" outside `if __name__ == '__main__':`; the run in {run} can be resumed"
        ) from None


def _raise_here(trace: str) -> None:
    """Raise a user error of another process again, from its traceback text."""
    kinds: dict[str, type[BaseException]] = {each.__name__: each for each in (UsageError, DataError, TrainingError)}
    kinds[Stopped.__name__] = Interrupted
    found = re.findall(r"^pushforward[\w.]*\.(\w+): (.+)$", trace, flags=re.MULTILINE)
    if found and found[-1][0] in kinds:
        raise kinds[found[-1][0]](found[-1][1]) from None
