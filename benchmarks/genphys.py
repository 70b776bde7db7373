"""The processes of GenPhys beside flow matching: distance of samples to the data, on three sets in the plane.

Every process trains the same perceptron for the same number of steps on the same number of samples a step, by
regression of its velocity (see `ProcessFlow`), and flow matching does so too. Data are standardised first, and
distances are in units of their standard deviation.

    python -m benchmarks genphys
    python -m benchmarks.genphys measure 500    # for about 500 s, without a table; the next run goes on from there
"""

from __future__ import annotations

import statistics
import sys

import torch
from examples.genphys.dispersion import FREQUENCIES, is_smoothing
from examples.genphys.process_flow import ProcessFlow
from examples.genphys.processes import PROCESSES, continuity_residual, process, transport_residual
from torch import Tensor

from benchmarks.stored_results import measure_in_turn, measure_once, run_part, stored
from benchmarks.timing import report
from pushforward.ensembles import read
from pushforward.networks import MLP
from pushforward.statistics import wasserstein2

STEPS, BATCH, SAMPLES, SEEDS = 2000, 256, 2000, 1
SETTING = {"steps": STEPS, "batch": BATCH, "samples": SAMPLES}
SETS = ("two-moons", "eight-gaussians", "swiss-roll")
# The parameter of each process, and where it begins and ends: the kernel's reach goes from 0.005 to 40.
SETTINGS: dict[str, tuple[dict[str, float], float, float]] = {
    "diffusion": ({}, 0.005**2 / 2, 40.0**2 / 2),
    "poisson": ({}, 0.005, 40.0),
    "yukawa": ({"mass": 3.0}, 0.005, 3 * 40.0**2),
    "helmholtz": ({"wavenumber": 0.02}, 0.005, 40.0),
    "dissipative-wave": ({"damping": 2.0}, 0.005, 2 * 40.0**2),
}
NAMES = ("two real sets", "flow-matching", *PROCESSES)


class Straight(torch.nn.Module):
    """Flow matching with the same perceptron."""

    def __init__(self) -> None:
        super().__init__()
        self.network = MLP(3, 2, (128, 128, 128))

    def forward(self, z: Tensor, t: Tensor) -> Tensor:
        return self.network(torch.cat([z, t], 1))

    def loss(self, data: Tensor, generator: torch.Generator) -> Tensor:
        t = ((torch.arange(len(data)) + torch.rand(len(data), generator=generator)) / len(data))[:, None]
        noise = torch.randn(data.shape, generator=generator)
        return (self((1 - t) * data + t * noise, t) - (noise - data)).square().mean()

    @torch.no_grad()
    def sample(self, count: int, generator: torch.Generator, steps: int = 100) -> Tensor:
        z, step = torch.randn(count, 2, generator=generator), 1 / steps
        for number in range(steps):
            t = torch.full((count, 1), 1 - number * step)
            slope = self(z, t)
            z = z - step / 2 * (slope + self(z - step * slope, t - step))
        return z


def learner(name: str) -> ProcessFlow | Straight:
    if name == "flow-matching":
        return Straight()
    parameters, first, last = SETTINGS[name]
    return ProcessFlow(process(name, 2, **parameters), first, last)


def trained(name: str, data: Tensor, seed: int, steps: int = STEPS) -> ProcessFlow | Straight:
    """Adam with a cosine, and a power-law average of the weights."""
    torch.manual_seed(seed)
    model, generator = learner(name), torch.Generator().manual_seed(seed)
    parameters = list(model.parameters())
    average = [p.detach().clone() for p in parameters]
    optimiser = torch.optim.Adam(parameters, lr=3e-3, betas=(0.9, 0.99), fused=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    for step in range(steps):
        rows = torch.randint(len(data), (BATCH,), generator=generator)
        optimiser.zero_grad()
        model.loss(data[rows], generator).backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        schedule.step()
        torch._foreach_lerp_(average, [p.detach() for p in parameters], min(1.0, 8 / (step + 1)))
    torch._foreach_copy_([p.detach() for p in parameters], average)
    return model


def standardised(name: str, count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Data to learn and data to be compared with, which have no member in common."""
    x = torch.as_tensor(read(name, members=count + 2 * SAMPLES, seed=seed).take(range(count + 2 * SAMPLES)))
    x = (x - x.mean(0)) / x.std()
    return x[:count], x[count:]


def measured(name: str, data: str, seed: int) -> dict[str, float]:
    learn, rest = standardised(data, 50_000, seed)
    real, other = rest[:SAMPLES], rest[SAMPLES:]
    if name == "two real sets":
        return {"distance": float(wasserstein2(real, other).distance)}
    model = trained(name, learn, seed)
    samples = model.sample(SAMPLES, torch.Generator().manual_seed(seed + 1000))
    return {"distance": float(wasserstein2(samples, real).distance)}


def plan() -> list[tuple[str, str, int]]:
    return [(name, data, seed) for seed in range(SEEDS) for data in SETS for name in NAMES]


def main(seconds: float = float("inf"), *, table: bool = True) -> None:
    """Measure what is not measured yet, beginning nothing after so many seconds."""
    torch.set_num_threads(1)

    def measure(row: tuple[str, str, int]) -> None:
        measure_once("genphys", " ".join(map(str, row)), SETTING, lambda: measured(*row))

    if measure_in_turn(plan(), measure, seconds) and table:
        tabulate()


def tabulate() -> None:
    """The table of what is measured so far."""
    done = {
        row: result["distance"] for row in plan() if (result := stored("genphys", " ".join(map(str, row)), SETTING))
    }
    rows = []
    for name in (*NAMES, *(name for name in FREQUENCIES if name not in PROCESSES)):
        row: dict[str, object] = {"process": name, "smoothing at": "", "continuity": "", "corrected velocity": ""}
        if name in FREQUENCIES:
            row["smoothing at"] = smoothing(name)
        if name in PROCESSES:
            row["continuity"], row["corrected velocity"] = residuals(name)
        for data in SETS:
            values = [distance for (its, on, _), distance in done.items() if (its, on) == (name, data)]
            spread = f" +- {statistics.stdev(values):.3f}" if len(values) > 1 else ""
            row[f"W2, {data}"] = f"{statistics.mean(values):.3f}{spread}" if values else "refused"
        rows.append(row)
    report(
        "genphys",
        "Processes of GenPhys beside flow matching",
        rows,
        notes=[
            f"{STEPS} steps of {BATCH} samples, {SAMPLES} samples judged, one seed, one thread; W2 in units of the"
            " standard deviation of the data.",
            f"Smoothing at: which of {len(WAVENUMBERS)} wavenumbers from 0.001 to 1000 decay faster than the mean,"
            " Im omega(k) < Im omega(0), at the parameters below. The two processes of which none does are refused.",
            "Continuity and corrected velocity: largest relative residual of dp/dt + div J = R and of dq/dt + div(q u)"
            " = 0 by automatic differentiation, at 10,000 points that the process reaches.",
            "Yukawa with m = 3, the dissipative wave with eps = 2; it walks in each coordinate on its own. Helmholtz"
            " with k0 = 0.02: waves longer than 2 pi / k0 = 314 do not decay, and data are nowhere near so wide.",
        ],
    )


WAVENUMBERS = torch.logspace(-3, 3, 601, dtype=torch.float64)


def smoothing(name: str) -> str:
    """At which wavenumbers details are forgotten."""
    parameter = next(iter(SETTINGS[name][0].values()), None) if name in SETTINGS else None
    options = {} if parameter is None else {"parameter": parameter}
    good = is_smoothing(name, WAVENUMBERS, **options)
    if bool(good.all()) or not bool(good.any()):
        return "all" if bool(good.all()) else "none"
    return f"k > {WAVENUMBERS[~good].max().item():.2g}"


def residuals(name: str) -> tuple[float, float]:
    parameters, first, last = SETTINGS[name]
    kind = process(name, 2, **parameters)
    generator = torch.Generator().manual_seed(0)
    part = torch.rand(10_000, 1, generator=generator, dtype=torch.float64)
    t = first * (last / first) ** part
    x = kind.draw(t, generator)[0]
    if name == "dissipative-wave":  # between the fronts
        x = x.clamp(-0.9 * t, 0.9 * t)
    return tuple(float(f(kind, x, t).abs().max()) for f in (continuity_residual, transport_residual))  # type: ignore[return-value]


if __name__ == "__main__":
    run_part(sys.argv[1:], main, tabulate)
