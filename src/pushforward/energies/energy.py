"""Unnormalised densities p(x) = exp(-U(x)) / Z on a Space."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor

from pushforward.energies.facts import Facts
from pushforward.errors import UsageError
from pushforward.spaces import Space, space_to_dict
from pushforward.tensors.subspace import centre

__all__ = ["Energy"]

_PROBES = 16


class Energy:
    """The density p(x) = exp(-U(x)) / Z with a given U; Z need not be known.

    Arguments:
        action: U, from samples ``(batch, *space.shape)`` to ``(batch,)``, in units of kT: a differentiable PyTorch
            function that does not mix samples and keeps the dtype of ``x``. Infinite or NaN means p(x) = 0.
        space: of the samples. The density is with respect to the Lebesgue measure on it; for centred particles, on the
            subspace with the centre of mass at the origin.
        name: for reports.
        facts: known facts about p, or a function that computes them on first use.
        location, scale: rough centre and standard deviation of a coordinate under p, in the user's units. Training
            samples are shifted and divided by them; an error of a factor of 2 does no harm.
        sampler: reference sampler, from (count, seed) to samples ``(count, *space.shape)`` of p.
        gradient: grad U, from ``(batch, *space.shape)`` to the same shape, if a closed form is faster than autograd.
            For centred particles its mean over the particles is removed.
        fingerprint: identifies U; by default a digest of the space and of U at 16 fixed points, so that a run is only
            resumed with the same energy.

    Raises:
        UsageError: if the action is not a function or the scale is not positive.

    >>> import torch, pushforward as pf
    >>> well = pf.Energy(lambda x: (x**2 - 1).square().sum(-1), pf.Vector(2))
    >>> well(torch.zeros(3, 2))
    tensor([2., 2., 2.])
    """

    def __init__(
        self,
        action: Callable[[Tensor], Tensor],
        space: Space,
        *,
        name: str = "energy",
        facts: Facts | Callable[[], Facts] | None = None,
        location: float = 0.0,
        scale: float = 1.0,
        sampler: Callable[[int, int], Tensor] | None = None,
        gradient: Callable[[Tensor], Tensor] | None = None,
        fingerprint: str | None = None,
    ) -> None:
        if not callable(action):
            raise UsageError(f"the action must be a function from samples to energies in units of kT; got {action!r}")
        if not scale > 0:
            raise UsageError(f"the scale of an energy is a length and must be positive; got {scale}")
        self.action = action
        self.space = space
        self.name = name
        self.location = location
        self.scale = scale
        self.sampler = sampler
        self._facts = facts
        self._gradient = gradient
        self._fingerprint = fingerprint

    def __repr__(self) -> str:
        return f"Energy({self.name!r}, {self.space})"

    def __call__(self, x: Float[Tensor, "batch *shape"]) -> Float[Tensor, "batch"]:
        """U of each sample, in units of kT.

        Raises:
            UsageError: if the samples do not have the shape of the space, or the action does not give one number
                per sample.
        """
        if tuple(x.shape[1:]) != self.space.shape:
            raise UsageError(f"{self.name} needs samples of shape (batch, *{self.space.shape}); got {tuple(x.shape)}")
        energy = self.action(x)
        if energy.shape != x.shape[:1]:
            raise UsageError(
                f"the action of {self.name} must give one energy per sample, shape ({len(x)},); "
                f"it gave {tuple(energy.shape)}: sum over all axes but the first"
            )
        return energy

    def log_density(self, x: Float[Tensor, "batch *shape"]) -> Float[Tensor, "batch"]:
        """-U - ln Z in nats if ln Z is known, else -U."""
        return -self(x) - (self.facts.log_z or 0.0)

    def gradient(self, x: Float[Tensor, "batch *shape"]) -> Float[Tensor, "batch *shape"]:
        """grad U in units of kT per unit of length, along the subspace of the samples; detached from the graph."""
        if self._gradient is not None:
            with torch.no_grad():
                return centre(self.space, self._gradient(x))
        with torch.enable_grad():
            leaf = x.detach().requires_grad_()
            (slope,) = torch.autograd.grad(self(leaf).sum(), leaf)
        return centre(self.space, slope)

    def sample(self, count: int, seed: int = 0) -> Float[Tensor, "count *shape"]:
        """Samples of p by the reference sampler, in float64.

        Raises:
            UsageError: if it has no reference sampler.
        """
        if self.sampler is None:
            raise UsageError(
                f"{self.name} has no reference sampler; draw with `replica_exchange` of pushforward.energies"
            )
        return self.sampler(count, seed)

    def start(self, count: int, generator: torch.Generator) -> Float[Tensor, "count *shape"]:
        """Gaussian starting points about ``location`` with deviation ``scale``, in float64."""
        noise = torch.randn(count, *self.space.shape, generator=generator, dtype=torch.float64)
        return centre(self.space, self.location + self.scale * noise)

    @cached_property
    def facts(self) -> Facts:
        """Known facts about p."""
        return self._facts() if callable(self._facts) else self._facts or Facts()

    @cached_property
    def fingerprint(self) -> str:
        """Digest that identifies this energy."""
        if self._fingerprint is not None:
            return self._fingerprint
        probes = self.start(_PROBES, torch.Generator().manual_seed(0))
        with torch.no_grad():
            energies = [f"{value:.6e}" for value in self(probes).tolist()]
        described = json.dumps([space_to_dict(self.space), energies], sort_keys=True)
        return hashlib.sha256(described.encode()).hexdigest()[:16]
