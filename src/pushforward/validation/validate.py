"""`validate` and `judge`: samples compared with data by the statistics of their space, each with its floor."""

from __future__ import annotations

import json
import shlex
import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numpy as np
import torch

from pushforward.arguments import checked
from pushforward.errors import UsageError
from pushforward.validation import kind_table  # noqa: F401  (registers the kinds of sample)
from pushforward.validation.battery import statistics_named
from pushforward.validation.common_statistics import COMMON_STATISTICS, COMMON_TESTS, nearest_training
from pushforward.validation.condition_fields import pair_curves, pair_statistics
from pushforward.validation.conditions import condition_statistics
from pushforward.validation.density import judge_density
from pushforward.validation.energies import energy_statistics, judge_weights
from pushforward.validation.energy_report import EnergyReport, learnt_energy, validate_energy
from pushforward.validation.evaluation_data import EvaluationData
from pushforward.validation.evolution_report import EvolutionReport, validate_evolution
from pushforward.validation.forecasts import judge_forecasts
from pushforward.validation.gather import Watch, gather
from pushforward.validation.judgeable import Judgeable
from pushforward.validation.kinds import kind_of
from pushforward.validation.measure import Tolerances, attempt, measure
from pushforward.validation.posteriors import calibrated, calibration_curve, judge_calibration
from pushforward.validation.progress import progress_bar
from pushforward.validation.report import Report
from pushforward.validation.responses import responses_of
from pushforward.validation.statistic import Statistic
from pushforward.validation.translation import TranslationReport, validate_translation
from pushforward.validation.true_pairs_report import TruePairsReport, are_true_pairs, validate_true_pairs

if TYPE_CHECKING:
    from pushforward.emulator import Emulator
    from pushforward.ensembles import Ensemble, EnsemblePair

__all__ = ["judging", "report_on", "validate", "write"]

T = TypeVar("T")


@checked(samples=2)
def validate(
    emulator: Emulator,
    ensemble: Ensemble | EnsemblePair | None = None,
    *,
    samples: int | None = None,
    seed: int = 0,
    out: str | Path | None = None,
    statistics: Sequence[Statistic | str] = (),
    tolerances: Tolerances | None = None,
    command: str = "",
    progress: bool = True,
) -> Report | EnergyReport | EvolutionReport | TranslationReport | TruePairsReport:
    """Generate samples at the conditions of unseen members, and compare them with these members.

    What is judged follows from the kind of sample and the abilities of the model: samples of what draws
    samples, and their density and forecasts where the model has them; weights of samples of what learnt an
    energy alone (`EnergyReport`); what a model of motion makes of unseen initial states, beside what became
    of them (`EvolutionReport`); members translated in both directions (`TranslationReport`, or, of true
    pairs, `TruePairsReport`).

    Every statistic stands beside its floor, the same for real data against other real data, has an error bar from the
    finite number of samples, a p-value, and the smallest defect that these data would show.

    Arguments:
        emulator: what is judged.
        ensemble: what it is judged by: its test split if the emulator was trained on it, all of it if it is another
            data set; None reads the emulator's own data again. For a translator, an `EnsemblePair`, or an
            ensemble of true pairs: fields with the channels of a and b, vectors with the numbers of both.
        samples: how many to generate at most; None suits the space.
        seed: of every random number.
        out: directory for ``report.html`` and ``report.json``; None writes nothing.
        statistics: further ones, declared (`Statistic`) or by name: ``lattice``, ``showers`` (``showers:8,16,5`` for
            rows of cells, with the cells in each layer), or what an installed package brings.
        tolerances: sizes of differences that do not matter, by the names of statistics, in their units: ``2.0``, or
            ``"2%"`` where the unit is per cent.
        command: command that repeats the judgement, for the page.
        progress: whether to say on standard error how it goes.

    Raises:
        UsageError: if there are no data to judge by, they are not what the emulator makes, or samples are not finite.

    Example:
        >>> report = validate(pf.Emulator.load("runs/maps"))  # doctest: +SKIP
        >>> report.verdict("power_spectrum").sentence  # doctest: +SKIP
        'Power spectrum close: mean relative error of P(k) ... is 3.1 ± 0.4 %; ... 1.9 % (1.2 to 2.8). ...'
    """
    begun = time.perf_counter()
    if not hasattr(emulator, "abilities"):
        raise UsageError(f"emulator is a {type(emulator).__name__}; give an Emulator, such as Emulator.load(run)")
    if ensemble is not None and not hasattr(ensemble, "space"):
        raise UsageError(f"ensemble is a {type(ensemble).__name__}; give an Ensemble, such as read(data)")
    more = statistics_named(statistics, emulator.space) if statistics else []
    report: Report | EnergyReport | EvolutionReport | TranslationReport | TruePairsReport
    with judging(progress) as watch:
        draws = "sampler" in emulator.abilities
        if "evolver" in emulator.abilities and not draws:
            _without(statistics, tolerances, "of initial states and what became of them")
            report = validate_evolution(emulator, cast("Ensemble | None", ensemble), samples=samples)
        elif "translator" in emulator.abilities and are_true_pairs(emulator, ensemble):
            _without(statistics, tolerances, "of true pairs")
            report = validate_true_pairs(emulator, cast("Ensemble", ensemble), samples=samples)
        elif "translator" in emulator.abilities and not draws:
            report = validate_translation(
                emulator,
                cast("EnsemblePair | None", ensemble),
                judged_by=lambda one, data, begun: report_on(one, data, seed, begun, watch, more, tolerances),
                samples=samples,
                seed=seed,
                watch=watch,
            )
        elif ensemble is None and "joint" in emulator.abilities and (energy := learnt_energy(emulator)) is not None:
            _without(
                statistics, tolerances, "of an energy alone; members to compare with (validate RUN DATA) allow both"
            )
            report = validate_energy(emulator, energy, samples=samples, seed=seed)
        else:
            data = gather(emulator, cast("Ensemble | None", ensemble), samples=samples, seed=seed, watch=watch)
            report = report_on(emulator, data, seed, begun, watch, more, tolerances, command)
        write(report, out, watch)
    return report


def _without(statistics: Sequence[Any], tolerances: Tolerances | None, judged: str) -> None:
    """Raise if statistics or tolerances were given for a judgement that has its own."""
    if statistics or tolerances:
        what = "further statistics" if statistics else "tolerances"
        raise UsageError(f"{what} were given, but cannot be used in a judgement {judged}")


@contextmanager
def judging(progress: bool) -> Any:
    """A progress bar, without warnings of conditions beyond the range of training, which are judged, and of sklearn."""
    with progress_bar(progress) as watch, warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*extrapolates", category=UserWarning)
        warnings.filterwarnings("ignore", module=r"sklearn\.")
        yield watch


def write(
    report: Report | EnergyReport | EvolutionReport | TranslationReport | TruePairsReport,
    out: str | Path | None,
    watch: Watch,
) -> None:
    """Write both files to a directory, if there is one."""
    if out is not None:
        watch("drawing the report", 0.0)
        report.save(Path(out) / "report.json")
        report.save(Path(out) / "report.html")
        watch("drawing the report", 1.0)


def report_on(
    emulator: Judgeable,
    data: EvaluationData,
    seed: int,
    begun: float,
    watch: Watch,
    statistics: Sequence[Statistic] = (),
    tolerances: Tolerances | None = None,
    judging_command: str = "",
) -> Report:
    """The report on samples that were generated."""
    watch("comparing with data", 0.0)
    kind, failures = kind_of(data.space), list[str]()

    def part(what: str, function: Callable[[], Iterable[T]]) -> list[T]:
        """A part of the report; where it cannot be had, nothing, and a line that says why."""
        found = attempt(lambda: list(function()))
        if isinstance(found, str):
            failures.append(f"{what}: {found}")
            return []
        return found

    declared = [
        *part("Statistics of the data", lambda: kind.statistics(data)),
        *energy_statistics(data),
        *part("Samples and the fields that they are given with", lambda: pair_statistics(data)),
        *COMMON_STATISTICS,
        *part("Over the range of the condition", lambda: condition_statistics(data)),
        *(each for each in statistics if each.applies(data.space)),
    ]
    found = measure(
        data,
        declared,
        (*kind.tests, *COMMON_TESTS),
        tolerances,
        lambda part: watch("comparing with data", 0.9 * part),
    )
    density = "density" in emulator.abilities
    if density:
        watched = partial(watch, "evaluating densities")
        found.add(part("Negative log-density", lambda: judge_density(data, emulator, watched)))
        found.add(part("Statistical weights", lambda: judge_weights(data, emulator)))
    if "forecaster" in emulator.abilities:
        found.add(part("Forecasts", lambda: judge_forecasts(data, emulator)))
    calibration = next(iter(part("Calibration", lambda: [calibrated(data, emulator, seed)])), None)
    if calibration is not None:
        found.add(judge_calibration(calibration, data))
    neighbours = next(iter(part("Memorisation", lambda: [data.derived(nearest_training)])), None)
    run = getattr(emulator, "run", None)
    metrics = _metrics(run)
    failures += _unreadable(run)
    trained = [line["seconds"] for line in metrics if isinstance(line.get("seconds"), int | float)]
    report = Report(
        model=emulator.name,
        data=data.name,
        space=data.space,
        parameters=tuple(parameter.name for parameter in data.parameters),
        verdicts=tuple(found.verdicts),
        curves=(
            *part("Curves", lambda: [*kind.curves(data), *pair_curves(data)]),
            *(() if calibration is None else (calibration_curve(calibration),)),
        ),
        responses=tuple(part("Responses to the condition", lambda: responses_of(data))),
        matrices=dict(part("Correlation matrices", lambda: kind.matrices(data).items())),
        timing={
            "milliseconds_per_sample": data.milliseconds,
            "validation_seconds": time.perf_counter() - begun,
            "training_seconds": trained[-1] if trained else None,
        },
        counts={
            "generated": data.count,
            "test": data.count,
            "training": data.training_members,
            "weights": _weights(emulator),
        },
        abilities=tuple(emulator.abilities),
        notes=(*data.notes, *((emulator.config.get("data") or {}).get("notes") or ())),
        config=dict(emulator.config),
        command=str(emulator.config.get("command", "")),
        judging=judging_command
        or (shlex.join(["pushforward", "validate", str(run), "--seed", str(seed)]) if run else ""),
        seed=seed,
        evaluation=data,
        neighbours=neighbours,
        metrics=metrics,
        log_prob=_density_of(emulator) if density else None,
        joint_p_value=found.joint_p_value,
        expected_beyond=found.expected_beyond,
        failures=(*dict.fromkeys((*failures, *found.failures)),),
        unseen=_unseen(data, emulator),
    )
    watch("comparing with data", 1.0)
    return report


def _unseen(data: EvaluationData, emulator: Judgeable) -> tuple[str, ...]:
    """Properties that are not tested, one line each."""
    lines = list(kind_of(data.space).unseen)
    if data.train is None:
        lines.append("Copies of training members: the training data are not at hand.")
    if "density" not in emulator.abilities:
        lines.append("The density: the model has none, or it was not given.")
    if not data.conditioned:
        lines.append("Conditions: there are none, or they were not given.")
    elif data.conditions is not None:
        lines.append("Conditions beyond and between those of the test members.")
    return tuple(lines)


def _weights(emulator: Judgeable) -> int:
    model = getattr(emulator, "model", None)
    return sum(p.numel() for p in model.parameters()) if isinstance(model, torch.nn.Module) else 0


def _density_of(emulator: Judgeable) -> Any:
    def log_prob(points: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return np.asarray(emulator.log_prob(torch.from_numpy(points)).detach().cpu(), dtype=float)

    return log_prob


def _metrics(run: Path | None) -> tuple[dict[str, Any], ...]:
    """Lines of the run's metrics; a line cut short by a crash is left out."""
    path = None if run is None else Path(run) / "metrics.jsonl"
    lines = []
    for text in path.read_text(encoding="utf-8", errors="replace").splitlines() if path and path.exists() else ():
        try:
            line = json.loads(text)
        except json.JSONDecodeError:
            continue
        if isinstance(line, dict) and "step" in line:
            lines.append(line)
    return tuple(lines)


def _unreadable(run: Path | None) -> Iterable[str]:
    """A line for the report where the metrics of a run hold bytes that are no text."""
    path = None if run is None else Path(run) / "metrics.jsonl"
    if path is not None and path.exists():
        lines = sum("\N{REPLACEMENT CHARACTER}" in text for text in path.read_text("utf-8", "replace").splitlines())
        if lines:
            yield f"Training curves: {lines} damaged line{'s' * (lines > 1)} of {path} left out"
