"""Flow matching with noise paired to the data by optimal transport: the same loss on straighter paths.

With conditions, rows exchange their noise only if their conditions nearly agree, so that the noise of a condition stays
standard normal (see `pushforward.transport.couplings`). Pairs are formed within each process's part of the batch.

References:
    Tong et al. 2024, https://arxiv.org/abs/2302.00482; Pooladian et al. 2023, https://arxiv.org/abs/2304.14772
    Cheng & Schwing 2025, https://arxiv.org/abs/2503.10636 (conditions)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial, singledispatch
from typing import Literal

from pydantic import BaseModel
from pydantic import Field as Setting
from torch import Tensor

from pushforward.conditions import ConditionSpace
from pushforward.errors import UsageError
from pushforward.models.flow_matching import FlowMatching, FlowMatchingSettings
from pushforward.models.model import Batch, Collate
from pushforward.spaces import Field, Particles, Space
from pushforward.transport.alignment import aligned_transport
from pushforward.transport.couplings import CONDITION_WEIGHT, optimal_transport, sinkhorn
from pushforward.transport.translations import translated_transport

__all__ = ["OTFlowMatching"]


class OTFlowMatchingSettings(FlowMatchingSettings):
    """
    Attributes:
        coupling: ``optimal-transport``, the exact plan of least total squared distance; ``sinkhorn``, draws from the
            entropic plan; ``translations``, the exact plan up to translations, for periodic fields; ``alignment``, the
            plan up to rotations, reflections and permutations, for particles. None is alignment for particles, and the
            exact plan otherwise.
        pairs: number of samples paired among themselves; larger batches are divided.
        condition_weight: strength with which the pairing keeps conditions apart: they mix over about 1/sqrt of it.
        regularisation: of the entropic plan, in squared network units.
    """

    coupling: Literal["optimal-transport", "sinkhorn", "translations", "alignment"] | None = None  # type: ignore[assignment]
    pairs: int = Setting(default=128, ge=1)
    condition_weight: float = Setting(default=CONDITION_WEIGHT, ge=0)
    regularisation: float = Setting(default=0.1, gt=0)


class OTFlowMatching(FlowMatching):
    """Regression of the velocity on straight lines between optimally paired data and noise.

    Raises:
        UsageError: if the space lacks the symmetry of the coupling.
    """

    Settings = OTFlowMatchingSettings  # type: ignore[assignment]
    settings: OTFlowMatchingSettings

    def __init__(
        self, space: Space, condition: ConditionSpace = ConditionSpace(), settings: BaseModel | None = None
    ) -> None:
        super().__init__(space, condition, settings)
        self.pair = _pairing(space, self.settings.coupling)

    @property
    def collate(self) -> Collate:
        return self._coupled

    def _coupled(self, batch: Batch) -> Batch:
        noise = self.prior.draw(batch.draws, self.space.shape).to(batch.x)
        options, x, given = self.settings, batch.x, None if batch.condition is None else batch.condition.flat()
        if options.coupling == "sinkhorn":
            u = batch.draws.uniform().to(x)
            paired = sinkhorn(x, noise, u, given, options.regularisation, options.condition_weight, options.pairs)
        else:
            paired = self.pair(x, noise, given, options.condition_weight, options.pairs)
        return replace(batch, noise=paired)


@singledispatch
def _pairing(space: Space, coupling: str | None) -> Callable[..., Tensor]:
    """The plan of least distance, up to the symmetries named by the coupling."""
    return _without_symmetries(space, coupling)


def _without_symmetries(space: Space, coupling: str | None) -> Callable[..., Tensor]:
    if coupling == "translations":
        raise UsageError("coupling=translations needs periodic fields; these data are not periodic")
    if coupling == "alignment":
        raise UsageError(f"coupling=alignment needs particles, not {space.kind} data")
    return optimal_transport


@_pairing.register
def _(space: Field, coupling: str | None) -> Callable[..., Tensor]:
    if coupling == "translations" and space.periodic:
        return translated_transport
    return _without_symmetries(space, coupling)


@_pairing.register
def _(space: Particles, coupling: str | None) -> Callable[..., Tensor]:
    if coupling in ("alignment", None):
        return partial(aligned_transport, species=space.species)
    return _without_symmetries(space, coupling)
