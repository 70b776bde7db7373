"""Optimisers: one per player of a model."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch._utils import _flatten_dense_tensors, _unflatten_dense_tensors

from pushforward.errors import UsageError
from pushforward.models import Model, Turn
from pushforward.models.contract import checked_players
from pushforward.models.model import Schedule
from pushforward.training.adam import Adam
from pushforward.training.muon import Muon, is_matrix
from pushforward.training.settings import TrainingSettings

if TYPE_CHECKING:
    from lightning_fabric import Fabric

__all__ = ["Optimisers", "rate_at"]

_BUCKET_BYTES = 32 * 2**20
_MATRICES = "/matrices"
"""Suffix of the name of the optimiser that steps the matrices of a player."""


def rate_at(progress: float, warmup: float, schedule: Schedule = "cosine") -> float:
    r"""Learning rate in units of its maximum: linear up to 1 at ``warmup``, then following the schedule.

    With u from 0 to 1 between the end of the warm-up and the end of the run: (1 + cos \pi u) / 2, 1 - u, or 1.

    Arguments:
        progress: completed fraction of the run, in [0, 1].
    """
    if progress < warmup:
        return progress / warmup
    u = (progress - warmup) / (1 - warmup)
    return {"cosine": 0.5 * (1 + math.cos(math.pi * u)), "linear": 1 - u, "constant": 1.0}[schedule]


class Optimisers:
    """The optimisers of a model's players.

    A player's parameters are moved into one contiguous tensor, and so are their gradients, so that a step of Adam and a
    gradient norm are one pass over memory for any number of layers. With Muon the weights of layers are in a tensor of
    their own, and Adam steps the rest. A parameter without a gradient counts as one with zero gradient.

    Gradients are averaged over processes here rather than by a wrapper around the model: the turns of a model call its
    parts directly and may differentiate twice, which a wrapper does not support.
    """

    def __init__(self, model: Model, settings: TrainingSettings, fabric: Fabric) -> None:
        self.fabric, self.settings = fabric, settings
        self.players = checked_players(model)
        self.parameters = {name: [p for p in each.parameters if p.requires_grad] for name, each in self.players.items()}
        self.joined: dict[str, list[nn.Parameter]] = {}
        self.optimisers: dict[str, Adam | Muon] = {}
        for name, parameters in self.parameters.items():
            own = self.players[name]
            decay = _given(own.weight_decay, settings.weight_decay)
            muon = settings.optimiser == "muon"
            matrices = [p for p in parameters if muon and is_matrix(p)]
            others = _side_by_side([p for p in parameters if not (muon and is_matrix(p))])
            self.joined[name] = others + _side_by_side(matrices)
            if others:
                self.optimisers[name] = Adam(others, own.betas or settings.betas, decay)
            if matrices:
                self.optimisers[name + _MATRICES] = Muon(matrices, weight_decay=decay)
        self._untried = set(self.players)

    def rate(self, player: str, progress: float) -> float:
        """Learning rate of a player at a completed fraction of the run."""
        own, settings = self.players[player], self.settings
        schedule = own.schedule or settings.rate_schedule
        return settings.learning_rate * own.rate * rate_at(progress, settings.warmup, schedule)

    def take(self, turn: Turn, progress: float) -> Tensor | None:
        """Step the players of a turn, at their learning rates for a completed fraction of the run.

        Returns the gradient norm of the first player before clipping, if there is clipping or another player.

        Raises:
            UsageError: if the first loss of a player depends on none of its parameters.
        """
        names = (turn.player,) if isinstance(turn.player, str) else turn.player
        parameters = [p for name in names for p in self.parameters[name]]
        if self._untried.isdisjoint(names):
            for name in names:
                torch._foreach_zero_(self._gradients(name))
            turn.loss.backward(inputs=parameters)
        else:
            gradients = torch.autograd.grad(turn.loss, parameters, allow_unused=True)
            reached = {id(p) for p, gradient in zip(parameters, gradients, strict=True) if gradient is not None}
            self._check_reached(names, reached)
            _copy_gradients(parameters, gradients)
        if self.fabric.world_size > 1:
            self._reduce([gradient for name in names for gradient in self._gradients(name)])
        norms = [self._step(name, progress) for name in names]
        return norms[0]

    def _check_reached(self, names: Sequence[str], reached: set[int]) -> None:
        """Raise unless the gradient reaches a parameter of each of the players, at their first loss."""
        for name in self._untried.intersection(names):
            if not any(id(p) in reached for p in self.parameters[name]):
                raise UsageError(
                    f"the loss of {name!r} depends on none of its parameters, so it would never be trained"
                )
            self._untried.remove(name)

    def _gradients(self, name: str) -> list[Tensor]:
        return [p.grad for p in self.joined[name] if p.grad is not None]

    def _step(self, name: str, progress: float) -> Tensor | None:
        clip = _given(self.players[name].gradient_clip, self.settings.gradient_clip)
        norm = None
        if clip is not None or len(self.players) > 1:
            gradients = self._gradients(name)
            norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))
            if clip is not None:
                torch._foreach_mul_(gradients, (clip / (norm + 1e-6)).clamp(max=1))
        for key in (name, name + _MATRICES):
            if (optimiser := self.optimisers.get(key)) is not None:
                optimiser.step(self.rate(name, progress))
        return norm

    def _reduce(self, gradients: Sequence[Tensor]) -> None:
        """Replace each gradient by its mean over processes."""
        for bucket in _buckets(gradients):
            joined = self.fabric.all_reduce(_flatten_dense_tensors(bucket), reduce_op="mean")
            torch._foreach_copy_(bucket, list(_unflatten_dense_tensors(joined, bucket)))

    def not_finite(self) -> str | None:
        """Name of a player with a weight that is not finite; None if there is none."""
        for name, parameters in self.parameters.items():
            if not torch.stack(torch._foreach_norm([p.detach() for p in parameters])).isfinite().all():
                return name
        return None

    def state(self) -> dict[str, Tensor]:
        """State of the optimisers as named tensors."""
        return {
            f"{player}/{index}/{key}": value
            for player, optimiser in self.optimisers.items()
            for index, memory in enumerate(optimiser.memory)
            for key, value in memory.items()
        }

    def load_state(self, tensors: dict[str, Tensor]) -> None:
        """Restore the tensors of `state` in the memory layout of their weights, which files do not keep."""
        for name, value in self.state().items():
            value.copy_(tensors[name])


def _given(own: float | None, of_run: float | None) -> Any:
    return of_run if own is None else own


@torch.no_grad()
def _side_by_side(parameters: Sequence[nn.Parameter]) -> list[nn.Parameter]:
    """One tensor per dtype; the parameters and their gradients become views of it."""
    joined = []
    for dtype in dict.fromkeys(p.dtype for p in parameters):
        chosen = [p for p in parameters if p.dtype == dtype]
        values = chosen[0].new_empty(sum(p.numel() for p in chosen))
        whole = nn.Parameter(values)
        whole.grad = torch.zeros_like(values)
        start = 0
        for p in chosen:
            # with the same strides: channels may come last
            part, gradient = (each.as_strided(p.shape, p.stride(), start) for each in (values, whole.grad))
            p.data, p.grad = part.copy_(p), gradient
            start += p.numel()
        joined.append(whole)
    return joined


@torch.no_grad()
def _copy_gradients(parameters: Sequence[nn.Parameter], gradients: Sequence[Tensor | None]) -> None:
    """Copy gradients into the ``grad`` of parameters; zero for a parameter that the loss does not reach."""
    values = [p.new_zeros(()) if each is None else each for p, each in zip(parameters, gradients, strict=True)]
    torch._foreach_copy_([p.grad for p in parameters if p.grad is not None], values)


def _buckets(tensors: Sequence[Tensor]) -> Iterator[list[Tensor]]:
    """Consecutive tensors of one dtype, of about `_BUCKET_BYTES` together."""
    bucket: list[Tensor] = []
    size = 0
    for tensor in tensors:
        if bucket and (tensor.dtype != bucket[0].dtype or size >= _BUCKET_BYTES):
            yield bucket
            bucket, size = [], 0
        bucket.append(tensor)
        size += tensor.numel() * tensor.element_size()
    if bucket:
        yield bucket
