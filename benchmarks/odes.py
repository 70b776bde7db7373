"""Speed of `odeint` beside torchdiffeq, torchode and diffrax: a continuous flow, oscillators, particles.

All use Dormand and Prince's method of order five with the same tolerance, in float32 on one thread. torchdiffeq takes
one step for the whole batch; the others give every sample its own.
"""

from __future__ import annotations

import os
import time
from types import ModuleType

import numpy as np
import torch

from benchmarks.ode_problems import Case, ffjord, oscillators, particles
from benchmarks.timing import report, time_in_turn

PROBLEMS = {
    "2-D FFJORD, batch 512": ffjord,
    "1000 Van der Pol oscillators": oscillators,
    "13 particles, graph network, batch 16": particles,
}
REPEATS = 5


def main() -> None:
    # jax reads its flags when it is first imported, which the cases do
    os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")
    torch.set_num_threads(1)
    rows = [row for name, module in PROBLEMS.items() for row in _measure(name, module)]
    report(
        "odes",
        "Solvers of differential equations beside their peers",
        rows,
        notes=[
            "Median (fastest - slowest), timed in turn on one thread; relative and absolute tolerance 1e-5, float32.",
            "Training: the solve, a loss and its gradient, for the parameters (FFJORD, particles) or for the initial "
            "states and the stiffness of every oscillator.",
            "Calls: of the vector field in one solve. Evaluations: mean over the samples of those they need. In ours, "
            "samples that are done leave the batch; in the peers they wait for the others.",
            "Largest error: of a coordinate of any sample at the end. One step for the whole batch takes fewer calls "
            "where samples differ, because the worst of them may exceed the tolerance.",
            "Ratios: time of this row over that of the fastest row of ours, forward and training on their own.",
            "First call: what is paid once, compilation included, forward and training together. Ours compiles with "
            "`torch.compile`, which keeps what it built on disk: later processes pay less.",
            "FFJORD's divergence is a gradient for each dimension, as its users write it; ours pushes the unit vectors "
            "through the layers; diffrax linearises and pushes both. All are exact.",
        ],
        packages=("torchdiffeq", "torchode", "diffrax", "jax"),
    )


def _measure(problem: str, module: ModuleType) -> list[dict[str, str | int | float]]:
    cases: list[Case] = module.cases()
    exact = module.exact().numpy()
    first, error = {}, {}
    for case in cases:
        start = time.perf_counter()
        end = case.forward()
        case.train()
        first[case.library] = time.perf_counter() - start
        error[case.library] = float(np.abs(np.asarray(end) - exact).max())
    forward = time_in_turn({case.library: case.forward for case in cases}, REPEATS, warmup=0)
    train = time_in_turn({case.library: case.train for case in cases}, REPEATS, warmup=0)
    ours = [case.library for case in cases if case.library.startswith("pushforward")]
    best_forward, best_train = (min(times[name].median for name in ours) for times in (forward, train))
    rows: list[dict[str, str | int | float]] = []
    for case in cases:
        calls, evaluations = case.evaluations()
        rows.append(
            {
                "problem": problem,
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


if __name__ == "__main__":
    main()
