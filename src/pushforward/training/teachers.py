"""Models that learn from a trained model: the run that is named, whether it suits, and what it settles."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from pydantic import BaseModel

from pushforward.ensembles import Ensemble, Parameter
from pushforward.errors import UsageError
from pushforward.models import Pupil, model_class
from pushforward.spaces import Space
from pushforward.training.settings import TrainingSettings, resolve_settings
from pushforward.training.weights import Trained, read_trained

__all__ = ["Taught", "resolve_taught"]

# A student works in the network units of its teacher.
_UNITS = ("transform", "scale_by_condition")


@dataclass(frozen=True)
class Taught:
    """What a run with a teacher rests on.

    Attributes:
        run: of the teacher.
        trained: what is in it.
        digest: of its weights, by which a run that is resumed knows them again.
    """

    run: Path
    trained: Trained
    digest: str

    def to_dict(self) -> dict[str, Any]:
        return {"run": str(self.run), "model": self.trained.config["model"], "weights": self.digest}


def resolve_taught(
    model: str, ensemble: Ensemble, given: Mapping[str, Any] | None = None
) -> tuple[BaseModel, TrainingSettings, Taught | None]:
    """The settings of a model and of the loop, and the teacher, if the settings name one.

    Raises:
        UsageError: as `resolve_settings` does; if the model cannot learn from another, or not from this one; if it is
            not there; if it has learnt another space or other conditions.
    """
    kind, given = model_class(model), dict(given or {})
    of_model, of_loop = resolve_settings(kind, ensemble.space, given)
    named = getattr(of_model, "teacher", None)
    if named is None:
        return of_model, of_loop, None
    if clash := next((name for name in _UNITS if name in given), None):
        raise UsageError(f"{model} works in the units of its teacher, so {clash} cannot be set; leave it out")
    run = Path(named)
    try:
        trained = read_trained(run)
    except UsageError as problem:
        raise UsageError(f"teacher={named} cannot be used: {problem}") from None
    _check_alike(named, "space", trained.model.space, ensemble.space)
    _check_alike(named, "conditions", trained.preprocessing.parameters_, ensemble.parameters)
    of_model = cast(type[Pupil], kind).taught_by(of_model, trained.config["model"], trained.model)
    return of_model, of_loop, Taught(run, trained, _digest(trained))


def _digest(trained: Trained) -> str:
    """The same for the same weights and units, however the file came about."""
    found = hashlib.sha256()
    for part in (trained.model, trained.preprocessing):
        for name, tensor in sorted(part.state_dict().items()):
            found.update(name.encode() + tensor.cpu().contiguous().numpy().tobytes())
    return found.hexdigest()


def _check_alike(
    run: str, what: str, theirs: Space | tuple[Parameter, ...], ours: Space | tuple[Parameter, ...]
) -> None:
    if theirs != ours:
        raise UsageError(
            f"teacher={run} cannot be used: it has learnt the {what} {_said(theirs)}, and these data have {_said(ours)}"
        )


def _said(what: Space | tuple[Parameter, ...]) -> str:
    if not isinstance(what, tuple):
        return str(what)
    names = [f"{each.name} ({', '.join(each.classes)})" if each.classes else each.name for each in what]
    return ", ".join(names) or "none"
