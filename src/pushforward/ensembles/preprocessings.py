"""Preprocessings by their kind in the configuration of a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pushforward.ensembles.energy_source import Rescaled
from pushforward.ensembles.pair import PairPreprocessing
from pushforward.ensembles.preprocessing import Preprocessing
from pushforward.ensembles.trajectories import Unchanged
from pushforward.errors import UsageError

__all__ = ["PREPROCESSINGS", "preprocessing_from_dict"]

PREPROCESSINGS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "pointwise": Preprocessing.from_dict,
    "pair": PairPreprocessing.from_dict,
    "unchanged": Unchanged.from_dict,
    "rescaled": Rescaled.from_dict,
}


def preprocessing_from_dict(values: Mapping[str, Any]) -> Any:
    """Module described by ``to_dict`` of a preprocessing, without its tensors.

    Raises:
        UsageError: if the kind is unknown.
    """
    kind = values.get("kind")
    if kind not in PREPROCESSINGS:
        raise UsageError(f"a preprocessing of kind {kind!r} is unknown; known kinds are {', '.join(PREPROCESSINGS)}")
    return PREPROCESSINGS[kind](dict(values))
