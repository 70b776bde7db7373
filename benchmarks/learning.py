"""Training of flow matching per step: optimisers, rates, averages, shapes of network and loss.

One change of the defaults at a time, after equally many steps, on maps of the cosmic web, digits, two moons and a table
of 16 columns: of two particle decays each, the momenta of both daughters, the logarithm of the flight distance, and
that of the parent's energy, measured to 5 %. The score is the loss on unseen members with noise and times that all
variants share, so that differences far smaller than its own scatter are seen. Most of a loss cannot be avoided, since
noise cannot be predicted: a difference of .001 on maps is a visible one. Vectors are also judged by their samples.

Rows that are not measured anew are kept from the last table.

    python -m benchmarks learning
    python -m benchmarks.learning measure 500          # for about 500 s, without a table
    python -m benchmarks.learning digits "Adam"        # one row, without a table
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
import torch

import pushforward as pf
from benchmarks.entropy_sets import DAUGHTER, decays
from benchmarks.stored_results import measure_in_turn, measure_once, run_part, stored
from benchmarks.timed_fits import timed_fit
from benchmarks.timing import ROOT, report
from pushforward.conditions import Condition
from pushforward.ensembles.batch import Batch
from pushforward.models.flow_matching import FlowMatching
from pushforward.randomness import Draws
from pushforward.simulate import simulate
from pushforward.statistics import sliced_wasserstein

REPEATS, MEMBERS, POINTS = 4, 240, 5_000
SETS: dict[str, tuple[int, int]] = {
    "cosmic-web": (1000, 1),
    "digits": (2000, 2),
    "two-moons": (2000, 2),
    "decays-16": (300, 2),
}
"""Steps and seeds."""
TABLES = {"two-moons": {"rate": 5e-3, "width": 64}, "decays-16": {"rate": 1.25e-3, "width": 256}}
"""Sets of vectors, and their default learning rate and width."""
RESOLUTION = 0.05
"""Standard deviation of the logarithm of a measured energy."""

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
LONGER = {"half the batch, twice the steps": 2, "a quarter of the batch, 4 times the steps": 4}
"""Changes that are given more steps, by this factor."""


def vectors(rate: float, width: int) -> dict[str, tuple[Family, dict[str, Any]]]:
    """Changes of the defaults of vectors."""
    changes: dict[str, dict[str, Any]] = {
        "defaults": {},
        "Muon": {"optimiser": "muon"},
        "a quarter of the batch, 4 times the steps": {"batch_size": 256},
        "twice the learning rate": {"learning_rate": 2 * rate},
        "Muon, twice the learning rate": {"optimiser": "muon", "learning_rate": 2 * rate},
        "half the width": {"width": width // 2},
        "linear decay": {"rate_schedule": "linear"},
        "average of half the width": {"average": 0.05},
        "half the learning rate": {"learning_rate": rate / 2},
        "Muon, 4 times the learning rate": {"optimiser": "muon", "learning_rate": 4 * rate},
        "four blocks": {"depth": 4},
        "two blocks": {"depth": 2},
        "half the batch, twice the steps": {"batch_size": 512},
        "average of 1.5 times the width": {"average": 0.15},
        "second moments over 1000 steps": {"betas": (0.9, 0.999)},
        "logit-normal times": {"time_sampling": "logit-normal"},
    }
    return {name: ("flow-matching", settings) for name, settings in changes.items()}


def main(seconds: float = math.inf, *, table: bool = True) -> None:
    """Measure what is not measured yet, beginning nothing after so many seconds."""
    if measure_in_turn(plan(), lambda row: cell(*row), seconds) and table:
        tabulate()


def plan() -> Iterator[tuple[str, str, int]]:
    """Every measurement, the first seeds first."""
    most = max(seeds for _, seeds in SETS.values())
    return (
        (data, name, seed)
        for seed in range(most)
        for data in reversed(SETS)
        for name in variants(data)
        if seed < SETS[data][1]
    )


def tabulate() -> None:
    """Write the table of what has been measured."""
    tables = {f"{data}, {steps} steps": rows(data) for data, (steps, _) in SETS.items()}
    first, *others = tables
    floors = ", ".join(f"{data} {distance_of(fresh(data, 3), fresh(data, 4)):.4f}" for data in TABLES)
    report(
        "learning",
        f"What teaches more per step: {first}",
        tables[first],
        notes=[
            f"loss on {MEMBERS} unseen members (of vectors 2000), {REPEATS} times with other noise; mean over seeds "
            "± half their range",
            "against the defaults: difference of the loss, in thousandths; less is better",
            f"distance: sliced Wasserstein distance of {POINTS} samples to fresh members, in standard deviations of "
            f"the columns; of members to members: {floors}",
            "time: processor time of the training, relative to the defaults",
            "one change of the defaults at a time, all else equal; rows that were not measured anew are kept",
        ],
        further={name: tables[name] for name in others},
    )


def variants(data: str) -> dict[str, tuple[Family, dict[str, Any]]]:
    return vectors(**TABLES[data]) if data in TABLES else FIELDS


def rows(data: str) -> list[dict[str, Any]]:
    """A row for each variant that was measured with at least one seed, now or for the last table."""
    earlier = earlier_rows(f"{data}, {SETS[data][0]} steps")
    found = {name: row_of(data, name) or earlier.get(name) for name in variants(data)}
    return [row for row in found.values() if row is not None]


def earlier_rows(heading: str) -> dict[str, dict[str, Any]]:
    """The rows of the last table, by their change."""
    record = json.loads((ROOT / "benchmarks" / "results" / "learning.json").read_text())[-1]
    found = record["further"].get(heading) or (record["rows"] if heading.startswith("cosmic-web") else [])
    return {row["change"]: row for row in found}


def row_of(data: str, name: str) -> dict[str, Any] | None:
    """Numbers of a variant, and differences from the defaults with the same seeds."""
    both = [
        [stored("learning", f"{data}, {each}, {seed}", setting(data, each)) for each in (name, "defaults")]
        for seed in range(SETS[data][1])
    ]
    pairs = [(mine, usual) for mine, usual in both if mine is not None and usual is not None]
    if not pairs:
        return None
    losses = np.array([mine["loss"] for mine, _ in pairs])
    differences = 1e3 * np.array([mine["loss"] - usual["loss"] for mine, usual in pairs])
    distances = np.array([mine["distance"] for mine, _ in pairs if "distance" in mine])
    return {
        "change": name,
        "loss": _over_seeds(losses, ".4f"),
        "against the defaults (1e-3)": _over_seeds(differences, "+.2f"),
        **({"distance": _over_seeds(distances, ".4f")} if len(distances) else {}),
        "time": f"{np.mean([mine['seconds'] / usual['seconds'] for mine, usual in pairs]):.2f}",
        "seeds": len(pairs),
    }


def _over_seeds(values: np.ndarray, digits: str) -> str:
    mean = format(values.mean(), digits)
    return mean if len(values) == 1 else f"{mean} ± {format(np.ptp(values) / 2, digits.lstrip('+'))}"


def setting(data: str, name: str) -> dict[str, Any]:
    """Everything that the numbers of a variant depend on."""
    family, settings = variants(data)[name]
    known = family if isinstance(family, str) else family.__name__
    return {"family": known, "settings": settings, "steps": steps_of(data, name), "members": MEMBERS}


def steps_of(data: str, name: str) -> int:
    return SETS[data][0] * LONGER.get(name, 1)


def cell(data: str, name: str, seed: int) -> dict[str, Any]:
    return measure_once("learning", f"{data}, {name}, {seed}", setting(data, name), lambda: measure(data, name, seed))


def measure(data: str, name: str, seed: int) -> dict[str, Any]:
    family, settings = variants(data)[name]
    known = ensemble(data)
    emulator, seconds = timed_fit(known, family, steps=steps_of(data, name), settings=settings, seed=seed)
    result = {"loss": loss(emulator, known.test), "seconds": seconds}
    if data in TABLES:
        result["distance"] = distance_of(emulator.sample(POINTS, seed=1).numpy(), fresh(data, 3))
    return result


@cache
def ensemble(data: str) -> pf.Ensemble:
    return pf.Ensemble.from_array(fresh(data, 0, 20_000)) if data == "decays-16" else pf.read(data)


def fresh(data: str, seed: int, count: int = POINTS) -> np.ndarray:
    """Fresh members of a set of vectors, shape ``(count, dim)``."""
    if data != "decays-16":
        return simulate(data, count, seed=seed).x
    x = decays(2).draw(count, 2 * seed)
    momenta = x.view(count, 2, 7)[..., :6].unflatten(2, (2, 3))
    energy = (momenta.square().sum(3) + DAUGHTER**2).sqrt().sum(2)
    noise = torch.randn(energy.shape, generator=torch.Generator().manual_seed(2 * seed + 1), dtype=x.dtype)
    return torch.cat([x, energy.log() + RESOLUTION * noise], 1).float().numpy()


def distance_of(samples: np.ndarray, real: np.ndarray) -> float:
    """Sliced Wasserstein distance, in standard deviations of the columns."""
    scale = real.std(0)
    return float(sliced_wasserstein(samples / scale, real / scale).distance)


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
    if sys.argv[1] in SETS:
        for number in range(SETS[sys.argv[1]][1]):
            cell(sys.argv[1], sys.argv[2], number)
    else:
        run_part(sys.argv[1:], main, tabulate)
