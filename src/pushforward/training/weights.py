"""What training leaves behind: the weights of a model, its preprocessing, and conditions to sample at, in one file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pushforward.ensembles import Ensemble, Preprocessing
from pushforward.errors import UsageError
from pushforward.models import Model, model_class
from pushforward.spaces import space_from_dict
from pushforward.training.checkpoints import joined, part_of
from pushforward.training.files import load_tensors, load_yaml, save_tensors
from pushforward.training.runs import CONFIG, FORMAT, WEIGHTS
from pushforward.training.settings import parse_settings

__all__ = ["Trained", "read_trained", "training_rows", "write_weights"]

KIND = "model"
_MOST_ROWS = 65536


@dataclass(frozen=True)
class Trained:
    """What is in a run directory.

    Attributes:
        model: with its averaged weights, on the CPU.
        preprocessing: between the user's units and network units.
        rows: conditions of training members, shape (rows, parameters), user's units; None if unconditional.
        config: the run's configuration (see `training.recipe`).
    """

    model: Model
    preprocessing: Preprocessing
    rows: NDArray[np.float32] | None
    config: dict[str, Any]


def read_trained(run: Path) -> Trained:
    """What is in a run directory. Nothing is unpickled.

    Raises:
        UsageError: if there is no run, or its files are missing, damaged, or do not belong together.
    """
    if not run.is_dir():
        raise UsageError(f"{run} is a file; give the run directory" if run.exists() else f"there is no run at {run}")
    if not (run / CONFIG).is_file():
        raise UsageError(f"{run} holds no run: it has no {CONFIG}")
    config = load_yaml(run / CONFIG)
    if not (run / WEIGHTS).is_file():
        raise UsageError(f"the run in {run} has no weights yet: {WEIGHTS} is missing; train it, or resume it")
    if config.get("format", FORMAT) != FORMAT:
        raise UsageError(f"the run in {run} was written by a newer pushforward; install that to read it")
    tensors, _ = load_tensors(run / WEIGHTS, KIND)
    try:
        model, preprocessing = _rebuild(config)
        model.load_state_dict(part_of(tensors, "model"))
        preprocessing.load_state_dict(part_of(tensors, "preprocessing"))
    except UsageError as problem:
        raise UsageError(f"{run / CONFIG} cannot be used: {problem}") from None
    except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as problem:
        reason = str(problem).splitlines()[0] if str(problem) else type(problem).__name__
        raise UsageError(f"{run / CONFIG} and {WEIGHTS} do not belong together: {reason}") from None
    rows = part_of(tensors, "conditions").get("rows")
    return Trained(model, preprocessing, None if rows is None else rows.numpy(), config)


def _rebuild(config: Mapping[str, Any]) -> tuple[Model, Preprocessing]:
    """A model and a preprocessing as a configuration describes them, with no weights yet."""
    space = space_from_dict(config["space"])
    preprocessing = Preprocessing.from_dict(config["preprocessing"])
    kind = model_class(config["model"])
    settings = parse_settings(kind.Settings, config["settings"]["model"])
    return kind(space, preprocessing.condition_dim, settings), preprocessing


def write_weights(
    path: Path, state: Mapping[str, Tensor], preprocessing: Preprocessing, rows: NDArray[np.float32] | None
) -> None:
    """The file of weights that `read_trained` reads.

    Raises:
        UsageError: if it cannot be written.
    """
    conditions = {} if rows is None else {"rows": torch.from_numpy(rows)}
    parts = joined(model=state, preprocessing=preprocessing.state_dict(), conditions=conditions)
    save_tensors(path, parts, {"kind": KIND})


def training_rows(ensemble: Ensemble) -> NDArray[np.float32] | None:
    """Conditions of training members to sample at: all of them, or an even selection of very many."""
    if ensemble.conditions is None:
        return None
    some = np.linspace(0, len(ensemble) - 1, min(len(ensemble), _MOST_ROWS)).astype(np.int64)
    return np.ascontiguousarray(ensemble.conditions[some], dtype=np.float32)
