r"""Diffusion bridge: a diffusion model of each of two ensembles, and the noise at which they cannot be told apart.

A member of a is taken to the turn-around time t*, at which the noised power spectra of both ensembles agree within a
fraction (see `transport.turn_around`), and from there to the data by the model of b. It is taken there along the
probability flow of a, which can be undone (Su et al. 2022), or, with ``random``, by fresh noise, from which the model
of b then draws by its reversed diffusion: waves with less power than the noise are made anew.

The models are trained apart, each by flow matching on its own ensemble, and know nothing of the translation. Where the
spectra agree without noise, t* would be zero and a translation the member itself; vectors, whose coordinates are all
standardised, are therefore taken to pure noise.

References:
    Bischoff & Deck 2023, https://arxiv.org/abs/2305.01822 (noise and turn-around time)
    Su et al. 2022, https://arxiv.org/abs/2203.08382 (dual implicit bridges: the flow of one model, then of the other)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, cast

import torch
from pydantic import BaseModel
from pydantic import Field as Setting
from torch import Tensor, nn

from pushforward import transport
from pushforward.conditions import ConditionSpace
from pushforward.models.custom_networks import NetworkSettings, with_own_network
from pushforward.models.flow_matching import FlowMatching
from pushforward.models.model import Batch, Model, Player, Settings, Turn
from pushforward.models.pairs import checked_end, members, other_end
from pushforward.models.whitened import translation_defaults
from pushforward.randomness import Draws
from pushforward.spaces import Space
from pushforward.tensors.processes import joined_rows
from pushforward.transport import Straight

__all__ = ["DiffusionBridge"]


class DiffusionBridgeSettings(NetworkSettings):
    """
    Attributes:
        tolerance: relative excess of one noised spectrum over the other that the turn-around time allows.
    """

    tolerance: float = Setting(default=1.0, gt=0)


class DiffusionBridgeSampling(Settings):
    """
    Attributes:
        random: translate by fresh noise and a random sampler rather than along both probability flows.
        turn_around: time of the straight line at which to turn, 1 for pure noise; None follows from the spectra.
        steps: of each half of the way; one network call each if ``random``, otherwise four.
    """

    random: bool = False
    turn_around: float | None = Setting(default=None, gt=0, le=1)
    steps: int | None = Setting(default=None, ge=1)


class DiffusionBridge(Model):
    """Players ``a`` and ``b``, a `FlowMatching` of each ensemble."""

    Settings = DiffusionBridgeSettings
    Sampling = DiffusionBridgeSampling
    settings: DiffusionBridgeSettings

    # Samplers need some noise to start from.
    earliest = 1e-3
    powers_a: Tensor
    powers_b: Tensor
    seen: Tensor

    def __init__(
        self, space: Space, condition: ConditionSpace = ConditionSpace(), settings: BaseModel | None = None
    ) -> None:
        super().__init__(space, condition, settings)
        own = FlowMatching.Settings(**self.settings.model_dump(include=set(NetworkSettings.model_fields)))
        self.models = nn.ModuleDict({side: FlowMatching(space, condition, own) for side in "ab"})
        for side in "ab":
            self.register_buffer(f"powers_{side}", torch.zeros_like(self._model(side).gaussian.raw_log_power))
        self.register_buffer("seen", torch.zeros(()))

    @classmethod
    def settled(cls, settings: BaseModel, source: Any) -> BaseModel:
        """The settings, unchanged.

        Raises:
            UsageError: if the members of the two ensembles differ in shape.
        """
        source.require_equal_shapes("a diffusion bridge takes members to noise of their own shape")
        return with_own_network(settings)

    @classmethod
    def training_defaults_for(cls, space: Space) -> dict[str, Any]:
        return {**FlowMatching.training_defaults_for(space), **translation_defaults(space)}

    def players(self) -> dict[str, Player]:
        return {side: Player(list(self.models[side].parameters())) for side in "ab"}

    def prepare(self, batch: Batch) -> None:
        for side, x in members(batch).items():
            self._model(side).prepare(replace(batch, x=x))
        self._update_powers(members(batch))

    def turns(self, batches: Iterator[Batch]) -> Iterator[Turn]:
        batch = next(batches)
        self._update_powers(members(batch))
        for side, x in members(batch).items():
            for turn in self._model(side).turns(iter([replace(batch, x=x)])):
                yield turn._replace(player=side)

    def turn_around(self) -> float:
        """Time t* of the straight line, by the spectra of the training members; 1 for vectors."""
        if not self.space.grid:
            return 1.0
        return transport.turn_around_time(self.powers_a, self.powers_b, tolerance=self.settings.tolerance)

    def translate(self, x: Tensor, to: str, sampling: BaseModel | None = None) -> Tensor:
        """Members of b as members of a (``to="a"``), or of a as members of b, without fresh noise."""
        origin, options = other_end(to), self._options(sampling)
        times = self._times(options)
        noised = self._model(origin).carried(x, times[::-1])
        return self._model(to).carried(noised, times)

    @torch.no_grad()
    def translate_at_random(self, x: Tensor, to: str, draws: Draws, sampling: BaseModel | None = None) -> Tensor:
        """Translations as by `translate`, but with fresh noise if ``random`` is set."""
        options = self._options(sampling)
        if not options.random:
            return self.translate(x, to, options)
        goal, times = self._model(checked_end(to)), self._times(options)
        z = Straight().moments(times[:1])[0].mix(x, draws.normal(*self.space.shape))
        return transport.sde(goal.predictor(None, Straight()), Straight(), times, z, draws)

    def _model(self, side: str) -> FlowMatching:
        """The model of one ensemble."""
        return cast(FlowMatching, self.models[side])

    def _options(self, sampling: BaseModel | None) -> DiffusionBridgeSampling:
        return sampling if isinstance(sampling, DiffusionBridgeSampling) else DiffusionBridgeSampling()

    def _times(self, options: DiffusionBridgeSampling) -> list[float]:
        """From the turn-around time to the data."""
        start = self.turn_around() if options.turn_around is None else options.turn_around
        steps = options.steps or (20 if options.random else 6)
        return transport.time_grid(Straight(), steps, start=max(start, self.earliest))

    @torch.no_grad()
    def _update_powers(self, both: dict[str, Tensor]) -> None:
        """Add a batch to the mean powers of all training members."""
        self.seen += 1
        for side, x in both.items():
            mean = self.get_buffer(f"powers_{side}")
            mean += (joined_rows(self._model(side).gaussian.powers_of(x)[None]).mean(0) - mean) / self.seen
