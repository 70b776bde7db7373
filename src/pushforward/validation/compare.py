"""`compare`: several families on the same data, with the same training time, judged by the same statistics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pushforward.arguments import checked
from pushforward.ensembles import EnsemblePair, read
from pushforward.errors import UsageError
from pushforward.validation.comparison import Comparison
from pushforward.validation.model_result import Contest, train_and_judge

if TYPE_CHECKING:
    from pushforward.ensembles import Ensemble

__all__ = ["compare"]


@checked(samples=2)
def compare(
    ensemble: Ensemble | EnsemblePair,
    models: Sequence[str],
    *,
    budget: str | float = "5m",
    out: str | Path | None = None,
    samples: int | None = None,
    seed: int = 0,
    settings: Mapping[str, Any] | None = None,
    device: str = "auto",
    precision: str = "auto",
    progress: bool = True,
) -> Comparison:
    """Train each model for the same time on the same split, and judge all by the same members and statistics.

    Every model has its own run directory, with its report. A restarted comparison keeps finished models and resumes the
    others. A failed model is a row with the reason.

    Arguments:
        ensemble: the data, or anything that `read` accepts, or a pair for models between two ensembles; every model
            trains on the training split and is judged by the test split.
        models: names of families.
        budget: wall-clock training time of each (``"90s"``, ``"10m"``, seconds).
        out: directory of the comparison: a folder for each model, ``compare.html`` and ``compare.json``; None makes a
            fresh one below ``runs/``.
        samples: largest number of samples to generate per model; None for the default of the space.
        seed: seed of all random numbers.
        settings: hyperparameters by name: each model gets those that it has; ``"ddpm.width"`` is for one model only.
        device, precision, progress: as in `fit`.

    Raises:
        UsageError: for an unknown model, or a setting that no model knows.
        Interrupted: if it was stopped; a restarted comparison resumes.

    Example:
        >>> comparison = compare(pf.read("two-moons"), ["realnvp", "flow-matching"], budget="1m")  # doctest: +SKIP
        >>> comparison.recommendations[0].sentence  # doctest: +SKIP
        'realnvp: its discrepancies are 1.3 times the floor ...'
    """
    from pushforward.runs.directory import fresh_directory
    from pushforward.training.durations import parse_duration

    models = [models] if isinstance(models, str) else list(dict.fromkeys(models))
    if not isinstance(ensemble, EnsemblePair):
        ensemble = read(ensemble)
    if not models:
        raise UsageError("no model was named; name at least one to compare")
    settings = dict(settings or {})
    _check_settings(models, settings)
    contest = Contest(
        ensemble=ensemble,
        budget=parse_duration(budget),
        out=Path(out) if out is not None else fresh_directory(ensemble.name, "compare"),
        seed=seed,
        samples=samples,
        settings=settings,
        device=device,
        precision=precision,
        progress=progress,
    )
    results = []
    for model in models:
        results.append(train_and_judge(model, contest))
        comparison = Comparison(ensemble.name, contest.budget, seed, tuple(results), contest.out)
        # Written after every model, so that an interrupted comparison can be read.
        comparison.save(contest.out / "compare.json")
        comparison.save(contest.out / "compare.html")
    return comparison


def _check_settings(models: Sequence[str], settings: Mapping[str, Any]) -> None:
    from pushforward.models import model_class
    from pushforward.training import TrainingSettings

    known = {model: {*model_class(model).Settings.model_fields, *TrainingSettings.model_fields} for model in models}
    for name in settings:
        model, dot, own = name.partition(".")
        if dot and model not in known:
            raise UsageError(
                f"the setting {name!r} is for {model!r}, which is not compared; there are {', '.join(known)}"
            )
        if dot and own not in known[model]:
            raise UsageError(f"{model} has no setting called {own!r}; it has {', '.join(sorted(known[model]))}")
        if not dot and not any(name in names for names in known.values()):
            every = sorted(set().union(*known.values()))
            raise UsageError(f"no model here has a setting called {name!r}; they have {', '.join(every)}")
