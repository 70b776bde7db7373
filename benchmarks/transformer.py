"""The transformer of fields beside the U-Net: maps of the cosmic web, the same objective, data and training time."""

from __future__ import annotations

import json
import time
from itertools import repeat

import numpy as np
import torch

import pushforward as pf
from benchmarks.command_line_runs import run_of
from benchmarks.timing import report
from pushforward.models import Batch
from pushforward.randomness import Draws
from pushforward.statistics import power_spectrum

BUDGET = "100s"
SAMPLES = 192
TRANSFORMER = {"network": "transformer", "learning_rate": 1e-3, "width": 96}
NETWORKS = {
    "U-Net": {},
    "transformer, patches of 4": {**TRANSFORMER, "patch": 4},
    "transformer, patches of 8": {**TRANSFORMER, "patch": 8},
}


def main() -> None:
    maps = pf.read("cosmic-web")
    real, rows = maps.test.take_given(np.arange(2 * SAMPLES))
    other, half = torch.from_numpy(real[1::2]), torch.from_numpy(real[::2])
    report(
        "transformer",
        "The transformer beside the U-Net",
        [{"network": name, **measured(name, maps, half, rows[::2])} for name in NETWORKS],
        notes=[
            f"Flow matching on `cosmic-web` (64 x 64, two parameters), {BUDGET} of training each, one run (seed 0) "
            "each, on one core.",
            "Loss: of the velocity on held-out maps, with the same noise and times for all. Error of P(k): mean "
            f"relative error up to half the Nyquist frequency of {SAMPLES} samples at the parameters of held-out maps, "
            f"against these maps; as many other maps of the same simulations give {error(other, half):.1f} %.",
            f"The transformer was trained with {TRANSFORMER}, the U-Net with its defaults.",
        ],
    )


def measured(name: str, maps: pf.Ensemble, real: torch.Tensor, rows: np.ndarray) -> dict[str, float]:
    """Cost of a network, and its loss at the end of its training time."""
    run = run_of(f"network-{name.replace(', ', '-').replace(' ', '-')}")
    emulator = pf.fit(maps, "flow-matching", budget=BUDGET, out=run, resume=run.is_dir(), settings=NETWORKS[name])
    lines = (run / "metrics.jsonl").read_text().splitlines()
    emulator.sample_at(rows[:8])
    start = time.perf_counter()
    samples = emulator.sample_at(rows, seed=0)
    seconds = time.perf_counter() - start
    return {
        "weights": sum(p.numel() for p in emulator.model.parameters()),
        "steps": json.loads(lines[-1])["step"],
        "ms a sample": 1000 * seconds / len(rows),
        "held-out loss": loss(emulator, real, rows),
        "error of P(k) (%)": error(samples, real),
    }


@torch.no_grad()
def loss(emulator: pf.Emulator, real: torch.Tensor, rows: np.ndarray) -> float:
    """Mean squared error of the velocity on members that were not trained on."""
    condition = torch.from_numpy(rows)
    x, code = emulator.preprocessing(real, condition), emulator.preprocessing.encode_condition(condition)
    batches = zip(x.split(32), code.split(32), strict=True)
    values = [
        next(iter(emulator.model.turns(repeat(Batch(part, given, Draws(number, len(part))))))).loss
        for number, (part, given) in enumerate(batches)
    ]
    return float(torch.stack(values).mean())


def error(a: torch.Tensor, b: torch.Tensor) -> float:
    """Mean relative error of the mean power up to half the Nyquist frequency, per cent."""
    one, two = (power_spectrum(x, 100.0) for x in (a, b))
    within = one.k <= np.pi / 2 * 64 / 100
    ratio = one.power.mean((0, 1)) / two.power.mean((0, 1))
    return 100 * float((ratio - 1).abs()[within].mean())


if __name__ == "__main__":
    main()
