"""Run the benchmarks: all of them, or those named.

    python -m benchmarks [NAME ...]

A benchmark is a module of this folder with a function ``main()`` that measures and calls `timing.report`.
"""

from __future__ import annotations

import sys
import time
from importlib import import_module
from pathlib import Path

SUPPORT = {
    "__init__",
    "__main__",
    "c2st",
    "lognormal",
    "posterior_tasks",
    "timed_fits",
    "timing",
    "command_line_runs",
    "stored_results",
    "perfect_samples",
    "planted",
    "flow_peers",
    "entropy_sets",
    "learning_changes",
    "preconditioned",
}


def main(names: list[str]) -> int:
    known = sorted(path.stem for path in Path(__file__).parent.glob("*.py") if path.stem not in SUPPORT)
    unknown = [name for name in names if name not in known]
    if unknown:
        print(f"there is no benchmark called {unknown[0]!r}; there are {', '.join(known)}", file=sys.stderr)
        return 2
    failed = []
    for name in names or known:
        start = time.perf_counter()
        try:
            import_module(f"benchmarks.{name}").main()
        except Exception as error:  # one peer that does not import must not hide the other measurements
            failed.append(name)
            print(f"{name} failed: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
        print(f"[{name}: {time.perf_counter() - start:.0f} s]\n", flush=True)
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
