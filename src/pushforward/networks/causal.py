r"""A causal transformer: the outputs for each token of a sequence depend on the tokens before it.

    h_t = W x_{t-1} + p_t + e(c),     h ← h + attention(norm(h)),     h ← h + mlp(norm(h)),     output_t = V norm(h_t)

with x_0 a learned start, p_t a learned code of the place, and e(c) a perceptron of the condition. Position t attends to
the positions up to t, and has seen the tokens up to t - 1. When a sequence is made token by token, the keys and values
of the tokens that are known are kept.

Sources: Vaswani et al. 2017 (arXiv:1706.03762); norms before the blocks: Xiong et al. 2020 (arXiv:2002.04745).
"""

from __future__ import annotations

from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from pushforward.errors import UsageError
from pushforward.networks.inputs import check_features, checked_condition
from pushforward.networks.linear import Linear
from pushforward.networks.mlp import MLP

__all__ = ["CausalTransformer"]


class CausalTransformer(nn.Module):
    """Called as ``net(x, condition)``: (batch, tokens, features) to (batch, tokens, outputs), zero before training.

    Arguments:
        tokens: length of the sequences.
        features: numbers of a token.
        outputs: numbers for each token.
        condition_dim: length of a condition vector; 0 for none.
        width: of a token's hidden state; a multiple of ``heads``.
        depth: blocks.
        heads: of attention; None takes one for every 32 features.

    Raises:
        UsageError: if the width is no multiple of the heads.

    >>> net = CausalTransformer(tokens=5, features=2, outputs=4, width=32)
    >>> net(torch.randn(3, 5, 2)).shape
    torch.Size([3, 5, 4])
    """

    def __init__(
        self,
        tokens: int,
        features: int,
        outputs: int,
        condition_dim: int = 0,
        width: int = 64,
        depth: int = 2,
        heads: int | None = None,
    ) -> None:
        super().__init__()
        heads = max(1, width // 32) if heads is None else heads
        if width % heads:
            raise UsageError(f"a width of {width} cannot be shared by {heads} heads; give a multiple")
        self.tokens, self.heads = tokens, heads
        self.features, self.condition_dim = features, condition_dim
        self.start = nn.Parameter(torch.zeros(features))
        self.place = nn.Parameter(0.02 * torch.randn(tokens, width))
        self.input = Linear(features, width)
        self.given = MLP(condition_dim, width, (width,)) if condition_dim else None
        self.blocks = nn.ModuleList(_Block(width, heads) for _ in range(depth))
        self.norm = nn.LayerNorm(width)
        self.output = Linear(width, outputs)
        nn.init.zeros_(self.output.weight)
        nn.init.zeros_(self.output.bias)

    def forward(
        self, x: Float[Tensor, "batch tokens features"], condition: Float[Tensor, "batch condition"] | None = None
    ) -> Float[Tensor, "batch tokens outputs"]:
        check_features(x, self.features, axis=2)
        condition = checked_condition(condition, self.condition_dim, len(x))
        if x.shape[1] > self.tokens:
            raise UsageError(f"a network of {self.tokens} tokens was given {x.shape[1]}")
        h = self._entered(torch.cat([self._first(len(x)), x[:, :-1]], 1), condition, 0)
        for block in self._blocks():
            h, _ = block(h, None)
        return self.output(self.norm(h))

    def blocks_ahead(self, condition: Tensor | None, count: int) -> _Ahead:
        """The outputs of some tokens after others: see `_Ahead`."""
        return _Ahead(self, checked_condition(condition, self.condition_dim, count), count)

    def _first(self, count: int) -> Float[Tensor, "count 1 features"]:
        return self.start.expand(count, 1, -1)

    def _entered(self, before: Tensor, condition: Tensor | None, start: int) -> Tensor:
        """Hidden states of the positions from ``start``, of which the tokens before each are given."""
        h = self.input(before) + self.place[start : start + before.shape[1]]
        return h if self.given is None else h + self.given(condition)[:, None]

    def _blocks(self) -> list[_Block]:
        return cast("list[_Block]", list(self.blocks))


class _Ahead:
    """Evaluation of the network token by token, with cached keys and values of known positions.

    `outputs` can be called again for the same positions with other values; `append` accepts those of the last call.
    """

    def __init__(self, net: CausalTransformer, condition: Tensor | None, count: int) -> None:
        self.net, self.condition = net, condition
        self.last = net._first(count)
        self.known = 0
        self.cache: list[Tensor | None] = [None] * len(net.blocks)
        self.tried: list[Tensor] = []

    def outputs(self, values: Float[Tensor, "batch steps features"]) -> Float[Tensor, "batch steps outputs"]:
        """Outputs of the next positions at these values of their tokens; none depends on the last value."""
        h = self.net._entered(torch.cat([self.last, values[:, :-1]], 1), self.condition, self.known)
        self.tried = []
        for block, cache in zip(self.net._blocks(), self.cache, strict=True):
            h, keys_values = block(h, cache)
            self.tried.append(keys_values)
        return self.net.output(self.net.norm(h))

    def append(self, values: Float[Tensor, "batch steps features"]) -> None:
        """Append the tokens of the last call of `outputs`."""
        self.cache = list(self.tried)
        self.last = values[:, -1:]
        self.known += values.shape[1]


class _Block(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))
        self.queries_keys_values = Linear(width, 3 * width)
        self.project = Linear(width, width)
        self.expand = Linear(width, 4 * width)
        self.contract = Linear(4 * width, width)

    def forward(self, h: Tensor, cache: Tensor | None) -> tuple[Tensor, Tensor]:
        """Hidden states, and keys and values of all positions up to the last, (2, batch, heads, positions, size)."""
        parts = self.queries_keys_values(self.norms[0](h)).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        queries, keys_values = parts[0], parts[1:]
        steps = h.shape[1]
        if cache is None:
            keys, values = keys_values
            attended = functional.scaled_dot_product_attention(queries, keys, values, is_causal=True)
        else:
            keys_values = torch.cat([cache, keys_values], 3)
            keys, values = keys_values
            mask = None
            if steps > 1:
                seen = torch.ones(steps, keys_values.shape[3], dtype=torch.bool, device=h.device)
                mask = seen.tril(keys_values.shape[3] - steps)
            attended = functional.scaled_dot_product_attention(queries, keys, values, attn_mask=mask)
        h = h + self.project(attended.transpose(1, 2).flatten(2))
        return h + self.contract(functional.gelu(self.expand(self.norms[1](h)), approximate="tanh")), keys_values
