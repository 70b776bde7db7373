"""`validate`: judge an emulator by the statistics of its space, each beside what real data give against real data."""

from __future__ import annotations

import json
import shlex
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from pushforward.spaces import Field, Series, Vector
from pushforward.validation.conditions import judge_conditions
from pushforward.validation.evolution_report import EvolutionReport, validate_evolution
from pushforward.validation.features import describe
from pushforward.validation.fields import judge_fields
from pushforward.validation.material import Material, gather
from pushforward.validation.pairs import judge_pairs
from pushforward.validation.progress import progress_bar
from pushforward.validation.report import Report
from pushforward.validation.series import judge_series
from pushforward.validation.sets import judge_sets, nearest_training
from pushforward.validation.vectors import judge_density, judge_vectors

if TYPE_CHECKING:
    from pushforward.emulator import Emulator
    from pushforward.ensembles import Ensemble

__all__ = ["validate"]


def validate(
    emulator: Emulator,
    ensemble: Ensemble | None = None,
    *,
    samples: int | None = None,
    seed: int = 0,
    out: str | Path | None = None,
    progress: bool = True,
) -> Report | EvolutionReport:
    """Generate samples at the conditions of unseen members, and compare them with these members.

    What a model of motion makes of unseen initial states is compared with what became of them (`EvolutionReport`).

    Every discrepancy stands beside its floor, the same for real data against other real data, and has an error bar from
    the finite number of samples.

    Arguments:
        emulator: what is judged.
        ensemble: what it is judged by: its test split if the emulator was trained on it, all of it if it is another
            data set; None reads the emulator's own data again.
        samples: how many to generate at most; None suits the space.
        seed: of every random number.
        out: directory for ``report.html`` and ``report.json``; None writes nothing.
        progress: whether to say on standard error how it goes.

    Raises:
        UsageError: if there are no data to judge by, they are not what the emulator makes, or samples are not finite.

    Example:
        >>> report = validate(pf.Emulator.load("runs/maps"))  # doctest: +SKIP
        >>> report.verdict("power_spectrum").sentence  # doctest: +SKIP
        'Power spectrum close: mean relative error of P(k) ... is 3.1 ± 0.4 %; ... 1.9 % (1.2 to 2.8).'
    """
    if "evolver" in emulator.abilities:
        evolution = validate_evolution(emulator, ensemble, samples=samples)
        for ending in (".json", ".html") if out is not None else ():
            evolution.save(Path(out or ".") / f"report{ending}")
        return evolution
    begun = time.perf_counter()
    with progress_bar(progress) as watch, warnings.catch_warnings():
        # Test conditions may lie a little beyond the range of the training ones: that, too, is judged.
        warnings.filterwarnings("ignore", message=".*extrapolates", category=UserWarning)
        material = gather(emulator, ensemble, samples=samples, seed=seed, watch=watch)
        report = _judge(emulator, material, seed, begun, watch)
        if out is not None:
            watch("drawing the report", 0.0)
            report.save(Path(out) / "report.json")
            report.save(Path(out) / "report.html")
            watch("drawing the report", 1.0)
    return report


def _judge(emulator: Emulator, material: Material, seed: int, begun: float, watch: Any) -> Report:
    watch("comparing with data", 0.0)
    curves, matrices, summaries, verdicts = [], {}, None, []
    if isinstance(material.space, Field):
        found = judge_fields(material)
        verdicts, curves, matrices, summaries = found.verdicts, found.curves, found.matrices, found.summaries
        more, of_pairs = judge_pairs(material, summaries["power_spectrum"])
        verdicts, curves = [*verdicts, *more], [*curves, *of_pairs]
    elif isinstance(material.space, Vector):
        verdicts, curves = judge_vectors(material)
    elif isinstance(material.space, Series):
        verdicts, curves = judge_series(material)
    watch("comparing with data", 0.4)
    density = "density" in emulator.abilities
    if density:
        verdicts = [*verdicts, *judge_density(material, emulator)]
    features = describe(material, summaries)
    neighbours = nearest_training(material, *features)
    verdicts += judge_sets(material, *features, neighbours)
    watch("comparing with data", 0.8)
    by_condition, responses = judge_conditions(material, summaries, features)
    watch("comparing with data", 1.0)
    run, metrics = getattr(emulator, "run", None), _metrics(getattr(emulator, "run", None))
    trained = [line["seconds"] for line in metrics if isinstance(line.get("seconds"), int | float)]
    model = getattr(emulator, "model", None)
    return Report(
        model=emulator.name,
        data=material.data,
        space=material.space,
        parameters=tuple(parameter.name for parameter in material.parameters),
        verdicts=(*verdicts, *by_condition),
        curves=tuple(curves),
        responses=tuple(responses),
        matrices=matrices,
        timing={
            "milliseconds_per_sample": material.milliseconds,
            "validation_seconds": time.perf_counter() - begun,
            "training_seconds": trained[-1] if trained else None,
        },
        counts={
            "generated": material.count,
            "test": material.count,
            "training": material.training_members,
            "weights": sum(p.numel() for p in model.parameters()) if isinstance(model, torch.nn.Module) else 0,
        },
        abilities=tuple(emulator.abilities),
        notes=(*material.notes, *((emulator.config.get("data") or {}).get("notes") or ())),
        config=dict(emulator.config),
        command=str(emulator.config.get("command", "")),
        judging=shlex.join(["pushforward", "validate", str(run), "--seed", str(seed)]) if run else "",
        seed=seed,
        material=material,
        neighbours=neighbours,
        metrics=metrics,
        log_prob=_density_of(emulator) if density else None,
    )


def _density_of(emulator: Emulator) -> Any:
    def log_prob(points: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return np.asarray(emulator.log_prob(torch.from_numpy(points)).detach().cpu(), dtype=float)

    return log_prob


def _metrics(run: Path | None) -> tuple[dict[str, Any], ...]:
    """Lines of the run's metrics; a line cut short by a crash is left out."""
    path = None if run is None else Path(run) / "metrics.jsonl"
    found = []
    for text in path.read_text(encoding="utf-8").splitlines() if path is not None and path.exists() else ():
        try:
            line = json.loads(text)
        except json.JSONDecodeError:
            continue
        if isinstance(line, dict) and "step" in line:
            found.append(line)
    return tuple(found)
