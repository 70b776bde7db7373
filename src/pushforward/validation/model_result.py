"""Result of one model in a comparison: trained for its budget, judged, and saved so that a comparison can resume."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pushforward.errors import UsageError
from pushforward.runs.files import replace_file
from pushforward.validation.curves import Curve
from pushforward.validation.kinds import kind_of
from pushforward.validation.report import Report
from pushforward.validation.translation_report import TranslationReport
from pushforward.validation.validate import validate

if TYPE_CHECKING:
    from pushforward.ensembles import Ensemble, EnsemblePair

__all__ = ["Contest", "ModelResult", "train_and_judge"]

SAMPLES = "samples.npz"


@dataclass(frozen=True)
class Contest:
    """Settings common to all models of a comparison.

    Attributes:
        budget: training time per model, seconds.
        samples: largest number of samples to generate per model; None for the default of the space.
        settings: hyperparameters by name; a model gets those that it has, and ``MODEL.NAME`` is for one model only.
    """

    ensemble: Ensemble | EnsemblePair
    budget: float
    out: Path
    seed: int
    samples: int | None
    settings: Mapping[str, Any]
    device: str
    precision: str
    progress: bool


@dataclass(frozen=True)
class ModelResult:
    """Result of one model.

    Attributes:
        report: `Report.to_dict` of it; empty if it failed.
        real, generated: samples to be shown, in pairs, and what is said of each pair.
        failure: reason if there is no report.
    """

    model: str
    report: dict[str, Any] = field(default_factory=dict)
    real: np.ndarray | None = None
    generated: np.ndarray | None = None
    texts: tuple[str, ...] = ()
    failure: str = ""

    @property
    def quality(self) -> float:
        """`Report.quality`; infinite if it failed."""
        quality = self.report.get("quality")
        return float("inf") if quality is None else float(quality)

    @property
    def milliseconds(self) -> float:
        return float(self.report.get("timing", {}).get("milliseconds_per_sample") or float("inf"))

    @property
    def curves(self) -> list[Curve]:
        return [Curve.from_dict(values) for values in self.report.get("curves", ())]

    def verdict(self, statistic: str) -> dict[str, Any] | None:
        """The line of one statistic, as `Verdict.to_dict` gives it; None if there is none."""
        return next((v for v in self.report.get("verdicts", ()) if v["statistic"] == statistic), None)


def train_and_judge(model: str, contest: Contest) -> ModelResult:
    """Train a model for its budget and judge it, or reuse the result of an earlier comparison.

    An interrupted run is resumed. A model that cannot be trained or judged is a result with the reason.

    Raises:
        Interrupted: if the training was asked to stop; what it has is saved.
    """
    from pushforward.training import Interrupted, fit

    run = contest.out / model
    try:
        settings = _settings_for(model, contest)
        stored = _stored(model, run, contest, settings)
        if stored is not None:
            return stored
        emulator = fit(
            contest.ensemble,
            model,
            budget=contest.budget,
            out=run,
            resume=run.is_dir(),
            seed=contest.seed,
            device=contest.device,
            precision=contest.precision,
            settings=settings,
            progress=contest.progress,
        )
        report = validate(
            emulator,
            contest.ensemble,
            samples=contest.samples,
            seed=contest.seed,
            out=run,
            progress=contest.progress,
        )
        if isinstance(report, TranslationReport):
            return _result_of(model, run, report.reports["b"], in_both_directions(report.to_dict()))
        if not isinstance(report, Report):
            raise UsageError(f"{model} moves states in time, and has a report of its own: pushforward validate {run}")
        return _result_of(model, run, report)
    except Interrupted:
        raise
    except UsageError as problem:
        return ModelResult(model, failure=str(problem))
    except Exception as problem:  # one failed model must not end a comparison
        return ModelResult(model, failure=f"{type(problem).__name__}: {problem}")


def in_both_directions(report: dict[str, Any]) -> dict[str, Any]:
    """`TranslationReport.to_dict` with verdicts and curves of both directions in one list, labelled by direction."""
    verdicts = [line | {"label": f"{line['label']}, {_direction(line['statistic'])}"} for line in report["verdicts"]]
    curves = [
        curve | {"name": f"{name}/{curve['name']}", "title": f"{curve['title']}, {_direction(name)}"}
        for name, judged in report["directions"].items()
        for curve in judged["curves"]
    ]
    target = report["directions"]["to_b"]
    return {**report, **{name: target[name] for name in ("space", "units")}, "verdicts": verdicts, "curves": curves}


def _direction(statistic: str) -> str:
    """``to b`` of ``to_b/marginals``."""
    return statistic.partition("/")[0].replace("_", " ")


def _result_of(model: str, run: Path, report: Report, values: dict[str, Any] | None = None) -> ModelResult:
    data = report.evaluation
    rows, texts = kind_of(report.space).shown(data)
    real, generated = data.test[rows], data.generated[rows]

    def write(partial: Path) -> None:
        with partial.open("wb") as file:
            np.savez_compressed(file, real=real, generated=generated, texts=np.array(texts, dtype=np.str_))

    replace_file(run / SAMPLES, write)
    return ModelResult(model, report.to_dict() if values is None else values, real, generated, texts)


def _stored(model: str, run: Path, contest: Contest, settings: Mapping[str, Any]) -> ModelResult | None:
    """Result of an earlier comparison, if its relevant settings were the same."""
    from pushforward.training.plan import resolve_task

    try:
        report = json.loads((run / "report.json").read_text(encoding="utf-8"))
        report = in_both_directions(report) if "directions" in report else report
        with np.load(run / SAMPLES, allow_pickle=False) as file:
            shown = {name: file[name] for name in ("real", "generated", "texts")}
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):
        return None
    task = resolve_task(model, contest.ensemble, settings)
    wanted = {
        "model": model,
        "budget": contest.budget,
        "seed": contest.seed,
        "settings": {
            "model": task.of_model.model_dump(mode="json"),
            "training": task.of_loop.model_dump(mode="json"),
        },
    }
    config = report.get("config") or {}
    same = all(config.get(key) == value for key, value in wanted.items())
    same = same and (config.get("data") or {}).get("fingerprint") == contest.ensemble.fingerprint
    same = same and (contest.samples is None or report["counts"]["generated"] <= contest.samples)
    return (
        ModelResult(model, report, shown["real"], shown["generated"], tuple(map(str, shown["texts"]))) if same else None
    )


def _settings_for(model: str, contest: Contest) -> dict[str, Any]:
    """Settings that a model has, and those prefixed with its name.

    Raises:
        UsageError: if a setting that names the model is unknown to it.
    """
    from pushforward.models import model_class
    from pushforward.training import TrainingSettings

    known = {*model_class(model).Settings.model_fields, *TrainingSettings.model_fields}
    general = {name: value for name, value in contest.settings.items() if "." not in name and name in known}
    own = {name.partition(".")[2]: value for name, value in contest.settings.items() if name.partition(".")[0] == model}
    return {**general, **{name: value for name, value in own.items() if name}}
