"""What training leaves behind: the weights of a model, its preprocessing, and conditions to sample at, in one file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pushforward.ensembles import preprocessing_from_dict
from pushforward.errors import UsageError
from pushforward.models import Model, model_class
from pushforward.models.settings import parse_settings
from pushforward.runs.directory import CONFIG, WEIGHTS, check_format
from pushforward.runs.files import joined, load_tensors, load_yaml, part_of, save_tensors
from pushforward.spaces import space_from_dict

__all__ = ["Trained", "read_trained", "write_weights"]

KIND = "model"


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
    preprocessing: Any
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
    check_format(run, config)
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


def _rebuild(config: Mapping[str, Any]) -> tuple[Model, Any]:
    """A model and a preprocessing as a configuration describes them, with no weights yet."""
    space = space_from_dict(config["space"])
    preprocessing = preprocessing_from_dict(config["preprocessing"])
    kind = model_class(config["model"])
    settings = parse_settings(kind.Settings, config["settings"]["model"])
    return kind(space, preprocessing.condition_space, settings), preprocessing


def write_weights(
    path: Path, state: Mapping[str, Tensor], preprocessing: nn.Module, rows: NDArray[np.float32] | None
) -> None:
    """The file of weights that `read_trained` reads.

    Raises:
        UsageError: if it cannot be written.
    """
    conditions = {} if rows is None else {"rows": torch.from_numpy(rows)}
    parts = joined(model=state, preprocessing=preprocessing.state_dict(), conditions=conditions)
    save_tensors(path, parts, {"kind": KIND})
