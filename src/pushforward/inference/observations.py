"""Observations: their role in a model, and reading them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from pushforward.errors import UsageError
from pushforward.spaces import Space

__all__ = ["Target", "numbers_observed", "plain_array", "real", "samples_observed", "target_of"]

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
        UsageError: if there are more or fewer numbers, several observations, or no finite real numbers.
    """
    if isinstance(observation, str | Path):
        observation = _observed_in(observation, names)
    if isinstance(observation, Mapping):
        values = {str(name): np.ravel(value) for name, value in observation.items()}
        if several := next((name for name, value in values.items() if len(value) != 1), None):
            raise UsageError(f"{several} has {len(values[several])} values; a posterior is of one observation")
        return {name: value[0].item() for name, value in values.items()}
    given = np.asarray(observation)
    row = given[None] if given.ndim == 1 else given
    if row.shape != (1, len(names)):
        raise UsageError(
            f"the observation has shape {given.shape}; expected one row of {len(names)} numbers: {_few(names)}"
        )
    return real(row)


def samples_observed(observation: Any, space: Space) -> NDArray[np.float64]:
    """Observed samples, shape ``(m, *space.shape)``.

    Arguments:
        observation: one sample or several; an axis of a single channel, or of a single coordinate, may be left out.
        space: of a sample.

    Raises:
        UsageError: if the shape does not fit, or the values are not finite real numbers.
    """
    x, shape = real(observation, gaps=bool(getattr(space, "gaps", ()))), tuple(space.shape)
    one, several = {shape}, {len(shape) + 1: shape}
    if shape[0] == 1:
        one.add(shape[1:])
        several.setdefault(len(shape), shape[1:])
    if x.shape in one:
        return x.reshape(1, *shape)
    if x.ndim in several and x.shape[1:] == several[x.ndim] and len(x):
        return x.reshape(-1, *shape)
    many = ", ".join(map(str, ("m", *shape)))
    raise UsageError(f"the observation has shape {x.shape}; expected one sample, {shape}, or several, ({many})")


def plain_array(path: str | Path) -> NDArray[Any] | None:
    """The array of a ``.npy`` file in its own shape; None for any other file."""
    if Path(path).suffix != ".npy" or not Path(path).is_file():
        return None
    try:
        array = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return array if array.dtype.kind in "fiub" else None


def real(observation: Any, *, gaps: bool = False) -> NDArray[np.float64]:
    """An observation as finite real numbers, or, with ``gaps``, missing ones (NaN).

    Raises:
        UsageError: if it is anything else.
    """
    if isinstance(observation, Mapping | str | Path):
        raise UsageError(f"the observation is a {type(observation).__name__}; give an array of numbers")
    try:
        values = np.asarray(observation)
    except (TypeError, ValueError):
        raise UsageError("the observation is not an array of numbers; give rows of equal length") from None
    if values.dtype.kind not in "fiub":
        raise UsageError(f"the observation holds {values.dtype}; give real numbers")
    if not (np.isfinite(values) | (np.isnan(values) & gaps)).all():
        raise UsageError("the observation holds NaN or an infinity; give finite values")
    return values.astype(np.float64)


def _observed_in(path: str | Path, names: Sequence[str]) -> dict[str, Any] | NDArray[Any]:
    """Values by name, or in order where the file or the run has no names, in a file."""
    from pushforward.ensembles.conditions import read_columns

    columns = read_columns(path)
    unnamed = all(map(_numbered, columns))
    if set(names) <= set(columns) and not (unnamed and len(columns) > len(names)):
        return {name: columns[name] for name in names}
    if not any(map(_numbered, names)) and not unnamed:
        lacking = [name for name in names if name not in columns]
        raise UsageError(f"{path} has no column {_few(lacking)}; it has {_few(list(columns))}")
    table = np.stack(list(columns.values()), axis=-1)
    return table[:, 0] if len(columns) == 1 and len(names) > 1 else table


def _numbered(name: str) -> bool:
    return re.fullmatch(r"condition_\d+", name) is not None


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:6]) + (", ..." if len(names) > 6 else "")
