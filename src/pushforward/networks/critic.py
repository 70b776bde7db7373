"""Critic of a GAN: one score per sample, and its use of the condition.

| conditioning | score of a sample x given c                  | source                                             |
|--------------|----------------------------------------------|----------------------------------------------------|
| joined       | f(x, c), the condition in every layer        | Mirza and Osindero 2014, arXiv:1411.1784           |
| projection   | a(h(x)) + h(x) . e(c)                        | Miyato and Koyama 2018, arXiv:1802.05637, eq. 3    |
| auxiliary    | a(h(x)), and c is predicted as B h(x)        | Odena, Olah and Shlens 2017, arXiv:1610.09585      |
"""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pushforward.conditions import Condition, ConditionSpace
from pushforward.networks.condition_fields import refuse_field
from pushforward.networks.embeddings import ConditionEmbedding
from pushforward.networks.linear import Linear
from pushforward.networks.one_shot import Encoder, NetworkName
from pushforward.networks.spectral_norm import apply_spectral_norm
from pushforward.spaces import Space, Vector

__all__ = ["Conditioning", "Critic"]

Conditioning = Literal["joined", "projection", "auxiliary"]


class Critic(nn.Module):
    """A sample and a condition to one score per sample: the critic or discriminator of a GAN.

    Arguments:
        space, condition, width, depth, network: as of `Encoder`.
        conditioning: see above; ignored without a condition.
        octaves: of a vector, number of frequencies pi 2^j per unit whose sine and cosine are added to the input per
            coordinate: a perceptron of the coordinates alone learns narrow structure slowly (Tancik et al. 2020,
            arXiv:2006.10739).
        spectral_norm: divide each layer's weights by their largest singular value (see `networks.spectral_norm`).
        pooled: treat all positions of a field alike (see `ConvolutionalEncoder`).

    Raises:
        UsageError: if there is no such network for the space.

    >>> from pushforward.conditions import Condition, ConditionSpace
    >>> from pushforward.spaces import Field
    >>> critic = Critic(Field(1, (8, 8)), ConditionSpace(2), width=8)
    >>> critic(torch.randn(3, 1, 8, 8), Condition(torch.randn(3, 2))).shape
    torch.Size([3])
    """

    def __init__(
        self,
        space: Space,
        condition: ConditionSpace = ConditionSpace(),
        width: int | None = None,
        depth: int = 3,
        network: NetworkName = "default",
        *,
        conditioning: Conditioning = "joined",
        octaves: int = 0,
        spectral_norm: bool = False,
        pooled: bool = False,
    ) -> None:
        super().__init__()
        refuse_field(self, condition)
        self.condition = condition
        self.conditioning: Conditioning = conditioning if condition else "joined"
        apart = self.conditioning != "joined"
        features = 4 * (width or 32)
        seen = ConditionSpace() if apart else condition
        self.octaves = octaves if space.kind == "vector" else 0
        space = Vector(space.size * (1 + 2 * octaves)) if space.kind == "vector" else space
        self.encoder = Encoder(space, features if apart else 1, seen, width, depth, network, pooled=pooled)
        self.output = Linear(features, 1) if apart else None
        self.embed = ConditionEmbedding(condition.numbers, features) if conditioning == "projection" and apart else None
        self.guess = Linear(features, condition.numbers) if conditioning == "auxiliary" and apart else None
        if spectral_norm:
            apply_spectral_norm(self)

    def forward(self, x: Float[Tensor, "batch *shape"], condition: Condition | None = None) -> Float[Tensor, " batch"]:
        return self.assess(x, condition)[0]

    def assess(
        self, x: Float[Tensor, "batch *shape"], condition: Condition | None = None
    ) -> tuple[Float[Tensor, " batch"], Float[Tensor, "batch numbers"] | None]:
        """Scores, and predictions of the conditions for ``auxiliary`` conditioning."""
        numbers = self.condition.numbers_of(condition)
        if self.octaves:
            phases = torch.cat([torch.pi * 2**octave * x for octave in range(self.octaves)], 1)
            x = torch.cat([x, phases.sin(), phases.cos()], 1)
        if self.output is None:
            return self.encoder(x, condition).squeeze(1), None
        features = nn.functional.leaky_relu(self.encoder(x), 0.2)
        score = self.output(features).squeeze(1)
        if self.embed is not None:
            score = score + (features * self.embed(numbers, len(x))).sum(1)
        return score, None if self.guess is None else self.guess(features)
