r"""Schroedinger bridge between two unpaired ensembles, by iterative Markovian fitting (see `transport.schrodinger`).

One network learns the drift from a to b, another the drift from b to a, both by regression on Brownian bridges between
the ends of pairs. First the pairs are those of optimal transport within each batch. Then each network learns from pairs
that the other one makes: the drift towards b from members of b and the starts that the drift towards a, simulated from
them, arrives at, and vice versa. Every network thereby aims at real members. The noise sigma sets how freely ends are
paired: at its limit of zero this is reflow, and the larger it is, the fewer iterations are needed.

Members are translated along the probability flow, which can be undone, or, with ``random``, by the diffusion itself,
whose ends have the entropic coupling.

References:
    Shi et al. 2023, https://arxiv.org/abs/2303.16852; De Bortoli et al. 2024, https://arxiv.org/abs/2409.09347
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from pydantic import BaseModel
from pydantic import Field as Setting
from torch import Tensor, nn

from pushforward.conditions import ConditionSpace
from pushforward.ensembles.batch import PairBatch
from pushforward.models.bridge import Bridge, BridgeSettings, network_options
from pushforward.models.custom_networks import with_own_network
from pushforward.models.model import Batch, Collate, Model, Player, Settings, Turn
from pushforward.models.pairs import members, other_end
from pushforward.models.whitened import PairWhitening, can_be_whitened
from pushforward.networks import time_network
from pushforward.randomness import Draws
from pushforward.spaces import Space
from pushforward.transport import schrodinger
from pushforward.transport.couplings import optimal_transport

__all__ = ["SchrodingerBridge"]


class SchrodingerBridgeSettings(BridgeSettings):
    """
    Attributes:
        noise: sigma, standard deviation of the Brownian motion from a to b, in network units.
        fitting: part of the run, at its end, in which each network learns from pairs that the other one makes; None: a
            half, or the whole for periodic fields, which are whitened (see `Whitening`): drifts of zero are then the
            transport between Gaussian fields, a better beginning than pairs within a batch.
        path_steps: of the simulations that make the pairs; one network call each.
        repeats: steps of each network on the same simulated pairs, with fresh times and noise.
    """

    noise: float = Setting(default=0.2, gt=0)
    fitting: float | None = Setting(default=None, ge=0, le=1)
    path_steps: int = Setting(default=10, ge=1)
    repeats: int = Setting(default=4, ge=1)


class SchrodingerBridgeSampling(Settings):
    """
    Attributes:
        random: translate by the diffusion rather than along the probability flow.
        steps: of the diffusion; one network call each.
        tolerance: relative and absolute error per step of the solver of the flow, in network units.
    """

    random: bool = False
    steps: int = Setting(default=40, ge=1)
    tolerance: float = Setting(default=1e-4, gt=0)


class SchrodingerBridge(Model):
    """Players ``to_a`` and ``to_b``, the drifts towards each ensemble."""

    Settings = SchrodingerBridgeSettings
    Sampling = SchrodingerBridgeSampling
    settings: SchrodingerBridgeSettings

    def __init__(
        self, space: Space, condition: ConditionSpace = ConditionSpace(), settings: BaseModel | None = None
    ) -> None:
        super().__init__(space, condition, settings)
        options = network_options(space, self.settings)
        self.whitening = PairWhitening(space)
        chosen = 1.0 if can_be_whitened(space) else 0.5
        self.fitting = chosen if self.settings.fitting is None else self.settings.fitting
        self.drifts = nn.ModuleDict({side: time_network(space, condition, **options) for side in "ab"})

    @classmethod
    def settled(cls, settings: BaseModel, source: Any) -> BaseModel:
        """The settings, unchanged.

        Raises:
            UsageError: if the members of the two ensembles differ in shape.
        """
        source.require_equal_shapes("a Schroedinger bridge joins members by Brownian motion")
        return with_own_network(settings)

    @classmethod
    def training_defaults_for(cls, space: Space) -> dict[str, object]:
        return Bridge.training_defaults_for(space)

    def players(self) -> dict[str, Player]:
        return {f"to_{side}": Player(list(self.drifts[side].parameters())) for side in "ab"}

    def prepare(self, batch: Batch) -> None:
        self.whitening.add(members(batch))

    @property
    def collate(self) -> Collate:
        return self._paired

    def _paired(self, batch: Batch) -> PairBatch:
        """The batch with the rows of b reordered to pair with those of a, if any step learns from such pairs."""
        assert isinstance(batch, PairBatch)
        apart = self.settings.pairs == 1 or self.fitting == 1
        b = batch.b if apart else optimal_transport(batch.x, batch.b, block=self.settings.pairs)
        return replace(batch, b=b, paired=True)

    def turns(self, batches: Iterator[Batch]) -> Iterator[Turn]:
        batch = next(batches)
        fitting = batch.progress >= 1 - self.fitting
        self.prepare(batch)
        ends = {side: self.whitening[side](x) for side, x in members(batch).items()}
        if fitting:
            starts = {to: self.simulate(ends[to], other_end(to), batch.draws) for to in "ba"}
        else:
            starts = {to: ends[other_end(to)] for to in "ba"}
        for _ in range(self.settings.repeats if fitting else 1):
            for to in "ba":
                yield Turn(f"to_{to}", self._loss(to, starts[to], ends[to], batch.draws), {})

    @torch.no_grad()
    def simulate(self, x: Tensor, to: str, draws: Draws, steps: int | None = None) -> Tensor:
        """Ends of the diffusion from members ``x`` of the other ensemble towards ``to``."""
        steps, sigma = steps or self.settings.path_steps, self.settings.noise
        return schrodinger.simulated(partial(self._drift, to), x, draws, sigma=sigma, steps=steps)

    @torch.no_grad()
    def translate(self, x: Tensor, to: str, sampling: BaseModel | None = None) -> Tensor:
        """Members of b as members of a (``to="a"``), or of a as members of b, along the probability flow."""
        forward, backward = partial(self._drift, to), partial(self._drift, other_end(to))
        tolerance = self._options(sampling).tolerance
        w = self.whitening[other_end(to)](x)
        moved = schrodinger.transported(forward, backward, w, sigma=self.settings.noise, tolerance=tolerance)
        return self.whitening[to].inverse(moved)

    @torch.no_grad()
    def translate_at_random(self, x: Tensor, to: str, draws: Draws, sampling: BaseModel | None = None) -> Tensor:
        """Translations as by `translate`, but along the diffusion if ``random`` is set."""
        options = self._options(sampling)
        if not options.random:
            return self.translate(x, to, options)
        moved = self.simulate(self.whitening[other_end(to)](x), to, draws, options.steps)
        return self.whitening[to].inverse(moved)

    def _loss(self, to: str, start: Tensor, end: Tensor, draws: Draws) -> Tensor:
        elapsed, eps = draws.stratified(), draws.normal(*self.space.shape)
        z = schrodinger.bridge(start, end, elapsed, eps, self.settings.noise)
        target = schrodinger.drift_target(start, end, elapsed, eps, self.settings.noise)
        return (self._drift(to, z, elapsed) - target).square().mean()

    def _drift(self, to: str, z: Tensor, elapsed: Tensor) -> Tensor:
        # Under autocast the network's output may be bfloat16, too coarse for a sum over many steps.
        return self.drifts[to](z, elapsed, None).to(z.dtype)

    def _options(self, sampling: BaseModel | None) -> SchrodingerBridgeSampling:
        return sampling if isinstance(sampling, SchrodingerBridgeSampling) else SchrodingerBridgeSampling()
