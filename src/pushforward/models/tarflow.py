r"""TarFlow: causal transformers over patches; each scales and shifts a patch given the preceding ones.

    z_t = x_t exp(s_t(x_1, ..., x_{t-1}, c)) + m_t(x_1, ..., x_{t-1}, c)

for the numbers of token t, a patch of a field or a section of a vector, in blocks with alternating order of the tokens.
One pass gives a density. Samples are computed token by token, with cached keys and values of known tokens, or several
tokens at a time as a fixed point (``--set block=16``), which gives the same samples in fewer and larger steps (see
`transforms.decoding`); by default, all tokens at once for one or two samples.

Source: Zhai et al. 2024 (Normalizing flows are capable generative models, arXiv:2412.06329); written from the paper.
"""

from __future__ import annotations

from math import prod
from typing import Any, Literal

from jaxtyping import Float
from pydantic import BaseModel
from pydantic import Field as Setting
from torch import Tensor

from pushforward.conditions import Condition
from pushforward.errors import UsageError
from pushforward.models.causal_defaults import causal_defaults
from pushforward.models.discrete_cells import DiscreteSettings
from pushforward.models.flow import Flow, FlowSampling
from pushforward.networks import CausalTransformer
from pushforward.randomness import Draws
from pushforward.spaces import Space
from pushforward.transforms import (
    Affine,
    Composition,
    Flatten,
    MaskedAutoregressive,
    Patches,
    Permutation,
    Spline,
    Transform,
)

__all__ = ["TarFlow"]

# Samples up to which all tokens at once are decoded faster than one by one, on one core.
_FEW = 2
_FEWEST_TOKENS, _MOST_TOKENS = 8, 64


class TarFlowSettings(DiscreteSettings):
    """
    Attributes:
        patch: cells along each side of a patch, or numbers of a piece; None takes the smallest that leaves 8 to
            64 tokens, of a field at least two cells.
        transforms: causal transformers in the chain, every second one in the opposite order.
        width: length of the hidden state per token.
        depth: layers of each transformer.
        heads: attention heads; None is one per 32 features.
        monotone: the map of each value, "affine" or "spline".
        bins, bound: of the splines, as for `nsf`.
        limit: bound of the absolute log-scale of one affine map, in nats.
    """

    patch: int | None = Setting(default=None, ge=1)
    transforms: int = Setting(default=4, ge=1)
    width: int = Setting(default=96, ge=1)
    depth: int = Setting(default=2, ge=1)
    heads: int | None = Setting(default=None, ge=1)
    monotone: Literal["affine", "spline"] = "spline"
    bins: int = Setting(default=8, ge=2)
    bound: float = Setting(default=5.0, gt=0)
    limit: float = Setting(default=4.0, gt=0)


class TarFlowSampling(FlowSampling):
    """
    Attributes:
        block: number of tokens decoded at a time; samples are the same up to rounding. None is all tokens for one or
            two samples, which takes the fewest operations, and one token for more, which multiplies least.
    """

    block: int | None = Setting(default=None, ge=1)


class TarFlow(Flow):
    """A flow of causal transformers, with exact densities and codes.

    Raises:
        UsageError: if the space is neither a vector nor a field, or the patch does not divide it.
    """

    Settings = TarFlowSettings
    Sampling = TarFlowSampling
    settings: TarFlowSettings

    @classmethod
    def training_defaults_for(cls, space: Space) -> dict[str, Any]:
        # In full precision, like other flows of fields: the precision of the inverse is that of the networks.
        return {**causal_defaults(space), **({"precision": "32"} if space.grid else {})}

    def chain(self) -> Transform:
        settings = self.settings
        monotone = Spline(settings.bins, settings.bound) if settings.monotone == "spline" else Affine(settings.limit)
        patches = Patches(self.space.shape, settings.patch or patch_for(self.space))
        tokens, features = patches.tokens, patches.features
        chain: list[Transform] = [patches]
        for step in range(settings.transforms):
            network = CausalTransformer(
                tokens,
                features,
                monotone.parameters * features,
                self.condition.numbers,
                settings.width,
                settings.depth,
                settings.heads,
            )
            flip = [Permutation(range(tokens)[::-1])] if step else []
            chain += [*flip, MaskedAutoregressive(monotone, network)]
        return Composition([*chain, Flatten((tokens, features))])

    def sample_and_log_prob(
        self, draws: Draws, condition: Condition | None = None, sampling: BaseModel | None = None
    ) -> tuple[Float[Tensor, "batch *shape"], Float[Tensor, " batch"]]:
        block = sampling.block if isinstance(sampling, TarFlowSampling) else None
        for each in self.modules():
            if isinstance(each, MaskedAutoregressive):
                each.block = block or (self.space.size if draws.count <= _FEW else 1)
        return super().sample_and_log_prob(draws, condition, sampling)


def patch_for(space: Space) -> int:
    """The smallest patch that divides a vector or a grid and leaves 8 to 64 tokens, or 1 if none does.

    On a grid it has at least two cells along each side if such a patch leaves that many tokens, too.

    Raises:
        UsageError: if the space is neither a vector nor a field.
    """
    if space.kind not in ("vector", "field"):
        raise UsageError(f"tarflow learns vectors and fields, not {space.kind} data")
    grid = space.grid or space.shape
    divisors = [patch for patch in range(1, min(grid) + 1) if not any(cells % patch for cells in grid)]
    tokens = {patch: prod(cells // patch for cells in grid) for patch in divisors}
    suited = [patch for patch in divisors if _FEWEST_TOKENS <= tokens[patch] <= _MOST_TOKENS]
    # Neighbouring cells differ little, and a token for each takes as long as one for four.
    if space.grid and len(suited) > 1 and suited[0] == 1:
        return suited[1]
    return suited[0] if suited else divisors[0]
