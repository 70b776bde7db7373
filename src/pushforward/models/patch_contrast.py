r"""Contrastive loss of patches (PatchNCE): features of a translation and its input agree at a place, and only there.

With unit features v of a translation and w of its member at places i of one field,

    L = -E_i log [ exp(v_i w_i / T) / sum_j exp(v_i w_j / T) ],

InfoNCE, a bound on the mutual information of translation and member at each place (van den Oord et al. 2018,
https://arxiv.org/abs/1807.03748).

Source: Park et al. 2020 (CUT), https://arxiv.org/abs/2007.15651, equation 3.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pushforward.networks import MLP
from pushforward.randomness import Draws

__all__ = ["PatchContrast"]


class PatchContrast(nn.Module):
    """The mean of L over several resolutions, each with an MLP from features to unit vectors.

    Arguments:
        channels: of the features at each resolution.
        width: of the unit vectors.
        places: of each field that are contrasted, at most.
        temperature: T.

    >>> features = [torch.randn(2, 8, 6, 6)]
    >>> loss = PatchContrast([8], places=16)(features, features, Draws(0, 2))
    >>> bool(loss < torch.tensor(16.0).log())
    True
    """

    def __init__(self, channels: Sequence[int], width: int = 64, places: int = 256, temperature: float = 0.07) -> None:
        super().__init__()
        self.heads = nn.ModuleList(MLP(count, width, (width,)) for count in channels)
        self.places, self.temperature = places, temperature

    def forward(
        self,
        moved: Sequence[Float[Tensor, "batch _ *grid"]],
        origin: Sequence[Float[Tensor, "batch _ *grid"]],
        draws: Draws,
    ) -> Float[Tensor, ""]:
        """The loss.

        Arguments:
            moved: features of translations, at each resolution.
            origin: those of their members; no gradient flows back through them.
            draws: source of the places.
        """
        losses = []
        for head, ours, theirs in zip(self.heads, moved, origin, strict=True):
            chosen = draws.uniform(ours[0, 0].numel()).argsort(1)[:, None, : self.places]
            v, w = (self._at(head, each, chosen) for each in (ours, theirs))
            logits = v @ w.detach().transpose(1, 2) / self.temperature
            losses.append((logits.logsumexp(2) - logits.diagonal(dim1=1, dim2=2)).mean())
        return torch.stack(losses).mean()

    def _at(self, head: nn.Module, features: Tensor, places: Tensor) -> Tensor:
        """Unit vectors (batch, places, width)."""
        flat = features.flatten(2)
        rows = flat.gather(2, places.expand(-1, flat.shape[1], -1)).transpose(1, 2)
        return nn.functional.normalize(head(rows).float(), dim=2)
