"""Hyperparameters of the loop, and how a user's flat ``name=value`` pairs reach the model and the loop.

A name belongs to the model's own `Settings` or to `TrainingSettings`; a user need not know which.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from difflib import get_close_matches
from typing import TYPE_CHECKING, Annotated, Any, Literal

import pydantic
from pydantic import BaseModel, ConfigDict
from pydantic import Field as Bounded

from pushforward.errors import UsageError
from pushforward.spaces import Field, Space
from pushforward.training.durations import Duration

if TYPE_CHECKING:
    from pushforward.models import Model

__all__ = ["TrainingSettings", "parse_settings", "resolve_settings"]

_Transform = Literal["auto", "standardise", "log", "asinh", "yeo-johnson", "none"]


class TrainingSettings(BaseModel):
    """How a model is trained, whatever the model.

    Attributes:
        batch_size: samples in one step, over all processes together.
        learning_rate: of Adam, at its highest: it rises linearly while warming up, then falls to zero as half a cosine.
        warmup: part of the run over which the learning rate rises.
        betas: decay rates of Adam's running means of the gradient and of its square.
        weight_decay: decoupled, as in AdamW.
        gradient_clip: largest norm of a player's gradient; none if not given.
        average: width of the averaging of the weights, relative to the length of the run (see `averaging`); 0 for none.
        augment: whether fields are moved, rotated and reflected at random as far as their space allows.
        transform: of the data before training (see `Preprocessing`), for all channels or one for each.
        scale_by_condition: whether fluctuations of a field are divided by the size that the conditions predict, where
            that varies much (see `Preprocessing.fit`).
        checkpoint_every: time between checkpoints; by default a minute, or longer if writing would take over 2 % of it.
        log_every: time between lines of metrics.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    batch_size: Annotated[int, Bounded(ge=1)] = 256
    learning_rate: Annotated[float, Bounded(gt=0)] = 1e-3
    warmup: Annotated[float, Bounded(ge=0, lt=1)] = 0.02
    betas: tuple[Annotated[float, Bounded(ge=0, lt=1)], Annotated[float, Bounded(ge=0, lt=1)]] = (0.9, 0.999)
    weight_decay: Annotated[float, Bounded(ge=0)] = 0.0
    gradient_clip: Annotated[float, Bounded(gt=0)] | None = None
    average: Annotated[float, Bounded(ge=0, le=0.25)] = 0.05
    augment: bool = True
    transform: _Transform | tuple[_Transform, ...] = "auto"
    scale_by_condition: bool = True
    checkpoint_every: Duration | None = None
    log_every: Duration = 0.5


def resolve_settings(
    model: type[Model], space: Space, given: Mapping[str, Any] | None = None
) -> tuple[BaseModel, TrainingSettings]:
    """The model's settings and the loop's, from defaults and a user's flat pairs.

    The defaults of the loop are those of `TrainingSettings`, changed by what suits the space, changed by what suits the
    model (`Model.training_defaults_for`). Values may be strings, as the command line gives them.

    Raises:
        UsageError: for an unknown name (the sentence lists the known ones) or a value that does not fit.
    """
    given = dict(given or {})
    known = {**TrainingSettings.model_fields, **model.Settings.model_fields}
    for name in given:
        if name not in known:
            near = get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]!r}? " if near else ""
            raise UsageError(
                f"there is no setting called {name!r}; {hint}known settings are {', '.join(sorted(known))}"
            )
    of_model = {name: value for name, value in given.items() if name in model.Settings.model_fields}
    of_loop = {name: value for name, value in given.items() if name not in of_model}
    defaults = {"batch_size": 32 if isinstance(space, Field) else 256, **model.training_defaults_for(space)}
    defaults.pop("precision", None)
    return parse_settings(model.Settings, of_model), parse_settings(TrainingSettings, {**defaults, **of_loop})


def parse_settings(kind: type[BaseModel], values: Mapping[str, Any]) -> Any:
    """An instance of a settings class from values, any of which may be a string that spells one.

    Raises:
        UsageError: naming the setting, the value, and what is wrong with it.
    """
    unknown = [name for name in values if name not in kind.model_fields]
    if unknown:
        known = ", ".join(sorted(kind.model_fields)) or "none"
        raise UsageError(f"there is no setting called {unknown[0]!r} here; known ones are {known}")
    given, values = values, dict(values)
    for spelled in (True, False):
        try:
            return kind(**values)
        except pydantic.ValidationError as problem:
            errors = problem.errors()
            texts = {str(e["loc"][0]) for e in errors if e["loc"] and isinstance(values.get(str(e["loc"][0])), str)}
            if spelled and texts:
                values.update({name: _spelled(values[name]) for name in texts})
                continue
            name = str(errors[0]["loc"][0]) if errors[0]["loc"] else "settings"
            what = errors[0]["msg"].removeprefix("Value error, ")
            raise UsageError(f"{name}={given.get(name)!r} cannot be used: {what[:1].lower()}{what[1:]}") from None
    raise AssertionError("unreachable")


def _spelled(text: str) -> Any:
    """The value that a text spells: JSON, ``none``, or parts between commas; else the text itself."""
    if text.strip().lower() in ("none", "null"):
        return None
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return [part.strip() for part in text.strip("()[] ").split(",")] if "," in text else text
