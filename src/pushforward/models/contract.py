"""Checks of a family against the contract of `Model`, before it is trained; each failure is one sentence."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from pydantic import BaseModel
from torch import Tensor, nn

from pushforward.errors import UsageError
from pushforward.models.abilities import ABILITIES
from pushforward.models.model import Model, Player, Turn
from pushforward.models.registry import KINDS, SOURCES
from pushforward.plugins import blamed_on
from pushforward.spaces import Space

__all__ = ["check_class", "check_instance", "check_samples", "check_turn", "checked_players", "in_shape"]

_METHODS: dict[str, tuple[str, ...]] = {
    "__init__": ("space", "condition", "settings"),
    "players": (),
    "turns": ("batches",),
    "prepare": ("batch",),
}
"""Methods that are called on every model, and their arguments."""


def check_class(kind: Any) -> None:
    """Check a class, without an instance.

    Raises:
        UsageError: if it is not a `Model`, lacks a method, or a method cannot be called as the contract says.
    """
    if not (isinstance(kind, type) and issubclass(kind, Model)):
        raise UsageError(f"{kind!r} is not a class derived from pushforward.Model; see docs/contracts.md")
    name = kind.__name__
    if missing := sorted(getattr(kind, "__abstractmethods__", ())):
        raise UsageError(f"{name} does not define {' and '.join(missing)}; see docs/contracts.md")
    for what, known in (("spaces", KINDS), ("sources", SOURCES)):
        listed = getattr(kind, what, ())
        unknown = [each for each in listed if each not in known]
        if isinstance(listed, str) or unknown:
            raise UsageError(f"{name} has {what} = {listed!r}; give a tuple of some of {', '.join(known)}")
    for what in ("Settings", "Sampling"):
        _check_settings(kind, what)
    for method, arguments in _METHODS.items():
        _check_call(kind, method, arguments, {})
    for ability, protocol in ABILITIES.items():
        _check_ability(kind, ability, protocol)


def _check_settings(kind: type[Model], what: str) -> None:
    """Check one of the settings classes, `Model.Settings` or `Model.Sampling`."""
    name, settings = kind.__name__, getattr(kind, what)
    if not (isinstance(settings, type) and issubclass(settings, BaseModel)):
        raise UsageError(f"{name}.{what} is not a class derived from pushforward.models.Settings, but {settings!r}")
    required = [each for each, field in settings.model_fields.items() if field.is_required()]
    if required:
        raise UsageError(f"{name}.{what} has no default for {required[0]!r}; give every setting one")


def _check_ability(kind: type[Model], ability: str, protocol: type) -> None:
    """Check that a class has all methods of an ability or none, and that they take its arguments."""
    name = kind.__name__
    methods = [each for each in vars(protocol) if callable(getattr(protocol, each)) and not each.startswith("_")]
    for method in methods:
        owner = next((each for each in kind.__mro__ if method in vars(each)), None)
        if owner is not None and getattr(owner, "_is_protocol", False):
            raise UsageError(f"{name} is declared a {protocol.__name__}, but does not define {method}")
    defined = [each for each in methods if callable(getattr(kind, each, None))]
    if defined and len(defined) < len(methods):
        absent = next(each for each in methods if each not in defined)
        raise UsageError(f"{name} defines {defined[0]} but not {absent}; the ability {ability} needs both")
    for method in defined:
        parameters = [*inspect.signature(getattr(protocol, method)).parameters.values()][1:]
        positional = tuple(each.name for each in parameters if each.kind is not each.KEYWORD_ONLY)
        named = {each.name: each.default for each in parameters if each.kind is each.KEYWORD_ONLY}
        _check_call(kind, method, positional, named)


def _check_call(kind: type[Model], method: str, positional: Sequence[str], named: Mapping[str, Any]) -> None:
    try:
        inspect.signature(getattr(kind, method)).bind(None, *positional, **named)
    except TypeError:
        taken = ", ".join(("self", *positional, *named))
        raise UsageError(
            f"{kind.__name__}.{method} cannot be called as {method}({taken}); see docs/contracts.md"
        ) from None


def check_instance(model: Model) -> None:
    """Check a new model.

    Raises:
        UsageError: if its constructor does not call that of `Model`, or its players cannot be trained.
    """
    if "space" not in vars(model):
        raise UsageError(f"{type(model).__name__}.__init__ must call super().__init__(space, condition, settings)")
    with blamed_on(type(model), "in players"):
        checked_players(model)


def checked_players(model: Model) -> dict[str, Player]:
    """The players of a model.

    Raises:
        UsageError: if one has nothing to train, or parameters of another player or of no module of the model.
    """
    name, players = type(model).__name__, model.players()
    if not isinstance(players, Mapping) or not all(isinstance(each, Player) for each in players.values()):
        raise UsageError(f"{name}.players() must return Players by name, {{'model': Player(parameters)}}")
    if not players:
        raise UsageError(f"{name}.players() is empty; name at least one player")
    own, taken = {id(p) for p in model.parameters()}, dict[int, str]()
    for player, each in players.items():
        parameters = each.parameters
        if not any(isinstance(p, nn.Parameter) and p.requires_grad for p in parameters):
            raise UsageError(f"the player {player!r} of {name} has no parameters to train; leave it out of players()")
        for p in parameters:
            if id(p) not in own:
                raise UsageError(
                    f"the player {player!r} of {name} has parameters that are not the model's own, and would not be "
                    "saved; assign their module to an attribute of the model"
                )
            if taken.setdefault(id(p), player) != player:
                raise UsageError(
                    f"the players {taken[id(p)]!r} and {player!r} of {name} share parameters; give each its own, and "
                    "step several by one loss with Turn((name, name), ...)"
                )
    return dict(players)


def check_turn(model: Model, turn: Any, players: Mapping[str, Player]) -> None:
    """Check a turn, as `Model.turns` yields it.

    Raises:
        UsageError: if it is not a `Turn` of known players with one differentiable loss, and one number per log.
    """
    name = type(model).__name__
    if not isinstance(turn, Turn):
        raise UsageError(f"{name}.turns must yield Turn(player, loss, logs), not {type(turn).__name__}")
    names = (turn.player,) if isinstance(turn.player, str) else turn.player
    if not names or any(each not in players for each in names):
        raise UsageError(
            f"{name}.turns yielded a turn of {turn.player!r}, but players() names {', '.join(map(repr, players))}"
        )
    loss: Any = turn.loss
    if not isinstance(loss, Tensor) or loss.numel() != 1:
        found = f"shape {tuple(loss.shape)}" if isinstance(loss, Tensor) else type(loss).__name__
        raise UsageError(f"the loss of {turn.player!r} of {name} must be a tensor of one number, not {found}")
    if not loss.requires_grad:
        raise UsageError(f"the loss of {turn.player!r} of {name} does not depend on any parameter")
    logs: Any = turn.logs
    if not isinstance(logs, Mapping):
        raise UsageError(f"the logs of {turn.player!r} of {name} must be numbers by name, not {type(logs).__name__}")
    for log, value in logs.items():
        one = value.numel() == 1 if isinstance(value, Tensor) else isinstance(value, int | float)
        if not one:
            raise UsageError(f"the log {log!r} of {turn.player!r} of {name} must be one number, not {value!r:.60}")


def in_shape(model: nn.Module, method: str, value: Any, shape: tuple[int, ...]) -> Tensor:
    """Return what a method of a model has returned, after a check of its shape.

    Raises:
        UsageError: if it is not a tensor of that shape.
    """
    if isinstance(value, Tensor) and tuple(value.shape) == shape:
        return value
    found = f"shape {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
    raise UsageError(f"{type(model).__name__}.{method} returned {found}; expected a tensor of shape {shape}")


def check_samples(name: str, x: Tensor, space: Space) -> Tensor:
    """Return samples (n, *shape), after a warning if some are not finite.

    A series has NaN where nothing was observed, but not everywhere, and so may the columns of a vector with gaps.

    Raises:
        UsageError: if no sample is finite.
    """
    if bool(x.isfinite().all()):
        return x
    flat = x.flatten(1)
    missing = flat.isnan() if space.kind == "series" else torch.zeros_like(flat, dtype=torch.bool)
    gaps = list(getattr(space, "gaps", ()))
    missing[:, gaps] = flat[:, gaps].isnan()
    bad = ~(flat.isfinite() | missing).all(1) | (missing.all(1) & (space.kind == "series"))
    if bad.all():
        raise UsageError(
            f"none of the {len(x)} samples of {name} is finite; train it again with a lower learning_rate or a "
            "gradient_clip, or sample with other settings"
        )
    if bad.any():
        warnings.warn(
            f"{int(bad.sum())} of {len(x)} samples of {name} are not finite (NaN or infinite); leave them out, and do "
            "not trust the others before validate",
            stacklevel=4,
        )
    return x
