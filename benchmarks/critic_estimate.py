"""Does the critic know how far its generator is from the data? Its estimate beside the exact distance along training.

Every 20 steps the exact 1-Wasserstein distance (POT) of 1000 samples to 1000 members is taken, in network units.
Beside it stands what the critic says in its own training: for ``wgan-gp`` E f(x) - E f(g(z)), for ``gan`` the
Jensen-Shannon divergence that its classification loss implies, ln 2 - loss / 2; both as running medians over 25 steps,
as in Arjovsky, Chintala and Bottou 2017 (arXiv:1701.07875, figures 3 and 4). Spearman's rank correlation of the two is
given for all of training, for its second half, where the distance hardly falls any more, and for all of training with a
running median of five of the distances, since a single one varies with its 1000 samples and with the step.

Runs that have been measured are kept in ``runs/benchmarks/critic_estimate/``; the figure is drawn by
``examples/critic_estimate.py``:

    python -m benchmarks critic_estimate
    python -m benchmarks.critic_estimate wgan-gp two-moons 0     # these seeds alone, without a table
"""

from __future__ import annotations

import json
import math
import statistics
import sys
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import ot
import torch
from scipy.stats import spearmanr

import pushforward as pf
from benchmarks.timing import ROOT, report
from pushforward.models import Batch, Turn
from pushforward.models.adversarial import Adversarial
from pushforward.models.gan import GAN
from pushforward.models.wgan import WGANGP
from pushforward.randomness import Draws

SETS = ("two-moons", "eight-gaussians", "checkerboard")
SEEDS, STEPS, EVERY, SAMPLES, WINDOW, SMOOTHED = (0,), 800, 20, 1000, 25, 5
MEASURED = ROOT / "runs" / "benchmarks" / "critic_estimate"


@cache
def watched(kind: type[Adversarial]) -> type[Adversarial]:
    """A family that also logs the exact distance of its samples to members, every few steps."""

    class Watched(kind):  # type: ignore[misc, valid-type]
        steps = 0

        def turns(self, batches: Iterator[Batch]) -> Iterator[Turn]:
            for turn in super().turns(batches):
                if turn.player == "generator":
                    self.steps += 1
                    if self.steps % EVERY == 0:
                        turn.logs["distance"] = self.distance(batches)
                yield turn

        @torch.no_grad()
        def distance(self, batches: Iterator[Batch]) -> torch.Tensor:
            made = self._generate(Draws(self.steps, SAMPLES, device=torch.device("cpu")), None)
            members: list[torch.Tensor] = []
            while sum(map(len, members)) < SAMPLES:
                members.append(self._real(next(batches)))
            return torch.tensor(exact(made.numpy(), torch.cat(members)[:SAMPLES].numpy()))

    Watched.__name__ = f"Watched{kind.__name__}"
    return Watched


FAMILIES = {"wgan-gp": WGANGP, "gan": GAN}


def main() -> None:
    rows = []
    for name in FAMILIES:
        for data in SETS:
            found = [cell(name, data, seed) for seed in SEEDS]
            rows.append(
                {
                    "model": name,
                    "set": data,
                    "rank correlation": _spread([correlation(each) for each in found]),
                    "second half": _spread([correlation(each, half=True) for each in found]),
                    "with running distances": _spread([correlation(each, running=True) for each in found]),
                    "distance, first to last": f"{found[0]['distance'][0]:.2f} to {found[0]['distance'][-1]:.3f}",
                    "two real sets": f"{found[0]['floor']:.3f}",
                }
            )
    notes = [
        f"{STEPS} steps with the defaults of each family; {len(SEEDS)} seed, median (smallest), each of "
        f"{STEPS // EVERY} distances of {SAMPLES} samples; the distances are of the first seed.",
        "Target: a rank correlation of .9 for wgan-gp.",
    ]
    report("critic_estimate", "The critic's estimate and the exact distance", rows, notes=notes, packages=["pot"])


def cell(name: str, data: str, seed: int) -> dict[str, Any]:
    """Steps, exact distances and running estimates of one run; those on disk if there are any."""
    path = MEASURED / f"{name}-{data}-{seed}.json"
    if path.exists():
        return json.loads(path.read_text())
    torch.set_num_threads(1)
    ensemble = pf.read(data)
    with tempfile.TemporaryDirectory() as folder:
        out, kind = Path(folder) / "run", watched(FAMILIES[name])
        pf.fit(ensemble, kind, steps=STEPS, seed=seed, out=out, settings={"log_every": 0}, progress=False, device="cpu")
        lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    first, second = (standard(pf.read(data, seed=other, members=SAMPLES)) for other in (1, 2))
    result = {**series(lines, name), "floor": exact(first, second)}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result) + "\n")
    print(name, data, seed, f"{correlation(result):.3f} {correlation(result, half=True):.3f}", flush=True)
    return result


def series(lines: list[dict[str, float]], name: str) -> dict[str, list[float]]:
    """Steps at which the distance was measured, the distances, and the running estimates."""
    said = [line["critic/wasserstein"] if name == "wgan-gp" else divergence(line["critic/loss"]) for line in lines]
    places = [place for place, line in enumerate(lines) if "generator/distance" in line]
    return {
        "step": [lines[place]["step"] for place in places],
        "distance": [lines[place]["generator/distance"] for place in places],
        "estimate": [running_median(said, WINDOW)[place] for place in places],
    }


def divergence(loss: float) -> float:
    """Jensen-Shannon divergence in nats that a classifier with this loss (the sum over both classes) proves."""
    return math.log(2) - loss / 2


def correlation(found: dict[str, Any], *, half: bool = False, running: bool = False) -> float:
    """Spearman's, of all of training or its second half, with the distances or their running median."""
    begin = len(found["distance"]) // 2 if half else 0
    distances = running_median(found["distance"], SMOOTHED) if running else found["distance"]
    return float(spearmanr(distances[begin:], found["estimate"][begin:]).statistic)


def running_median(values: list[float], window: int) -> list[float]:
    """Of each value and those before it."""
    return [statistics.median(values[max(0, place + 1 - window) : place + 1]) for place in range(len(values))]


def exact(a: np.ndarray, b: np.ndarray) -> float:
    """The 1-Wasserstein distance of two sets of points."""
    return float(ot.emd2([], [], ot.dist(a, b, metric="euclidean"), numItermax=1_000_000))


def standard(ensemble: pf.Ensemble) -> np.ndarray:
    x = ensemble.take(np.arange(SAMPLES))
    return (x - x.mean(0)) / x.std(0)


def _spread(values: list[float]) -> str:
    return f"{statistics.median(values):.3f} ({min(values):.3f})"


if __name__ == "__main__":
    for number in sys.argv[3:]:
        cell(sys.argv[1], sys.argv[2], int(number))
