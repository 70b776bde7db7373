"""Accuracy of densities against the exact one: two moons (noise 0.1), a fixed time of training on one core.

    python -m benchmarks likelihood [MODEL ...]

The gap is the mean of log p(x) - log p_model(x) over fresh samples x, the Kullback-Leibler divergence from the data to
the model; being a mean of differences it is known far better than either mean is.
"""

from __future__ import annotations

import sys
import time

import numpy as np
import torch

import pushforward as pf
from benchmarks.timing import report

MODELS = ("flow-matching", "edm", "pfgm++")
SECONDS = 85
FRESH = 10_000


def main(models: tuple[str, ...] = MODELS) -> None:
    torch.set_num_threads(1)
    data = pf.read("two-moons")
    fresh = pf.read("two-moons", members=FRESH, seed=1)
    x = fresh.take(np.arange(FRESH))
    exact = data.exact.log_prob(x)
    rows = []
    for name in models:
        start = time.perf_counter()
        emulator = pf.fit(data, model=name, budget=SECONDS, progress=False)
        trained = time.perf_counter() - start
        gap = exact - emulator.log_prob(x).numpy().astype(np.float64)
        rows.append(
            {
                "model": name,
                "training (s)": round(trained, 1),
                "-log p (nats)": float(gap.mean() - exact.mean()),
                "gap (nats)": float(gap.mean()),
                "error of the gap": float(gap.std() / len(gap) ** 0.5),
            }
        )
        print(rows[-1], flush=True)
    report(
        "likelihood",
        "Likelihood of two moons",
        rows,
        notes=[
            f"exact entropy of the set: {data.exact.entropy:.4f} nats; "
            f"mean of the exact -log p over the {FRESH:,} fresh samples: {-exact.mean():.4f}",
            f"{len(data.train):,} training samples, {SECONDS} s of training on one core, default settings",
            "gap: mean of log p - log p_model over the fresh samples, and the standard error of that mean",
        ],
    )


if __name__ == "__main__":
    main(tuple(sys.argv[1:]) or MODELS)
