"""Training of flow matching by steps and by time: optimisers, schedules, averages, shapes of network and loss.

One change of the defaults at a time (`benchmarks.learning_changes`), after equally many steps and in equal processor
time, on maps of the cosmic web, digits, two moons and a table of 16 columns: of two particle decays each, the momenta
of both daughters, the logarithm of the flight distance, and that of the parent's energy, measured to 5 %. The number
of blocks of a perceptron is also changed at the present learning rate of these, and in 6 dimensions (`entropy_sets`).
The score is the loss on unseen members with noise and times that all variants share, so that differences far smaller
than its own scatter are seen. Most of a loss cannot be avoided, since noise cannot be predicted: a difference of .001
on maps is a visible one. Vectors are also judged by their samples.

What is clearly worse with the first seed is not measured with others, nor what is worse after equally many steps that
took longer in equal time. Rows that are not measured anew are kept from the last table.

    python -m benchmarks learning
    python -m benchmarks.learning measure 500          # for about 500 s, without a table
    python -m benchmarks.learning digits "Adam"        # one row with all seeds, without a table
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from functools import cache
from typing import Any
from unittest.mock import patch

import numpy as np
import torch

import pushforward as pf
from benchmarks.entropy_sets import DAUGHTER, decays
from benchmarks.entropy_sets import SETS as KNOWN
from benchmarks.learning_changes import Change, of_fields, of_vectors
from benchmarks.preconditioned import Soap
from benchmarks.stored_results import measure_in_turn, measure_once, run_part, stored
from benchmarks.timed_fits import timed_fit
from benchmarks.timing import ROOT, report
from pushforward.conditions import Condition
from pushforward.ensembles.batch import Batch
from pushforward.randomness import Draws
from pushforward.simulate import simulate
from pushforward.statistics import sliced_wasserstein

REPEATS, MEMBERS, POINTS = 4, 240, 5_000
SETS: dict[str, tuple[int, int, float]] = {
    "cosmic-web": (1000, 2, 1.0),
    "digits": (2000, 2, 10.0),
    "two-moons": (2000, 3, 1.0),
    "decays-16": (300, 3, 10.0),
    "decays-16 for longer": (1200, 2, 5.0),
    "decays-16 at the present rate": (300, 3, 10.0),
    "decays-16 at the present rate for longer": (1200, 2, 5.0),
    "mixture-6": (1000, 3, 1.0),
    "mixture-6 for longer": (4000, 2, 1.0),
}
"""Steps, seeds, and the difference of the loss, in thousandths, beyond which one seed is enough."""
TABLES = {
    "two-moons": {"rate": 5e-3, "width": 64},
    "decays-16": {"rate": 1.25e-3, "width": 256},
    "decays-16 for longer": {"rate": 1.25e-3, "width": 256},
    "decays-16 at the present rate": {"rate": 2.5e-3, "width": 256},
    "decays-16 at the present rate for longer": {"rate": 2.5e-3, "width": 256},
    "mixture-6": {"rate": 4.08e-3, "width": 96},
    "mixture-6 for longer": {"rate": 4.08e-3, "width": 96},
}
"""Sets of vectors, with the learning rate and the width that are changed; the rate of 16 columns was doubled since."""
DEPTHS = ("defaults", "two blocks")
SOME = {
    "decays-16 for longer": ("defaults", "twice the learning rate", "half the batch", "a quarter", "an eighth"),
    "decays-16 at the present rate": DEPTHS,
    "decays-16 at the present rate for longer": DEPTHS,
    "mixture-6": DEPTHS,
    "mixture-6 for longer": DEPTHS,
}
"""Beginnings of the changes that are measured, of sets for which not all are."""
FRESH = ("two-moons", "decays-16", "mixture-6")
"""Sets of vectors whose members are simulated for their distances to others."""
OLDER = {"against the defaults (1e-3)": "same steps (1e-3)"}
"""Columns of earlier tables by another name."""
SAME = 0.1
"""Relative difference of times that counts as none."""
RESOLUTION = 0.05
"""Standard deviation of the logarithm of a measured energy."""


def main(seconds: float = math.inf, *, table: bool = True) -> None:
    """Measure what is not measured yet, beginning nothing after so many seconds."""
    if measure_in_turn(plan(), lambda row: cell(*row), seconds) and table:
        tabulate()


def plan() -> Iterator[tuple[str, str, int, bool]]:
    """Every measurement that the earlier ones ask for, the first seeds first."""
    for seed in range(max(seeds for _, seeds, _ in SETS.values())):
        for data, (_, seeds, _) in reversed(SETS.items()):
            for name in variants(data) if seed < seeds else ():
                if not seed or not is_clearly_worse(data, name):
                    yield data, name, seed, False
                    if is_asked_in_equal_time(data, name):
                        yield data, name, seed, True


def tabulate() -> None:
    """Write the table of what has been measured."""
    tables = {heading(data): rows(data) for data in SETS}
    first, *others = tables
    floors = ", ".join(f"{data} {distance_of(fresh(data, 3), fresh(data, 4)):.4f}" for data in FRESH)
    report(
        "learning",
        f"What teaches more by steps and by time: {first}",
        tables[first],
        notes=[
            f"loss on {MEMBERS} unseen members (of vectors 2000), {REPEATS} times with other noise; mean over seeds "
            "± half their range",
            "same steps: difference of the loss from that of the defaults, in thousandths; less is better",
            f"same time: after as many steps as take the processor time of the defaults; empty where times differ by "
            f"less than {SAME:.0%}, where more time did not help, and where it is not measured yet",
            f"distance: sliced Wasserstein distance of {POINTS} samples to fresh members, in standard deviations of "
            f"the columns; of members to members: {floors}",
            "time: least processor time of a training over seeds, relative to the defaults; on a machine in use, "
            "times of equal work differed by up to a quarter",
            "decays-16, and for longer: the defaults are those before their learning rate was doubled, for what these "
            "tables show",
            "two blocks: instead of three, which remain the default: the gain in equal time nearly vanishes in longer "
            "trainings, which learn less from equally many steps of two",
            "one change of the defaults at a time, all else equal; what is clearly worse has one seed, "
            "and so has what is not measured with more yet; rows that were "
            "not measured anew are kept, with their differences and times from the defaults of then",
        ],
        further={name: tables[name] for name in others},
    )


def heading(data: str) -> str:
    return f"{data}, {SETS[data][0]} steps"


def variants(data: str) -> dict[str, Change]:
    found = of_vectors(**TABLES[data]) if data in TABLES else of_fields()
    return {name: each for name, each in found.items() if name.startswith(SOME.get(data, ""))}


def rows(data: str) -> list[dict[str, Any]]:
    """A row for each variant that was measured with at least one seed, now or for the last table."""
    earlier = earlier_rows(heading(data))
    found = {name: row_of(data, name) or earlier.get(name) for name in variants(data)}
    return [row for row in found.values() if row is not None]


def earlier_rows(title: str) -> dict[str, dict[str, Any]]:
    """The rows of the last table, by their change."""
    record = json.loads((ROOT / "benchmarks" / "results" / "learning.json").read_text())[-1]
    found = record["further"].get(title) or (record["rows"] if title.startswith("cosmic-web") else [])
    return {row["change"]: {OLDER.get(key, key): value for key, value in row.items()} for row in found}


def row_of(data: str, name: str) -> dict[str, Any] | None:
    """Numbers of a variant, and differences from the defaults with the same seeds."""
    pairs = pairs_of(data, name)
    if not pairs:
        return None
    distances = np.array([mine["distance"] for mine, _ in pairs if "distance" in mine])
    in_time = differences(pairs_of(data, name, timed=True))
    return {
        "change": name,
        "loss": _over_seeds(np.array([mine["loss"] for mine, _ in pairs]), ".4f"),
        "same steps (1e-3)": _over_seeds(differences(pairs), "+.2f"),
        "time": f"{relative_time(data, name):.2f}",
        "same time (1e-3)": _over_seeds(in_time, "+.2f") if len(in_time) else "",
        **({"distance": _over_seeds(distances, ".4f")} if len(distances) else {}),
        "seeds": len(pairs),
    }


def pairs_of(data: str, name: str, *, timed: bool = False) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Results of a variant and of the defaults, for each seed that both were measured with."""
    if timed and not is_asked_in_equal_time(data, name):
        return []
    both = [(result(data, name, seed, timed=timed), result(data, "defaults", seed)) for seed in range(SETS[data][1])]
    return [(mine, usual) for mine, usual in both if mine is not None and usual is not None]


def differences(pairs: list[tuple[dict[str, Any], dict[str, Any]]]) -> np.ndarray:
    """Of the loss, in thousandths."""
    return 1e3 * np.array([mine["loss"] - usual["loss"] for mine, usual in pairs])


def relative_time(data: str, name: str) -> float:
    """Of the shortest training of either: other work on the machine can only lengthen one."""
    mine, usual = (min(one["seconds"] for one in each) for each in zip(*pairs_of(data, name), strict=True))
    return mine / usual


def is_clearly_worse(data: str, name: str) -> bool:
    """Whether a variant loses by steps and by time with the first seed, so far that others need not be tried."""
    found = [*differences(pairs_of(data, name)[:1]), *differences(pairs_of(data, name, timed=True)[:1])]
    return min(found) > SETS[data][2]


def is_asked_in_equal_time(data: str, name: str) -> bool:
    """Whether a variant was faster, or was slower and better with the first seed."""
    pairs = pairs_of(data, name)
    if not pairs:
        return False
    ratio = relative_time(data, name)
    return ratio < 1 - SAME or (ratio > 1 + SAME and pairs[0][0]["loss"] < pairs[0][1]["loss"])


def _over_seeds(values: np.ndarray, digits: str) -> str:
    mean = format(values.mean(), digits)
    return mean if len(values) == 1 else f"{mean} ± {format(np.ptp(values) / 2, digits.lstrip('+'))}"


def setting(data: str, name: str, *, timed: bool = False) -> dict[str, Any]:
    """Everything that the numbers of a variant depend on."""
    family, settings, _ = variants(data)[name]
    known = family if isinstance(family, str) else family.__name__
    steps = "as long" if timed else steps_of(data, name)
    return {"family": known, "settings": settings, "steps": steps, "members": MEMBERS}


def steps_of(data: str, name: str, *, timed: bool = False) -> int:
    """Steps of a variant; ``timed``: as many as take the time of the defaults, as far as measured."""
    return round(SETS[data][0] * variants(data)[name][2] / (relative_time(data, name) if timed else 1))


def title_of(data: str, name: str, seed: int, timed: bool) -> str:
    return f"{data}, {name}, {seed}{', same time' * timed}"


def result(data: str, name: str, seed: int, *, timed: bool = False) -> dict[str, Any] | None:
    return stored("learning", title_of(data, name, seed, timed), setting(data, name, timed=timed))


def cell(data: str, name: str, seed: int, timed: bool = False) -> dict[str, Any]:
    title, chosen = title_of(data, name, seed, timed), setting(data, name, timed=timed)
    return measure_once("learning", title, chosen, lambda: measure(data, name, seed, steps_of(data, name, timed=timed)))


def row_of_all_seeds(data: str, name: str) -> None:
    """Measure a change beside the defaults, all seeds in turn, then in equal time."""
    seeds = range(SETS[data][1])
    for seed in seeds:
        for each in ("defaults", name):
            cell(data, each, seed)
    for seed in seeds if is_asked_in_equal_time(data, name) else ():
        cell(data, name, seed, timed=True)
    print(row_of(data, name), flush=True)


def measure(data: str, name: str, seed: int, steps: int) -> dict[str, Any]:
    family, settings, _ = variants(data)[name]
    known, soap = ensemble(data), settings.get("optimiser") == "soap"
    with patch("pushforward.training.optimisers.Muon", Soap) if soap else nullcontext():
        chosen = {**settings, "optimiser": "muon"} if soap else settings
        emulator, seconds = timed_fit(known, family, steps=steps, settings=chosen, seed=seed)
    result = {"loss": loss(emulator, known.test), "seconds": seconds}
    if data in TABLES:
        result["distance"] = distance_of(emulator.sample(POINTS, seed=1).numpy(), fresh(data, 3))
    return result


@cache
def ensemble(data: str) -> pf.Ensemble:
    read = data not in TABLES or data == "two-moons"
    return pf.read(data) if read else pf.Ensemble.from_array(fresh(data, 0, 20_000))


def fresh(data: str, seed: int, count: int = POINTS) -> np.ndarray:
    """Fresh members of a set of vectors, shape ``(count, dim)``."""
    if data == "two-moons":
        return simulate(data, count, seed=seed).x
    known = data.removesuffix(" for longer")
    if known in KNOWN:
        return KNOWN[known].draw(count, seed).float().numpy()
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
    model.measured_in, model.tells_time = model.prediction, False  # a time for each sample
    return float(np.mean([next(model.turns(iter([batch]))).loss.item() for batch in batches]))


if __name__ == "__main__":
    if sys.argv[1] in SETS:
        row_of_all_seeds(sys.argv[1], sys.argv[2])
    else:
        run_part(sys.argv[1:], main, tabulate)
