"""`validate` and `judge`: samples compared with data by the statistics of their space, each with its floor."""

from __future__ import annotations

import time
import warnings
from collections.abc import Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from pushforward.arguments import checked
from pushforward.errors import UsageError
from pushforward.validation import kind_table  # noqa: F401  (registers the kinds of sample)
from pushforward.validation.battery import statistics_named
from pushforward.validation.energy_report import EnergyReport, learnt_energy, validate_energy
from pushforward.validation.evolution_report import EvolutionReport, validate_evolution
from pushforward.validation.gap_flags import FlaggedEmulator
from pushforward.validation.gather import Watch, gather
from pushforward.validation.judgeable import Judgeable
from pushforward.validation.measure import Tolerances
from pushforward.validation.progress import progress_bar
from pushforward.validation.report import Report
from pushforward.validation.sample_report import report_on
from pushforward.validation.statistic import Statistic
from pushforward.validation.translation import validate_translation
from pushforward.validation.translation_report import TranslationReport
from pushforward.validation.true_pairs_report import TruePairsReport, are_true_pairs, validate_true_pairs

if TYPE_CHECKING:
    from pushforward.emulator import Emulator
    from pushforward.ensembles import Ensemble, EnsemblePair

__all__ = ["judging", "validate", "write"]


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
            judged = cast(Judgeable, FlaggedEmulator(emulator)) if getattr(emulator.space, "gaps", ()) else emulator
            data = gather(judged, cast("Ensemble | None", ensemble), samples=samples, seed=seed, watch=watch)
            report = report_on(judged, data, seed, begun, watch, more, tolerances, command)
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
