"""Result of training in one file: the weights of a model, its preprocessing, and conditions to sample at."""

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
from pushforward.ensembles.channels import channel_axis
from pushforward.errors import UsageError
from pushforward.existing import check_run
from pushforward.models import Model, model_class
from pushforward.models.contract import check_class
from pushforward.models.settings import parse_settings
from pushforward.runs.directory import CONFIG, WEIGHTS, check_format
from pushforward.runs.files import joined, load_tensors, load_yaml, part_of, save_tensors
from pushforward.spaces import space_from_dict

__all__ = ["Trained", "read_trained", "write_weights"]

KIND = "model"
_LARGEST_SAMPLE = 2**30
"""Largest number of values per sample: 4 GB."""


@dataclass(frozen=True)
class Trained:
    """Trained model of a run.

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
    """Read the trained model in a run directory, without unpickling anything.

    Raises:
        UsageError: if there is no run, or its files are missing, damaged, or inconsistent.
    """
    check_run(run)
    if not (run / CONFIG).is_file():
        raise UsageError(f"{run} holds no run: {CONFIG} is missing")
    config = load_yaml(run / CONFIG)
    if not (run / WEIGHTS).is_file():
        raise UsageError(f"the run in {run} has no weights yet: {WEIGHTS} is missing; train it, or resume it")
    check_format(run, config)
    tensors, _ = load_tensors(run / WEIGHTS, KIND)
    try:
        _check_size(config, tensors)
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


def _check_size(config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
    """Check, before memory is allocated, that the described sample matches the stored preprocessing.

    Raises:
        UsageError: if it has another number of channels, or does not fit in any memory.
    """
    space = space_from_dict(config["space"])
    if space.size > _LARGEST_SAMPLE:
        raise UsageError(f"a sample of {space} would have {space.size:.3g} numbers, more than any memory holds")
    stored = tensors.get("preprocessing/constants")
    axis = channel_axis(space)
    channels = space.shape[axis if axis < 0 else axis - 1]
    if stored is not None and stored.ndim == 2 and stored.shape[1] not in (1, channels):
        raise UsageError(f"a sample of {space} has {channels} channels, but the weights are for {stored.shape[1]}")


def _rebuild(config: Mapping[str, Any]) -> tuple[Model, Any]:
    """Model and preprocessing of a configuration, without weights."""
    space = space_from_dict(config["space"])
    preprocessing = preprocessing_from_dict(config["preprocessing"])
    kind = model_class(config["model"])
    check_class(kind)
    settings = parse_settings(kind.Settings, config["settings"]["model"])
    return kind(space, preprocessing.condition_space, settings), preprocessing


def write_weights(
    path: Path, state: Mapping[str, Tensor], preprocessing: nn.Module, rows: NDArray[np.float32] | None
) -> None:
    """Write the file of weights that `read_trained` reads.

    Raises:
        UsageError: if it cannot be written.
    """
    conditions = {} if rows is None else {"rows": torch.from_numpy(rows)}
    parts = joined(model=state, preprocessing=preprocessing.state_dict(), conditions=conditions)
    save_tensors(path, parts, {"kind": KIND})
