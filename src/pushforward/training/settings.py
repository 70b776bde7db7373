"""Hyperparameters of the loop, and the division of a user's settings between model and loop."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict
from pydantic import Field as Bounded

from pushforward.errors import UsageError
from pushforward.models.settings import divide_settings, parse_settings
from pushforward.spaces import Space
from pushforward.training.durations import Duration

if TYPE_CHECKING:
    from pushforward.models import Model

__all__ = ["TrainingSettings", "resolve_settings"]

_Transform = Literal["auto", "standardise", "log", "asinh", "yeo-johnson", "gaussianise", "none"]


class TrainingSettings(BaseModel):
    """Training settings common to all models.

    Attributes:
        batch_size: samples per step, over all processes.
        optimiser: ``adam``, or ``muon``: steps equally long along all directions of each layer's weights, and Adam for
            all other parameters (see `muon`).
        learning_rate: maximum rate of the optimiser; it rises linearly during the warm-up, then follows the schedule.
        warmup: fraction of the run over which the learning rate rises.
        rate_schedule: decay of the learning rate: ``cosine`` or ``linear`` to zero, or ``constant``.
        betas: decay rates of Adam's running means of the gradient and of its square.
        weight_decay: decoupled, as in AdamW.
        gradient_clip: largest norm of a player's gradient; no clipping if not given.
        average: width of the average of the weights, relative to the length of the run (see `averaging`); 0 for none.
        keep: weights that the run ends with: the ``last``, or the ``best``, for which the loss of validation members is
            smallest; it is measured twenty times, which protects small data sets from being learned by heart.
        augment: shift, rotate and reflect fields and particles at random, as their space allows.
        transform: of the data before training (see `Preprocessing`), for all channels or one per channel;
            ``gaussianise`` maps values to normal scores.
        equal_smoothness: smooth the rougher of two ensembles of periodic fields before ``transform=gaussianise``, and
            undo it in translations to it (see `ensembles.smoothing`).
        scale_by_condition: divide the fluctuations of a field by the amplitude that the conditions predict, if it
            varies much (see `Preprocessing.fit`).
        discrete: model whole numbers, and data with few distinct values, as discrete: samples are then allowed values,
            and densities are bounds on their probabilities (see `ensembles.levels`).
        teacher: run directory of a trained model to learn from: `consistency` follows its flow, `flow-matching` learns
            its noise and samples (reflow).
        checkpoint_every: time between checkpoints; by default a minute, or longer if writing would take over 2 % of it.
        log_every: time between lines of metrics.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    batch_size: Annotated[int, Bounded(ge=1, le=2**24)] = 256
    optimiser: Literal["adam", "muon"] = "adam"
    learning_rate: Annotated[float, Bounded(gt=0)] = 1e-3
    warmup: Annotated[float, Bounded(ge=0, lt=1)] = 0.02
    rate_schedule: Literal["cosine", "linear", "constant"] = "cosine"
    betas: tuple[Annotated[float, Bounded(ge=0, lt=1)], Annotated[float, Bounded(ge=0, lt=1)]] = (0.9, 0.999)
    weight_decay: Annotated[float, Bounded(ge=0)] = 0.0
    gradient_clip: Annotated[float, Bounded(gt=0)] | None = None
    average: Annotated[float, Bounded(ge=0, le=0.25)] = 0.05
    keep: Literal["last", "best"] = "last"
    augment: bool = True
    transform: _Transform | tuple[_Transform, ...] = "auto"
    equal_smoothness: bool = True
    scale_by_condition: bool = True
    discrete: bool = True
    teacher: str | None = None
    checkpoint_every: Duration | None = None
    log_every: Duration = 0.5


_DEFAULTS = {*TrainingSettings.model_fields, "precision"}
"""Names that `Model.training_defaults_for` may give."""


def resolve_settings(
    model: type[Model], space: Space, given: Mapping[str, Any] | None = None
) -> tuple[BaseModel, TrainingSettings]:
    """Settings of the model and of the loop, from defaults and a user's pairs such as ``width`` or ``model.width``.

    The defaults of the loop are those of `TrainingSettings`, overridden by those for the space, then by those of the
    model (`Model.training_defaults_for`). Values may be strings, as on the command line.

    Raises:
        UsageError: for an unknown name or an invalid value.
    """
    known = {"model": model.Settings.model_fields, "training": TrainingSettings.model_fields}
    divided = divide_settings(dict(given or {}), known)
    defaults = {**_batch_size(space), **_own_defaults(model, space)}
    of_loop = parse_settings(TrainingSettings, {**defaults, **divided["training"]})
    return parse_settings(model.Settings, divided["model"]), of_loop


def _own_defaults(model: type[Model], space: Space) -> dict[str, Any]:
    own: Any = model.training_defaults_for(space)
    strange = "no names" if not isinstance(own, Mapping) else next((repr(n) for n in own if n not in _DEFAULTS), None)
    if strange is not None:
        known = ", ".join(sorted(_DEFAULTS))
        raise UsageError(f"{model.__name__}.training_defaults_for returned {strange}; it may name {known}")
    return {name: value for name, value in own.items() if name != "precision"}


def _batch_size(space: Space) -> dict[str, int]:
    return {"batch_size": 32 if space.grid else 256}
