"""Does the game of critic and generator stay together on maps? Seeds of wgan-gp on the cosmic web.

Defaults of the family, 64 x 64 maps conditional on Omega_m and sigma_8, with a constant learning rate, so that each run
is the beginning of a longer one. At every step the variances of the wavelet coefficients in a batch of the generator
are compared with those in a batch of the data, by the largest abs(ln ratio) of any channel, and the power of the
longest waves, of one to three periods per side, by ln ratio: few modes, of which variances of coefficients tell little.
A run has diverged if training stopped with an error, or if the mean of either over its last 50 steps exceeds ln 2.
Averaged weights are judged on the held-out maps. Beside the defaults, the same game without the normalisation of power
(`pushforward.models.power_normalisation`), and that with a spectrum that is learnt by gradients instead of fitted once,
with normal scores over all conditions together (`pushforward.models.conditional_scores`), and with all of these and a
spectrum that was fitted to one batch.

    python -m benchmarks adversarial_stability
    python -m benchmarks.adversarial_stability "wgan-gp" 0 1 2     # these seeds alone, without a table
    python -m benchmarks.adversarial_stability table               # a table of what has been measured
"""

from __future__ import annotations

import json
import math
import statistics
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

import pushforward as pf
from benchmarks.stored_results import measure_once, stored
from benchmarks.timing import report
from pushforward.conditions import Condition
from pushforward.ensembles import builtin
from pushforward.errors import TrainingError
from pushforward.models import Batch, Player, Turn
from pushforward.models.conditional_scores import ConditionalScores
from pushforward.models.generator_coordinates import GeneratorCoordinates
from pushforward.models.stationary import GaussianField
from pushforward.models.wgan import WGANGP
from pushforward.spaces import Field
from pushforward.statistics import power_spectrum
from pushforward.validation import judge

STEPS, LAST = 300, 50
DEFAULTS = WGANGP.training_defaults_for(Field(1, (64, 64), periodic=True))
RATE, BATCH = DEFAULTS["learning_rate"], DEFAULTS["batch_size"]
JUDGED = ("power_spectrum", "coverage", "one_point_pdf")


class Watched(WGANGP):
    """wgan-gp that logs how far the variances of generated coefficients are from those of the data."""

    def turns(self, batches: Iterator[Batch]) -> Iterator[Turn]:
        for turn in super().turns(batches):
            if turn.player == "generator":
                batch = next(batches)
                with torch.no_grad():
                    fake, real = self._generate(batch.draws, batch.condition).float(), self._real(batch)
                    made, wanted = (x.transpose(0, 1).flatten(1).var(1) for x in (fake, real))
                    longest = [_longest(x) for x in (self.coordinates.inverse(fake, batch.condition), batch.x)]
                turn.logs["excess"] = (made / wanted).log().abs().max()
                turn.logs["longest"] = (longest[0] / longest[1]).log()
            yield turn


class Unnormalised(Watched):
    """The same, with the power of generated fields a part of the game."""

    def _made(self, z: torch.Tensor, condition: Condition | None, *, update: bool = False) -> torch.Tensor:
        return self.generator(z, condition)


class Learnt(Unnormalised):
    """The same, with mean and spectrum fitted further by gradients of their likelihood, as a third player."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        assert self.coordinates.gaussian is not None
        self.coordinates.gaussian.requires_grad_(True)

    def players(self) -> dict[str, Player]:
        assert self.coordinates.gaussian is not None
        parameters = list(self.coordinates.gaussian.parameters())
        return {**super().players(), "spectrum": Player(parameters, rate=4.0, betas=(0.9, 0.99))}

    def turns(self, batches: Iterator[Batch]) -> Iterator[Turn]:
        yield from super().turns(batches)
        batch, coordinates = next(batches), self.coordinates
        assert coordinates.gaussian is not None
        assert coordinates.scores is not None
        log_prob = coordinates.gaussian.log_prob(coordinates.scores(batch.x, batch.condition), batch.condition).mean()
        yield Turn("spectrum", -log_prob / self.space.size, {})


class Pooled(Unnormalised):
    """`Unnormalised`, with values that are normal scores over all conditions, and at none of them."""

    def prepare(self, batch: Batch) -> None:
        super().prepare(batch)
        _take_scores_back(self.coordinates)
        assert self.coordinates.gaussian is not None
        self.coordinates.gaussian.fit(batch.x, batch.condition)


class FromOneBatch(Learnt):
    """`Learnt` and `Pooled`, from a spectrum of one batch that is the same at all conditions."""

    def prepare(self, batch: Batch) -> None:
        super().prepare(batch)
        field = _take_scores_back(self.coordinates)
        self.coordinates.gaussian = GaussianField(field, self.coordinates.condition)
        self.coordinates.gaussian.fit(batch.x[:BATCH])


def _take_scores_back(coordinates: GeneratorCoordinates) -> Field:
    """Make the scores at every condition the identity, as before they were fitted; returns the space of the fields."""
    assert isinstance(coordinates.samples, Field)
    coordinates.scores = ConditionalScores(coordinates.samples, coordinates.condition)
    return coordinates.samples


def _longest(x: torch.Tensor) -> torch.Tensor:
    """Mean power of waves of one to three periods per side."""
    return power_spectrum(x, box=1.0).power[..., :3].mean()


RECIPES: dict[str, tuple[type[Watched], int]] = {
    "wgan-gp": (Watched, 10),
    "wgan-gp, power not normalised": (Unnormalised, 3),
    "wgan-gp, power not normalised, spectrum learnt": (Learnt, 3),
    "wgan-gp, power not normalised, scores over all conditions": (Pooled, 3),
    "wgan-gp, all of these, from one batch": (FromOneBatch, 3),
}
"""Class, and the number of seeds, the first of which is 0."""


def main() -> None:
    for recipe, (_, seeds) in RECIPES.items():
        for seed in range(seeds):
            cell(recipe, seed)
    tabulate()


def tabulate() -> None:
    """The tables of what is measured so far."""
    rows, single = [], []
    for recipe, (_, seeds) in RECIPES.items():
        found = {seed: stored("adversarial_stability", f"{recipe} {seed}", setting(seed)) for seed in range(seeds)}
        runs = {seed: run for seed, run in found.items() if run is not None}
        if not runs:
            continue
        rows.append(
            {
                "recipe": recipe,
                "diverged": f"{sum(each['diverged'] for each in runs.values())} of {len(runs)}",
                "abs(ln variance ratio), last 50 steps": _spread([each["last"] for each in runs.values()], 2),
                "largest after step 100": f"{max(each['largest'] for each in runs.values()):.2f}",
                "ln ratio of longest waves": _spread([each["longest"] for each in runs.values()], 2),
                **{
                    _heading(runs[0], name): _spread(
                        [each["judged"][name]["value"] for each in runs.values()], 3, name == "coverage"
                    )
                    for name in JUDGED
                },
            }
        )
        single += [
            {
                "recipe": recipe,
                "seed": seed,
                "last 50 steps": f"{each['last']:.2f}",
                "largest after step 100": f"{each['largest']:.2f}",
                "longest waves": f"{each['longest']:.2f}",
                **{
                    _heading(each, name): f"{each['judged'][name]['value']:.3g} ({each['judged'][name]['floor']:.3g})"
                    for name in JUDGED
                },
            }
            for seed, each in runs.items()
        ]
    report(
        "adversarial_stability",
        "Adversarial training on maps",
        rows,
        further={"Single seeds": single},
        notes=[
            f"cosmic-web, 64 x 64, default settings, {STEPS} steps with a constant learning rate of {RATE:g}; mean ± "
            "standard deviation over the seeds.",
            "abs(ln variance ratio): of the channel of wavelet coefficients farthest from the data, in batches of 16; "
            f"above {math.log(2):.2f} over the last {LAST} steps counts as divergence, and so does the ln ratio of the "
            "power of the longest waves. Both are of normal scores and of the latest weights; the other statistics are "
            "of averaged ones.",
            "Of the single seeds in brackets: the same statistic of real maps against other real maps.",
        ],
    )


def setting(seed: int) -> dict[str, Any]:
    return {"steps": STEPS, "seed": seed, "longest": True, "fitted spectrum": True}


def cell(recipe: str, seed: int) -> dict[str, Any]:
    kind = RECIPES[recipe][0]
    return measure_once("adversarial_stability", f"{recipe} {seed}", setting(seed), lambda: measured(kind, seed))


def measured(kind: type[Watched], seed: int) -> dict[str, Any]:
    torch.set_num_threads(1)
    data, stopped = builtin.simulate("cosmic-web"), ""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        options: dict[str, Any] = {"log_every": 0, "rate_schedule": "constant"}
        judged: dict[str, Any] = {name: {"value": math.nan, "floor": math.nan} for name in JUDGED}
        try:
            emulator = pf.fit(
                data, kind, steps=STEPS, seed=seed, out=out, settings=options, device="cpu", progress=False
            )
            samples = emulator.sample_at(data.test.conditions, seed=seed)
            report = judge(samples, data.test, train=data.train, progress=False)
            for each in report.verdicts:
                if each.statistic in JUDGED:
                    judged[each.statistic] = {
                        "label": each.label,
                        "unit": each.unit,
                        "value": each.value,
                        "floor": each.floor,
                    }
        except TrainingError as problem:
            stopped = str(problem)
        lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    excess, longest = (
        [line[f"generator/{name}"] for line in lines if f"generator/{name}" in line] for name in ("excess", "longest")
    )
    last, waves = (statistics.fmean(each[-LAST:]) for each in (excess, longest))
    return {
        "last": last,
        "longest": waves,
        "largest": max(excess[100:], default=math.nan),
        "course": [round(value, 3) for value in excess[::10]],
        "stopped": stopped,
        "diverged": bool(stopped) or not max(last, abs(waves)) < math.log(2),
        "judged": judged,
    }


def _heading(run: dict[str, Any], name: str) -> str:
    verdict = run["judged"][name]
    return verdict.get("label", name) + (f", {verdict['unit']}" if verdict.get("unit") else "")


def _spread(values: list[float], digits: int, larger_is_better: bool = False) -> str:
    middle, worst = f"{statistics.fmean(values):.{digits}g}", min(values) if larger_is_better else max(values)
    return f"{middle} ± {statistics.stdev(values):.2g} (worst {worst:.{digits}g})" if len(values) > 1 else middle


if __name__ == "__main__":
    if sys.argv[1:] == ["table"]:
        tabulate()
    else:
        for number in sys.argv[2:]:
            cell(sys.argv[1], int(number))
