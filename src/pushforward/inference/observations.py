"""Observations: their role in a model, and reading them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from pushforward.errors import UsageError

__all__ = ["Target", "numbers_observed", "target_of"]

Target = Literal["samples", "conditions"]
"""Target of a posterior: the samples of the model (the observation is its condition), or its conditions."""


def target_of(
    requested: str | None,
    *,
    sampled: Sequence[str],
    conditions: Sequence[str],
    density: bool,
    vector: bool,
) -> Target:
    """Target of a posterior: the user's choice, or the only possible one.

    Arguments:
        requested: the user's choice; None to infer it.
        sampled, conditions: names of the sampled parameters and of the conditions.
        density: whether the model has one.
        vector: whether samples are vectors.

    Raises:
        UsageError: if the model can infer nothing, or both, or not what is requested.
    """
    if not conditions:
        raise UsageError("a posterior needs a model with conditions; this one was trained without")
    able = {"samples": vector, "conditions": density}
    if requested is not None:
        if requested not in able:
            raise UsageError(f"a posterior is of samples or of conditions, not of {requested!r}")
        if not able[requested]:
            lacks = "makes no vectors of parameters" if requested == "samples" else "has no density"
            raise UsageError(f"a posterior of {requested} is impossible: this model {lacks}")
        return "samples" if requested == "samples" else "conditions"
    if able["samples"] and able["conditions"]:
        raise UsageError(
            f"give the target of inference: --of samples ({_few(sampled)}, for a model of parameters given data), or "
            f"--of conditions ({_few(conditions)}, for a model of data given parameters)"
        )
    if not any(able.values()):
        raise UsageError("this model has no density and makes no vectors of parameters: it has no posterior")
    return "samples" if able["samples"] else "conditions"


def numbers_observed(observation: Any, names: Sequence[str]) -> dict[str, float] | NDArray[np.float64]:
    """One observation of several numbers, as a value by name or as one row.

    Arguments:
        observation: mapping of names to values, numbers of shape ``(P,)`` or ``(1, P)``, or a file of either.
        names: of the P numbers.

    Raises:
        UsageError: if there are more or fewer numbers, or several observations.
    """
    from pushforward.ensembles.conditions import read_columns

    if isinstance(observation, str | Path):
        path = Path(observation)
        if path.suffix == ".npy":
            observation = np.load(path, allow_pickle=False)
        else:
            columns = read_columns(path)
            known = set(names) <= set(columns)
            observation = (
                {name: columns[name] for name in names} if known else np.stack(list(columns.values()), axis=-1)
            )
    if isinstance(observation, Mapping):
        values = {str(name): np.ravel(value) for name, value in observation.items()}
        if several := next((name for name, value in values.items() if len(value) != 1), None):
            raise UsageError(f"{several} has {len(values[several])} values; a posterior is of one observation")
        return {name: value[0] for name, value in values.items()}
    row = np.asarray(observation)
    row = row[None] if row.ndim == 1 else row
    if row.shape != (1, len(names)):
        raise UsageError(
            f"the observation has shape {np.asarray(observation).shape}; expected one row of {len(names)} numbers: "
            f"{_few(names)}"
        )
    return row.astype(np.float64)


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:6]) + (", ..." if len(names) > 6 else "")
