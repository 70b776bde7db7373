"""Trackers of a run's metrics: a file of JSON lines always, a tracking service on request.

A `Tracker` is any object with the three methods below; nothing has to inherit from it.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import IO, Any, Protocol, runtime_checkable

from pushforward.errors import UsageError
from pushforward.runs.curves import logged_lines
from pushforward.runs.files import write_text

__all__ = [
    "TRACKERS",
    "JsonLines",
    "MLflow",
    "TensorBoard",
    "Tracker",
    "WeightsAndBiases",
    "find_tracker",
    "open_tracker",
]


@runtime_checkable
class Tracker(Protocol):
    """Interface that receives the configuration and the metrics of a run."""

    def log_parameters(self, parameters: Mapping[str, Any]) -> None:
        """Receive the configuration of the run as nested plain values, once, before the first step."""
        ...

    def log_metrics(self, step: int, metrics: Mapping[str, float]) -> None:
        """Receive numbers at a step, such as ``{"critic/loss": 0.1, "learning_rate": 1e-4}``."""
        ...

    def close(self) -> None:
        """Close; called when the run ends, for any reason."""
        ...


class JsonLines:
    """One line of JSON per call of `log_metrics`, in a file that `pushforward validate` reads.

    Arguments:
        path: of the file.
        after: step to continue from; lines of later steps, and a line truncated by a crash, are removed.
    """

    def __init__(self, path: Path, after: int = 0) -> None:
        kept = [line for line in (logged_lines(path) if path.exists() else []) if line["step"] <= after]
        text = "".join(json.dumps(line) + "\n" for line in kept)
        write_text(path, text)
        self._path = path
        self._file: IO[str] = path.open("a", encoding="utf-8")

    def log_parameters(self, parameters: Mapping[str, Any]) -> None:
        """Do nothing: the parameters are in the run's config.yaml."""

    def log_metrics(self, step: int, metrics: Mapping[str, float]) -> None:
        try:
            self._file.write(json.dumps({"step": step, **metrics}) + "\n")
            self._file.flush()
        except OSError as problem:
            raise UsageError(f"{self._path} cannot be written: {problem.strerror or problem}") from None

    def close(self) -> None:
        # A failure to write has been reported by log_metrics.
        with suppress(OSError):
            self._file.close()


class TensorBoard:
    """Curves for TensorBoard.

    Arguments:
        run: directory of the run.
        folder: for the curves; ``tensorboard`` in the run by default.
    """

    def __init__(self, run: Path, *, folder: str | None = None) -> None:
        summaries = _extra("torch.utils.tensorboard", "tensorboard")
        self._writer = summaries.SummaryWriter(folder or str(run / "tensorboard"))

    def log_parameters(self, parameters: Mapping[str, Any]) -> None:
        self._writer.add_text("configuration", "```\n" + json.dumps(parameters, indent=2, default=str) + "\n```")

    def log_metrics(self, step: int, metrics: Mapping[str, float]) -> None:
        for name, value in metrics.items():
            self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        self._writer.close()


class MLflow:
    """A run of MLflow.

    Arguments:
        run: directory of the run.
        uri: of the server; that of ``MLFLOW_TRACKING_URI`` by default.
        experiment: that the run belongs to.
        name: of the run; that of its directory by default.
    """

    def __init__(
        self, run: Path, *, uri: str | None = None, experiment: str | None = None, name: str | None = None
    ) -> None:
        self._mlflow = _extra("mlflow", "mlflow")
        if uri is not None:
            self._mlflow.set_tracking_uri(uri)
        if experiment is not None:
            self._mlflow.set_experiment(experiment)
        self._mlflow.start_run(run_name=name or run.name)

    def log_parameters(self, parameters: Mapping[str, Any]) -> None:
        self._mlflow.log_dict(dict(parameters), "config.json")

    def log_metrics(self, step: int, metrics: Mapping[str, float]) -> None:
        self._mlflow.log_metrics(dict(metrics), step=step)

    def close(self) -> None:
        self._mlflow.end_run()


class WeightsAndBiases:
    """A run of Weights & Biases.

    Arguments:
        run: directory of the run.
        project: that of ``WANDB_PROJECT`` by default, or else ``pushforward``.
        entity: user or team.
        name: of the run; that of its directory by default.
    """

    def __init__(
        self, run: Path, *, project: str | None = None, entity: str | None = None, name: str | None = None
    ) -> None:
        import os

        project = project or os.environ.get("WANDB_PROJECT", "pushforward")
        self._run = _extra("wandb", "wandb").init(project=project, entity=entity, name=name or run.name, dir=str(run))

    def log_parameters(self, parameters: Mapping[str, Any]) -> None:
        self._run.config.update(dict(parameters))

    def log_metrics(self, step: int, metrics: Mapping[str, float]) -> None:
        self._run.log(dict(metrics), step=step)

    def close(self) -> None:
        self._run.finish()


TRACKERS: dict[str, Callable[..., Tracker]] = {
    "tensorboard": TensorBoard,
    "mlflow": MLflow,
    "wandb": WeightsAndBiases,
}


def find_tracker(name: str, options: Mapping[str, Any] | None = None) -> Callable[[Path], Tracker]:
    """The function that opens the tracker of a name, with its options.

    Raises:
        UsageError: if the name or an option is unknown.
    """
    if name not in TRACKERS:
        raise UsageError(f"there is no tracker called {name!r}; known ones are {', '.join(TRACKERS)}")
    known = [each for each in inspect.signature(TRACKERS[name]).parameters if each != "run"]
    strange = [each for each in options or () if each not in known]
    if strange:
        raise UsageError(f"the tracker {name} has no option {strange[0]!r}; it has {', '.join(known)}")
    return partial(TRACKERS[name], **(options or {}))


def open_tracker(tracker: str | Tracker, run: Path, options: Mapping[str, Any] | None = None) -> Tracker:
    """A tracker for a run, by name; an object with the methods of a tracker is returned unchanged.

    Raises:
        UsageError: for an unknown name or option, a package that is not installed, an object without the three methods.
    """
    if isinstance(tracker, str):
        return find_tracker(tracker, options)(run)
    if not isinstance(tracker, Tracker):
        raise UsageError("a tracker needs the methods log_parameters, log_metrics and close")
    return tracker


def _extra(module: str, extra: str) -> Any:
    try:
        return import_module(module)
    except ImportError:
        raise UsageError(
            f"the tracker {extra!r} needs a package that is not installed: pip install 'pushforward[{extra}]'"
        ) from None
