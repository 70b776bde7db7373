"""Dry run of a user's own model on two samples, so that an ability that fails does so before training."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from pushforward.ensembles.batch import Batch, PairBatch
from pushforward.errors import UsageError
from pushforward.models import Bounded, Density, Joint, Latent, Model, Sampler, Translator, ends_of
from pushforward.models.contract import in_shape
from pushforward.plugins import blamed_on
from pushforward.randomness import Draws

__all__ = ["dry_run"]

_COUNT = 2
"""Samples of the dry run."""


def dry_run(model: Model, batch: Batch) -> None:
    """Call each ability of a model from outside this package once, as the emulator does.

    Arguments:
        model: at the start of training.
        batch: members in network units; of an energy there are none.

    Raises:
        UsageError: if a method fails, or returns another shape than the contract says.
    """
    if type(model).__module__.partition(".")[0] == "pushforward":
        return
    given = None if batch.condition is None else batch.condition[:_COUNT]
    x, shape = batch.x[:_COUNT], (_COUNT, *model.space.shape)
    draws = Draws(0, _COUNT, device=batch.x.device)
    model.eval()

    def tried(method: str, *arguments: Any) -> Any:
        with blamed_on(type(model), f"in {method} before training"), torch.no_grad():
            return getattr(model, method)(*arguments)

    if isinstance(model, Sampler):
        in_shape(model, "sample", tried("sample", draws, given, None), shape)
    if isinstance(model, Joint):
        both = tried("sample_and_log_prob", draws, given, None)
        if not (isinstance(both, tuple) and len(both) == 2):
            kind = type(model).__name__
            raise UsageError(
                f"{kind}.sample_and_log_prob must return samples and log-densities, not {type(both).__name__}"
            )
        for part, expected in zip(both, (shape, (_COUNT,)), strict=True):
            in_shape(model, "sample_and_log_prob", part, expected)
    if len(x) == _COUNT:
        _on_members(model, tried, x, given, draws, batch)
    model.train()


def _on_members(
    model: Model, tried: Callable[..., Any], x: torch.Tensor, given: Any, draws: Draws, batch: Batch
) -> None:
    """The abilities that take members."""
    if isinstance(model, Density):
        in_shape(model, "log_prob", tried("log_prob", x, given), (_COUNT,))
    if isinstance(model, Bounded):
        in_shape(model, "log_prob_bound", tried("log_prob_bound", x, draws, given), (_COUNT,))
    if isinstance(model, Latent):
        in_shape(model, "decode", tried("decode", tried("encode", x, given), given), tuple(x.shape))
    if isinstance(model, Translator) and isinstance(batch, PairBatch):
        b = batch.b[:_COUNT]
        for to, origin, target in (("b", x, b), ("a", b, x)):
            if to in ends_of(model):
                in_shape(model, "translate", tried("translate", origin, to), tuple(target.shape))
