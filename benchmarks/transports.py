"""Diffusion, flow matching, Poisson flows and their few-step students on maps of the cosmic web.

    python -m benchmarks transports
    python -m benchmarks.transports train "pfgm++ D=64"    # one part alone; `transports` goes on from there
    python -m benchmarks.transports judge 500 [MODEL ...]  # for about 500 s
    python -m benchmarks.transports table                  # of what there is

One network, one number of training steps, one core and one seed for all: `cosmic-web`, 64 x 64, conditional on Omega_m
and sigma_8. Every family is sampled with its default sampler, one network evaluation a step (two for a student's second
step are two evaluations as well), at the conditions of the held-out maps. A student starts from its teacher's weights
and has as many training steps again.

What is kept: runs in ``runs/benchmarks/transports``, and each judgement beside them.
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

import pushforward as pf
from benchmarks.stored_results import WORK, measure_once, stored
from benchmarks.timing import ROOT, report
from pushforward.validation.report import Report

STEPS = 7500
CALLS = (1, 2, 4, 8, 16, 32, 64)
FAMILIES: dict[str, tuple[str, dict[str, Any]]] = {
    "flow-matching": ("flow-matching", {}),
    "edm": ("edm", {}),
    "ddpm": ("ddpm", {}),
    "pfgm++ D=64": ("pfgm++", {"D": 64}),
    "pfgm++ D=128": ("pfgm++", {"D": 128}),
    "pfgm++ D=2048": ("pfgm++", {"D": 2048}),
}
TEACHERS = {"consistency of flow-matching": "flow-matching", "consistency of edm": "edm"}
# What coarse weights do, to those families that the authors of PFGM++ compare.
QUANTISED, BITS, QUANTISED_CALLS = ("edm", "pfgm++ D=2048", "pfgm++ D=128", "pfgm++ D=64"), (8, 6, 5, 4), 16
# Fresh simulations, so many that their own scatter leaves the error of a spectrum visible.
FRESH, FRESH_SEED, FRESH_CALLS = 1920, 1, 16
STATISTICS = {
    "power_spectrum": "P(k) (%)",
    "one_point_pdf": "PDF (%)",
    "bispectrum": "bispectrum (σ)",
    "power_scatter": "scatter of ln P(k) (%)",
    "power_correlation": "correlation of ln P(k)",
    "classifier": "classifier (area under ROC curve)",
}
SETTING = {"steps": STEPS}
COLOURS = ("#0072b2", "#d55e00", "#e69f00", "#009e73", "#56b4e9", "#cc79a7", "#222222", "#8a9099")


def run_of(name: str) -> Path:
    return WORK / "transports" / name.replace(" ", "-")


def trained(name: str) -> pf.Emulator:
    """The emulator of a row, trained to the end unless it was before."""
    run = run_of(name)
    if name in FAMILIES:
        family, settings = FAMILIES[name]
    else:
        trained(TEACHERS[name])
        family, settings = "consistency", {"teacher": str(run_of(TEACHERS[name]).relative_to(ROOT))}
    if not finished(name):
        run.mkdir(parents=True, exist_ok=True)
        pf.fit("cosmic-web", family, steps=STEPS, settings=settings, out=run, resume=True, device="cpu", progress=False)
        (run / "finished").touch()
    return pf.Emulator.load(run, device="cpu")


def finished(name: str) -> bool:
    return (run_of(name) / "finished").exists()


class Sampled:
    """An emulator whose samples are drawn with some settings."""

    def __init__(self, emulator: pf.Emulator, **sampling: Any) -> None:
        self.emulator, self.sampling = emulator, sampling

    def __getattr__(self, name: str) -> Any:
        return getattr(self.emulator, name)

    def sample_at(self, condition: Any, seed: int) -> torch.Tensor:
        return self.emulator.sample_at(condition, seed=seed, **self.sampling)


def validated(emulator: pf.Emulator, calls: int, ensemble: Any = None) -> Report:
    ensemble = pf.read("cosmic-web") if ensemble is None else ensemble
    sampled: Any = Sampled(emulator, steps=calls)
    report = pf.validate(sampled, ensemble, samples=len(ensemble), progress=False)
    assert isinstance(report, Report)
    return report


def scores(emulator: pf.Emulator, calls: int) -> dict[str, Any]:
    """Value and error of each statistic with so many evaluations per sample, and milliseconds per sample."""
    report = validated(emulator, calls)
    result: dict[str, Any] = {key: [report.verdict(key).value, report.verdict(key).error] for key in STATISTICS}
    return {**result, "milliseconds": report.timing["milliseconds_per_sample"]}


def floors(emulator: pf.Emulator) -> dict[str, Any]:
    """Statistics of real maps against other real maps: middle, low and high end of the 95 % range."""
    report = validated(emulator, 1)
    verdicts = [report.verdict(key) for key in STATISTICS]
    return {each.statistic: [each.floor, each.floor_low, each.floor_high] for each in verdicts}


def scores_on_many(emulator: pf.Emulator) -> dict[str, Any]:
    """The error of P(k) on many fresh maps, of which half are the reference; its floor is the other half's."""
    fresh = pf.read("cosmic-web", members=2 * FRESH, seed=FRESH_SEED)
    verdict = validated(emulator, FRESH_CALLS, fresh).verdict("power_spectrum")
    return {"value": verdict.value, "error": verdict.error, "floor": [verdict.floor, verdict.floor_high]}


@contextlib.contextmanager
def quantised(emulator: pf.Emulator, bits: int) -> Iterator[None]:
    """Weights of the network on a grid of 2^bits - 1 equal steps, a scale for each tensor, as integers would hold."""
    weights = [p for p in emulator.model.network.parameters() if p.dim() > 1]  # type: ignore[union-attr]
    before = [p.detach().clone() for p in weights]
    with torch.no_grad():
        for p in weights:
            scale = p.abs().max().clamp_min(1e-12) / (2 ** (bits - 1) - 1)
            p.copy_((p / scale).round() * scale)
    yield
    with torch.no_grad():
        for p, value in zip(weights, before, strict=True):
            p.copy_(value)


def judgements() -> Iterator[tuple[str, str, dict[str, Any], Any]]:
    """Name, whose emulator, setting and function of every judgement, those first that matter most."""
    names = [*FAMILIES, *TEACHERS]
    yield "floor", "flow-matching", SETTING, floors
    for calls in (16, 4, 2, 1, 8, 32, 64):
        for name in names:
            yield f"{name} {calls}", name, SETTING, lambda emulator, calls=calls: scores(emulator, calls)
        if calls == 1:
            for name in names[: len(FAMILIES)]:
                setting = {**SETTING, "fresh": FRESH, "calls": FRESH_CALLS}
                yield f"{name} fresh", name, setting, scores_on_many
        if calls == 8:
            for bits in BITS:
                for name in QUANTISED:

                    def coarse(emulator: pf.Emulator, bits: int = bits) -> dict[str, Any]:
                        with quantised(emulator, bits):
                            return scores(emulator, QUANTISED_CALLS)

                    yield f"{name} {bits} bits", name, {**SETTING, "calls": QUANTISED_CALLS}, coarse


def main(seconds: float = float("inf"), *, table: bool = True, all_trained: bool = True, only: Any = None) -> None:
    """Train and judge what is not done yet, beginning nothing after so many seconds; all models or those named."""
    torch.set_num_threads(1)
    began = time.perf_counter()
    loaded: dict[str, pf.Emulator] = {}
    for name, whose, setting, function in judgements():
        if (
            stored("transports", name, setting)
            or not (all_trained or finished(whose))
            or whose not in (only or [whose])
        ):
            continue
        if time.perf_counter() - began > seconds:
            return
        if whose not in loaded:
            loaded[whose] = trained(whose)
        measure_once("transports", name, setting, lambda f=function, e=loaded[whose]: f(e))
    if table:
        tabulate()


def tabulate() -> None:
    """The page, of what is measured so far."""
    done = {name: result for name, _, setting, _ in judgements() if (result := stored("transports", name, setting))}
    names = [name for name in (*FAMILIES, *TEACHERS) if any(f"{name} {calls}" in done for calls in CALLS)]
    measured = [calls for calls in CALLS if any(f"{name} {calls}" in done for name in names)]
    floor = done["floor"]
    rows = []
    for key, label in STATISTICS.items():
        for name in names:
            row: dict[str, Any] = {"statistic": label, "model": name}
            for calls in measured:
                result = done.get(f"{name} {calls}")
                row[f"{calls}"] = f"{result[key][0]:.3g} ± {result[key][1]:.1g}" if result else ""
            row["floor"] = "{:.3g} ({:.3g} to {:.3g})".format(*floor[key])
            rows.append(row)
    many = [
        {
            "model": name,
            f"P(k) (%), {FRESH} fresh maps": f"{result['value']:.2f} ± {result['error']:.2f}",
            "floor": "{:.2f} (up to {:.2f})".format(*result["floor"]),
        }
        for name in FAMILIES
        if (result := done.get(f"{name} fresh"))
    ]
    coarse = []
    for name in QUANTISED if any(f"{name} {BITS[0]} bits" in done for name in QUANTISED) else ():
        whole = done.get(f"{name} {QUANTISED_CALLS}")
        row = {"model": name}
        for key in ("power_spectrum", "classifier"):
            for bits, result in [("32", whole), *((str(b), done.get(f"{name} {b} bits")) for b in BITS)]:
                row[f"{STATISTICS[key]}, {bits} bits"] = f"{result[key][0]:.3g}" if result else ""
        coarse.append(row)
    if len(measured) > 2:
        draw(done, names)
    left = [name for name in (*FAMILIES, *TEACHERS) if name not in names]
    waiting = [f"{calls}" for calls in CALLS if calls not in measured]
    report(
        "transports",
        "Transports on maps of the cosmic web, by network evaluations",
        rows,
        notes=[
            f"{STEPS} training steps of 8 maps each, seed 0, the same U-Net; a consistency model starts from its "
            "teacher and has as many steps again. Columns: network evaluations a sample.",
            "Sampled with the default `adams` (its first step is Euler's); consistency models with their own sampler.",
            "Value ± standard error from the finite number of maps, on the 480 held-out maps (40 simulations); floor: "
            "real maps against other real maps, with the 95 % range.",
            f"On {FRESH} fresh maps: {FRESH_CALLS} evaluations, {FRESH} other fresh maps as the reference.",
            *([f"Not measured yet: {', '.join(left)}."] if left else []),
            *(
                [f"Not measured yet: {', '.join(waiting)} evaluations{'' if coarse else '; coarse weights'}."]
                if waiting
                else []
            ),
        ],
        figure="![Errors against network evaluations](../images/transports.png)" if len(measured) > 2 else "",
        further={
            "The power spectrum on more maps": many,
            "Coarse weights": coarse,
        },
    )


def draw(done: dict[str, Any], names: list[str]) -> None:
    """Each statistic against evaluations, with the range of real maps."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, grid = plt.subplots(2, 3, figsize=(11.5, 6.6), layout="constrained", sharex=True)
    for axes, (key, label) in zip(grid.flat, STATISTICS.items(), strict=True):
        _, low, high = done["floor"][key]
        axes.axhspan(low, high, color="0.9", lw=0, label="real against real")
        for name, colour in zip(names, COLOURS, strict=False):
            result = {calls: done[f"{name} {calls}"][key] for calls in CALLS if f"{name} {calls}" in done}
            style = "--" if name in TEACHERS else "-"
            axes.plot(
                list(result), [value for value, _ in result.values()], style, c=colour, marker="o", ms=3.5, label=name
            )
        axes.set(xscale="log", title=label)
        if key != "classifier":
            axes.set_yscale("log")
        axes.title.set_size(10)
        axes.set_xticks(CALLS, [str(calls) for calls in CALLS])
        axes.minorticks_off()
        axes.spines[["top", "right"]].set_visible(False)
    for axes in grid[1]:
        axes.set_xlabel("network evaluations a sample")
    handles, labels = grid[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=5, frameon=False, fontsize=8)
    figure.savefig(ROOT / "docs" / "images" / "transports.png", dpi=120)
    plt.close(figure)


if __name__ == "__main__":
    torch.set_num_threads(1)
    command, *words = sys.argv[1:]
    if command == "train":
        trained(words[0])
    elif command == "table":
        tabulate()
    else:
        main(float(words[0]), table=False, all_trained=False, only=words[1:])
