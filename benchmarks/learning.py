"""What teaches flow matching more per step: optimisers, rates, averages, shapes of network and loss.

One change of the defaults at a time, after equally many steps. The score is the loss on unseen members with noise and
times that all variants share, so that differences far smaller than its own scatter are seen. Most of a loss cannot be
avoided, since noise cannot be predicted: a difference of .001 on maps is a visible one.

    python -m benchmarks learning
    python -m benchmarks.learning digits "Adam"        # one cell, without a table
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import torch

import pushforward as pf
from benchmarks.stored_results import measure_once, stored
from benchmarks.timed_fits import timed_fit
from benchmarks.timing import report
from pushforward.conditions import Condition
from pushforward.ensembles.batch import Batch
from pushforward.models.flow_matching import FlowMatching
from pushforward.randomness import Draws

REPEATS, MEMBERS = 4, 240
SETS: dict[str, tuple[int, int]] = {"cosmic-web": (1000, 1), "digits": (2000, 2), "two-moons": (2000, 2)}
"""Steps and seeds."""

Family = str | type[FlowMatching]


class Undamped(FlowMatching):
    """The network's output is added as it is."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.gaussian.undecided = lambda found, moment, condition: found


class Plain(Undamped):
    """The network sees the noisy field alone, and its output is added as it is."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.gaussian.whiten = lambda z, moment, condition: torch.zeros_like(z)


FIELDS: dict[str, tuple[Family, dict[str, Any]]] = {
    "defaults": ("flow-matching", {}),
    "output not damped": (Undamped, {}),
    "nor the whitened field shown": (Plain, {}),
    "Adam": ("flow-matching", {"optimiser": "adam", "learning_rate": 2e-3}),
    "Adam, neither damped nor whitened": (Plain, {"optimiser": "adam", "learning_rate": 2e-3}),
    "half the learning rate": ("flow-matching", {"learning_rate": 2e-3}),
    "twice the learning rate": ("flow-matching", {"learning_rate": 8e-3}),
    "linear decay": ("flow-matching", {"rate_schedule": "linear"}),
    "average of half the width": ("flow-matching", {"average": 0.05}),
    "logit-normal times": ("flow-matching", {"time_sampling": "logit-normal"}),
    "twice the batch": ("flow-matching", {"batch_size": 16}),
    "width 24": ("flow-matching", {"width": 24}),
    "two blocks a resolution": ("flow-matching", {"depth": 2}),
}
VECTORS: dict[str, tuple[Family, dict[str, Any]]] = {
    "defaults": ("flow-matching", {}),
    "Muon": ("flow-matching", {"optimiser": "muon"}),
    "Muon, twice the learning rate": ("flow-matching", {"optimiser": "muon", "learning_rate": 0.01}),
    "twice the learning rate": ("flow-matching", {"learning_rate": 0.01}),
    "average of half the width": ("flow-matching", {"average": 0.05}),
    "logit-normal times": ("flow-matching", {"time_sampling": "logit-normal"}),
}


def main() -> None:
    for data, (_, seeds) in SETS.items():
        for seed in range(seeds):
            for name in variants(data):
                cell(data, name, seed)
    tabulate()


def tabulate() -> None:
    """Write the table of what has been measured."""
    tables = {f"{data}, {steps} steps": rows(data) for data, (steps, _) in SETS.items()}
    first, *others = tables
    report(
        "learning",
        f"What teaches more per step: {first}",
        tables[first],
        notes=[
            f"loss on {MEMBERS} unseen members, {REPEATS} times with other noise; mean over seeds ± half their range; "
            "of two-moons, 2000 members",
            "against the defaults: difference of the loss, in thousandths; less is better",
            "time: processor time of the training, relative to the defaults",
            "one change of the defaults at a time, all else equal",
        ],
        further={name: tables[name] for name in others},
    )


def variants(data: str) -> dict[str, tuple[Family, dict[str, Any]]]:
    return VECTORS if data == "two-moons" else FIELDS


def rows(data: str) -> list[dict[str, Any]]:
    """A row for each variant that was measured with at least one seed; differences are of the same seeds."""
    found = {
        (name, seed): stored("learning", f"{data}, {name}, {seed}", setting(data, name))
        for name in variants(data)
        for seed in range(SETS[data][1])
    }
    table = []
    for name in variants(data):
        pairs = [
            (mine, usual)
            for seed in range(SETS[data][1])
            if (mine := found[name, seed]) is not None and (usual := found["defaults", seed]) is not None
        ]
        if pairs:
            losses = np.array([mine["loss"] for mine, _ in pairs])
            differences = 1e3 * np.array([mine["loss"] - usual["loss"] for mine, usual in pairs])
            table.append(
                {
                    "change": name,
                    "loss": _over_seeds(losses, ".4f"),
                    "against the defaults (1e-3)": _over_seeds(differences, "+.2f"),
                    "time": f"{np.mean([mine['seconds'] / usual['seconds'] for mine, usual in pairs]):.2f}",
                    "seeds": len(pairs),
                }
            )
    return table


def _over_seeds(values: np.ndarray, digits: str) -> str:
    mean = format(values.mean(), digits)
    return mean if len(values) == 1 else f"{mean} ± {format(np.ptp(values) / 2, digits.lstrip('+'))}"


def setting(data: str, name: str) -> dict[str, Any]:
    """Everything that the numbers of a variant depend on."""
    family, settings = variants(data)[name]
    known = family if isinstance(family, str) else family.__name__
    return {"family": known, "settings": settings, "steps": SETS[data][0], "members": MEMBERS}


def cell(data: str, name: str, seed: int) -> dict[str, Any]:
    return measure_once("learning", f"{data}, {name}, {seed}", setting(data, name), lambda: measure(data, name, seed))


def measure(data: str, name: str, seed: int) -> dict[str, Any]:
    family, settings = variants(data)[name]
    emulator, seconds = timed_fit(data, family, steps=SETS[data][0], settings=settings, seed=seed)
    return {"loss": loss(emulator, pf.read(data).test), "seconds": seconds}


@torch.no_grad()
def loss(emulator: Any, unseen: Any) -> float:
    """Mean loss on unseen members at uniform times, with random numbers that depend on nothing else."""
    count = min(len(unseen), MEMBERS if unseen.space.grid else 2000)
    x = torch.as_tensor(unseen.take(np.arange(count)))
    given = next((each for each in unseen.take_given(np.arange(count)) if isinstance(each, Condition)), None)
    z, encoded = emulator.preprocessing(x, given).float(), emulator.chunks.encoded(given)
    batches = [Batch(z, encoded, Draws(repeat, count)) for repeat in range(REPEATS)]
    model = emulator.model.eval()
    model.settings = model.settings.model_copy(update={"time_sampling": "uniform"})
    return float(np.mean([next(model.turns(iter([batch]))).loss.item() for batch in batches]))


if __name__ == "__main__":
    for number in range(SETS[sys.argv[1]][1]):
        cell(sys.argv[1], sys.argv[2], number)
