"""Progress display of long simulations on standard error."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator

__all__ = ["shown"]

# Shorter simulations show nothing.
_PATIENCE_SECONDS = 2.0


def shown(label: str) -> Callable[[Iterable[int]], Iterator[int]]:
    """Wrapper of the range of a simulation's steps that shows progress on standard error.

    On a terminal it draws a bar; elsewhere it writes one line with the estimated remaining time.
    """

    def watch(steps: Iterable[int]) -> Iterator[int]:
        steps = list(steps)
        start = time.perf_counter()
        done = 0
        while done < len(steps) and (done == 0 or time.perf_counter() - start < _PATIENCE_SECONDS):
            yield steps[done]
            done += 1
        if done == len(steps):
            return
        if not sys.stderr.isatty():
            passed = time.perf_counter() - start
            left = passed / done * (len(steps) - done)
            print(f"{label}: {done} of {len(steps)} simulated, about {left:.0f} s to go", file=sys.stderr, flush=True)
            yield from steps[done:]
            return
        from rich.console import Console
        from rich.progress import Progress

        with Progress(console=Console(stderr=True), transient=True) as progress:
            bar = progress.add_task(label, total=len(steps), completed=done)
            for step in steps[done:]:
                yield step
                progress.advance(bar)

    return watch
