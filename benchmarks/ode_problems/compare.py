"""Speed of `odeint` beside torchdiffeq, torchode and diffrax on one problem.

All use Dormand and Prince's method of order five with the same tolerance, in float32 on one thread. torchdiffeq takes
one step for the whole batch; the others give every sample its own.
"""

from __future__ import annotations

import os
import time
from types import ModuleType

import numpy as np
import torch

from benchmarks.ode_problems.case import Case
from benchmarks.timing import report, time_in_turn

__all__ = ["compare"]

REPEATS = 5


def compare(name: str, problem: str, module: ModuleType) -> None:
    """Write the table of a problem.

    Arguments:
        name: of the benchmark.
        module: has ``cases()``, ``exact()`` (the states at the end) and ``NOTES``.
    """
    # jax reads its flags when it is first imported, which the cases do
    os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")
    torch.set_num_threads(1)
    report(
        name,
        f"Solvers of differential equations beside their peers: {problem}",
        _measure(module),
        notes=[
            *module.NOTES,
            "Median (fastest - slowest), timed in turn on one thread; dopri5 in all, float32, tolerances "
            "of 1e-5, relative and absolute.",
            "Calls: of the vector field in one solve. Evaluations: mean over the samples of those they need. In "
            "ours samples that are done leave the batch; in the peers they wait.",
            "Largest error: of a coordinate of any sample at the end. torchdiffeq takes one step for the whole "
            "batch: fewer calls where samples differ, because the worst of them may exceed the tolerance.",
            "Ratios: to the fastest row of ours, forward and training on their own.",
            "First call: what is paid once, compilation included, forward and training together.",
        ],
        packages=("torchdiffeq", "torchode", "diffrax", "jax"),
    )


def _measure(module: ModuleType) -> list[dict[str, str | int | float]]:
    cases: list[Case] = module.cases()
    exact = module.exact().numpy()
    first: dict[str, float] = {}
    error: dict[str, float | str] = {}
    for case in cases:
        start = time.perf_counter()
        end = case.forward()
        case.train()
        first[case.library] = time.perf_counter() - start
        error[case.library] = "" if end is None else float(np.abs(np.asarray(end) - exact).max())
    forward = time_in_turn({case.library: case.forward for case in cases}, REPEATS, warmup=0)
    train = time_in_turn({case.library: case.train for case in cases}, REPEATS, warmup=0)
    ours = [case.library for case in cases if case.library.startswith("pushforward")]
    best_forward, best_train = (min(times[name].median for name in ours) for times in (forward, train))
    rows: list[dict[str, str | int | float]] = []
    for case in cases:
        calls, evaluations = case.evaluations()
        rows.append(
            {
                "library": case.library,
                "forward": str(forward[case.library]),
                "ratio ": forward[case.library].median / best_forward,
                "training": str(train[case.library]),
                "ratio": train[case.library].median / best_train,
                "calls": int(calls),
                "evaluations": evaluations,
                "largest error": error[case.library],
                "first call (s)": first[case.library],
            }
        )
    return rows
