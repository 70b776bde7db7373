"""Flow matching in the plane beside torchcfm: distance to the data, energy of the paths, time of a step.

The protocol is that of Tong et al. 2023 (https://arxiv.org/abs/2307.03672, table 2): the 2-Wasserstein distance of
10,000 samples to 10,000 of the data (`benchmarks.plane_sets`), over five seeds. Both sides train the network of
torchcfm (three hidden layers of 64) for the same number of steps on the same number of fresh samples a step, and both
are sampled with the same solver (dopri5, tolerance 1e-4). torchcfm is used as its examples use it: Adam at 1e-3, sigma
0.1; a second row sets its sigma to 0, which is what pushforward's straight lines have. pushforward is used with Adam at
5e-3, its schedule and its average; a second row, on the moons, steps the hidden layers by Muon at the same rate.

A run keeps what it has done after every measurement and goes on from there (see `benchmarks.stored_results`):

    python -m benchmarks optimal_transport
    python -m benchmarks.optimal_transport measure 500    # for about 500 s, without a table
    python -m benchmarks.optimal_transport speed          # the training step alone
    python -m benchmarks.optimal_transport perfect        # what a perfect model of the moons would be given
"""

from __future__ import annotations

import json
import multiprocessing
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from multiprocessing.connection import Connection
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from benchmarks.plane_sets import TASKS, eight_gaussians, independent_moons, moons, normal
from benchmarks.stored_results import measure_in_turn, measure_once, run_part, stored
from benchmarks.timing import ROOT, report
from pushforward.ensembles.batch import Batch, PairBatch
from pushforward.models import Player, Turn
from pushforward.models.between import Between
from pushforward.randomness import Draws
from pushforward.spaces import Vector
from pushforward.statistics import wasserstein2
from pushforward.tensors import keep_freed_memory
from pushforward.training.averaging import PowerAverage
from pushforward.training.optimisers import Optimisers
from pushforward.training.prefetch import Prefetched
from pushforward.training.settings import TrainingSettings

STEPS, BATCH, SAMPLES, SEEDS = 10_000, 128, 10_000, 5
SETTING = {"steps": STEPS, "batch": BATCH, "samples": SAMPLES}
OURS = {"pushforward": "adam", "pushforward, Muon": "muon"}
"""Optimiser of our sides."""
SIGMAS = {"torchcfm": 0.1, "torchcfm, sigma 0": 0.0}
COUPLINGS = ("ot", "independent")
ROUNDS, CALLS, WARM_UP = 12, 200, 50
"""Rounds of the measurement of steps, steps of a round, and steps before."""
PUBLISHED = {  # OT-CFM and I-CFM of the table, mean of five seeds
    "ot": {
        "normal to 8 Gaussians": 0.303,
        "normal to moons": 0.130,
        "moons to 8 Gaussians": 0.601,
        "normal to S": 0.144,
    },
    "independent": {
        "normal to 8 Gaussians": 0.373,
        "normal to moons": 0.178,
        "moons to 8 Gaussians": 1.557,
        "normal to S": 0.242,
    },
}


class Network(nn.Module):
    """torchcfm's network, called our way."""

    def __init__(self) -> None:
        super().__init__()
        from torchcfm.models.models import MLP

        self.mlp = MLP(dim=2, w=64, time_varying=True)

    def forward(self, z: Tensor, t: Tensor, condition: Tensor | None = None) -> Tensor:
        return self.mlp(torch.cat([z, t.expand(len(z))[:, None]], 1))


class Ours:
    """Straight lines, exact plans, stratified times; the optimiser and the average of the package's loop."""

    def __init__(self, optimal: bool, optimiser: str = "adam", steps: int = STEPS) -> None:
        self.between = Between(Vector(2), network=Network(), pairs=BATCH if optimal else 1)
        parameters = list(self.between.parameters())
        settings = TrainingSettings.model_validate(
            {"learning_rate": 5e-3, "betas": (0.9, 0.99), "optimiser": optimiser}
        )
        model = SimpleNamespace(players=lambda: {"model": Player(parameters)}, parameters=lambda: iter(parameters))
        self.optimisers = Optimisers(model, settings, Fabric(accelerator="cpu", devices=1))  # type: ignore[arg-type]
        self.average, self.parameters = PowerAverage(parameters, 0.1), parameters
        self.steps, self.count = steps, 0

    def step(self, a: Tensor, b: Tensor, *, paired: bool = False) -> None:
        loss = self.between.loss(a, b, Draws(self.count, len(a)), paired=paired)
        self.optimisers.take(Turn("model", loss, {}), min(1.0, (self.count + 0.5) / self.steps))
        self.count += 1
        self.average.update(self.count)

    def finish(self) -> None:
        torch._foreach_copy_([p.detach() for p in self.parameters], self.average.values)


class Torchcfm:
    def __init__(self, optimal: bool, sigma: float) -> None:
        from torchcfm import ConditionalFlowMatcher, ExactOptimalTransportConditionalFlowMatcher

        self.between = Between(Vector(2), network=Network())
        self.matcher = (ExactOptimalTransportConditionalFlowMatcher if optimal else ConditionalFlowMatcher)(sigma=sigma)
        self.optimiser = torch.optim.Adam(self.between.parameters())

    def step(self, a: Tensor, b: Tensor) -> None:
        self.optimiser.zero_grad()
        t, z, velocity = self.matcher.sample_location_and_conditional_flow(a, b)
        prediction = self.between.network.mlp(torch.cat([z, t[:, None]], dim=-1))
        loss = torch.mean((prediction - velocity) ** 2)
        loss.backward()
        self.optimiser.step()

    def finish(self) -> None:
        pass


def learner(side: str, coupling: str) -> Ours | Torchcfm:
    optimal = coupling == "ot"
    return Ours(optimal, OURS[side]) if side in OURS else Torchcfm(optimal, SIGMAS[side])


def measured(task: str, side: str, coupling: str, seed: int) -> dict[str, float]:
    """Train and sample once."""
    source, target = TASKS[task]
    rng = np.random.default_rng([1, seed])
    torch.manual_seed(seed)
    np.random.seed(seed)  # noqa: NPY002 (torchcfm draws from its plans with it)
    pool = 200_000
    order = [torch.from_numpy(rng.permutation(pool)) for _ in range(2)]
    a, b = source(pool, rng)[order[0]], target(pool, rng)[order[1]]
    chosen = learner(side, coupling)
    start = time.perf_counter()
    for step in range(STEPS):
        rows = slice(step * BATCH % (pool - BATCH), step * BATCH % (pool - BATCH) + BATCH)
        chosen.step(a[rows], b[rows])
    seconds = time.perf_counter() - start
    chosen.finish()
    fresh = np.random.default_rng([2, seed])
    start_points, real = source(SAMPLES, fresh), target(SAMPLES, fresh)
    samples, energy = chosen.between.move(start_points, "b")
    return {
        "distance": float(wasserstein2(samples, real).distance),
        "energy": float(energy.mean()),
        "milliseconds": 1e3 * seconds / STEPS,
    }


def floor(task: str, seed: int) -> dict[str, float]:
    """Two real sets."""
    target = TASKS[task][1]
    rng = np.random.default_rng([3, seed])
    return {"distance": float(wasserstein2(target(SAMPLES, rng), target(SAMPLES, rng)).distance)}


def perfect_moons() -> None:
    """Print what a perfect model of the moons would be given: the data have equally many points on both."""
    found = []
    for seed in range(SEEDS):
        rng = np.random.default_rng([2, seed])
        normal(SAMPLES, rng)
        samples = independent_moons(SAMPLES, np.random.default_rng([7, seed]))
        found.append(float(wasserstein2(samples, moons(SAMPLES, rng)).distance))
        print(f"{SAMPLES} independent points of the moons, seed {seed}: {found[-1]:.3f}", flush=True)
    print(f"mean {_spread(found)}")


def least_energy(task: str) -> dict[str, float]:
    """Of the motion from the source to the target: their squared distance."""
    source, target = TASKS[task]
    rng = np.random.default_rng([3, SEEDS])
    return {"energy": float(wasserstein2(source(SAMPLES, rng), target(SAMPLES, rng)).distance) ** 2}


Row = tuple[str, str, str, int]
FLOOR, LEAST = "two real sets", "least energy"


def plan() -> list[Row]:
    """Every measurement, those first that matter most."""

    def rows(sides: list[tuple[str, str]], seed: int) -> list[Row]:
        return [(task, side, coupling, seed) for task in TASKS for side, coupling in sides]

    ours, theirs = [("pushforward", "ot")], [("torchcfm", "ot")]
    independent = [("pushforward", "independent"), ("torchcfm", "independent")]
    first = rows([*ours, *theirs, (FLOOR, ""), (LEAST, "")], 0)
    more = [row for sides in (ours, theirs, [(FLOOR, "")]) for seed in range(1, SEEDS) for row in rows(sides, seed)]
    rest = [row for seed in range(SEEDS) for row in rows(independent, seed)]
    muon = [("normal to moons", "pushforward, Muon", "ot", seed) for seed in range(SEEDS)]
    return first + more + muon + rest + rows([("torchcfm, sigma 0", "ot"), ("torchcfm, sigma 0", "independent")], 0)


def name_of(row: Row) -> str:
    task, side, coupling, seed = row
    # What two real sets give does not depend on the source.
    task = TASKS[task][1].__name__ if side == FLOOR else task
    return " ".join(filter(None, [task, side, coupling, str(seed)]))


def measure_row(row: Row) -> dict[str, float]:
    """A measurement, made unless it was before."""
    task, side, coupling, seed = row

    def measure() -> dict[str, float]:
        if side == FLOOR:
            return floor(task, seed)
        return least_energy(task) if side == LEAST else measured(task, side, coupling, seed)

    return measure_once("optimal_transport", name_of(row), SETTING, measure)


def main(seconds: float = float("inf"), *, table: bool = True) -> None:
    """Measure what is not measured yet, beginning nothing after so many seconds."""
    torch.set_num_threads(1)
    if measure_in_turn(plan(), measure_row, seconds) and table:
        tabulate()


def tabulate() -> None:
    """The table of what is measured so far."""
    done = {row: result for row in plan() if (result := stored("optimal_transport", name_of(row), SETTING))}
    earlier = earlier_rows()
    rows = []
    for task in TASKS:
        floors = [result["distance"] for (its, side, _, _), result in done.items() if (its, side) == (task, FLOOR)]
        kept = next((each[0]["W2 of two real sets"] for (its, *_), each in earlier.items() if its == task), "")
        for coupling in COUPLINGS:
            for side in (*OURS, *SIGMAS):
                runs = [run for key, run in done.items() if key[:3] == (task, side, coupling)]
                if not runs:
                    rows += earlier.get((task, coupling, side), [])
                    continue
                least = done.get((task, LEAST, "", 0), {}).get("energy")
                rows.append(
                    {
                        "task": task,
                        "pairs": coupling,
                        "side": side,
                        "seeds": len(runs),
                        "W2": _spread([run["distance"] for run in runs]),
                        "W2 of two real sets": _spread(floors) or kept,
                        "W2 published": PUBLISHED[coupling][task],
                        "normalised path energy": _spread([abs(run["energy"] - least) / least for run in runs])
                        if least
                        else "",
                    }
                )
    report(
        "optimal_transport",
        "Flow matching in the plane beside torchcfm",
        rows,
        notes=[
            f"{STEPS} steps of {BATCH} samples, {SAMPLES} samples judged, one thread; mean +- standard deviation.",
            "Published: OT-CFM and I-CFM of Tong et al. 2023, table 2.",
            "Rows that were not measured anew are kept from the table before.",
            *step_times(),
        ],
        packages=["torchcfm", "pot"],
    )


def earlier_rows() -> dict[tuple[str, str, str], list[dict[str, Any]]]:
    """The row of the last table for each task, pairs and side, in a list."""
    path = ROOT / "benchmarks" / "results" / "optimal_transport.json"
    record = json.loads(path.read_text())[-1] if path.exists() else {"rows": []}
    return {(row["task"], row["pairs"], row["side"]): [row] for row in record["rows"]}


def step_times(threads: int = 1) -> list[str]:
    """The training step of both, in turn, each in a process of its own as a user would run it.

    Ours keeps freed memory, as `fit` does, and makes plans ahead in the loop's own thread. Times are of the processor,
    all threads counted, so that what else runs on the machine counts little.
    """
    setting = {"rounds": ROUNDS, "calls": CALLS, "threads": threads}
    return [
        measure_once(
            "optimal_transport",
            f"step, {coupling}, {batch}, {threads}",
            setting,
            lambda coupling=coupling, batch=batch: {"line": _step_time(coupling, batch, threads)},
        )["line"]
        for coupling in COUPLINGS
        for batch in (128, 256)
    ]


def _step_time(coupling: str, batch: int, threads: int) -> str:
    ours, theirs = [_Steps(side, coupling, batch, threads) for side in ("pushforward", "torchcfm")]
    rounds = [(ours.milliseconds(), theirs.milliseconds()) for _ in range(ROUNDS)]
    for each in (ours, theirs):
        each.close()
    mine, other = (statistics.median(each) for each in zip(*rounds, strict=True))
    ratios = sorted(second / first for first, second in rounds)
    return (
        f"Training step, {coupling} pairs, batch {batch}, {threads} thread{'s' * (threads - 1)}: "
        f"{mine:.3g} ms, torchcfm {other:.3g} ms; {statistics.median(ratios):.2f} times as fast "
        f"({ratios[ROUNDS // 4]:.2f} - {ratios[-1 - ROUNDS // 4]:.2f})."
    )


class _Steps:
    """Training steps of one side, made on demand in a process of its own."""

    def __init__(self, side: str, coupling: str, batch: int, threads: int) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, side, coupling, batch, threads), daemon=True)
        self.process.start()
        self.connection.recv()

    def milliseconds(self) -> float:
        """Mean processor time per step, over `CALLS` steps."""
        self.connection.send(CALLS)
        return 1e3 * self.connection.recv() / CALLS

    def close(self) -> None:
        self.connection.send(0)
        self.process.join()


def _serve(connection: Connection, side: str, coupling: str, batch: int, threads: int) -> None:
    """Make as many steps as each message asks for and answer with their processor time; 0 ends the process."""
    torch.set_num_threads(threads)
    rng = np.random.default_rng(0)
    a, b = normal(batch, rng), eight_gaussians(batch, rng)
    chosen = learner(side, coupling)
    step, close = partial(chosen.step, a, b), None
    if isinstance(chosen, Ours):
        keep_freed_memory()
        if coupling == "ot":
            chosen.between.pairs = batch
            batches = Prefetched(_paired(chosen.between, a, b), 1, busy=True)
            step, close = (lambda: chosen.step(a, next(batches).b, paired=True)), batches.close
    for _ in range(WARM_UP):
        step()
    connection.send(None)
    while calls := connection.recv():
        start = time.process_time()
        for _ in range(calls):
            step()
        connection.send(time.process_time() - start)
    if close is not None:
        close()


def _paired(between: Between, a: Tensor, b: Tensor) -> Callable[[int], Batch]:
    """The same batch again and again, with a plan made for it each time."""
    return lambda number: PairBatch(a, None, Draws(number, len(a)), b=between.pair(a, b), paired=True)


def _spread(values: list[float]) -> str:
    if not values:
        return ""
    spread = f" +- {statistics.stdev(values):.3f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.3f}{spread}"


if __name__ == "__main__":
    if sys.argv[1] == "speed":
        step_times()
    elif sys.argv[1] == "perfect":
        perfect_moons()
    else:
        run_part(sys.argv[1:], main, tabulate)
