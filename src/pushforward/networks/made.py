r"""Masked perceptron whose output for each feature depends only on the features before it.

Every hidden unit has a degree m in 0, ..., D - 1 and sees the first m features; it is connected to units of the same or
a lower degree, and the outputs for feature i to units of degree at most i - 1 (counted from one). Units are sorted by
degree, so that the masks are block-triangular and the units determined by the first i features are the leading part of
every layer.

Source: Germain, Gregor, Murray and Larochelle 2015 (MADE, arXiv:1502.03509), section 4; residual blocks as in Durkan
et al. 2019 (arXiv:1906.04032).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from pushforward.networks.inputs import check_features, checked_condition
from pushforward.networks.linear import Linear
from pushforward.networks.unrolled import Unrolled
from pushforward.tensors import linear

__all__ = ["MADE"]

# Scale of the first weights relative to the usual one: for inputs of standard deviation one, sums have one of 1.7,
# where activations bend.
_GAIN = 3.0


class MADE(nn.Module):
    """Masked network called as ``net(x, condition)``: (batch, features) to (batch, outputs * features), initially zero.

    The outputs are ordered by output first, then by feature. Every unit sees the condition.

    Arguments:
        features: D, length of a vector.
        outputs: numbers per feature.
        condition_dim: length of a condition vector; 0 for none.
        width: units of each hidden layer.
        depth: hidden layers.
        residual: add each hidden layer to the previous one.
        angles: indices of the features that are angles, in radians; the outputs are continuous around their circles.

    >>> net = MADE(3, outputs=2)
    >>> net(torch.randn(5, 3)).shape
    torch.Size([5, 6])
    """

    first_mask: Tensor
    hidden_mask: Tensor
    last_mask: Tensor

    def __init__(
        self,
        features: int,
        outputs: int,
        condition_dim: int = 0,
        width: int = 128,
        depth: int = 2,
        *,
        residual: bool = True,
        angles: Sequence[int] = (),
    ) -> None:
        super().__init__()
        self.unrolled = Unrolled(features, angles)
        self.features = features
        self.outputs = outputs
        self.condition_dim = condition_dim
        self.residual = residual
        self.degrees = [unit * features // width for unit in range(width)]
        self.first = Linear(features + len(angles), width)
        self.given = Linear(condition_dim, width, bias=False) if condition_dim else None
        self.hidden = nn.ModuleList(Linear(width, width) for _ in range(depth - 1))
        self.last = Linear(width, outputs * features)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)
        degrees, places = torch.tensor(self.degrees), torch.arange(features)
        sources = torch.tensor([*range(features), *angles])
        self.register_buffer("first_mask", (degrees[:, None] > sources).float(), persistent=False)
        self._widen()
        self.register_buffer("hidden_mask", (degrees[:, None] >= degrees).float(), persistent=False)
        self.register_buffer("last_mask", (places[:, None] >= degrees).float().repeat(outputs, 1), persistent=False)

    @torch.no_grad()
    def _widen(self) -> None:
        """Scale the first weights of each unit by the number of inputs that it sees.

        The usual scale, by the number of all inputs, leaves units that see few of them nearly linear, and flows learn
        slowly.
        """
        seen = self.first_mask.sum(1, keepdim=True).clamp(min=1)
        self.first.weight.mul_(_GAIN * (self.first_mask.shape[1] / seen).sqrt())

    def forward(
        self, x: Float[Tensor, "batch features"], condition: Float[Tensor, "batch condition"] | None = None
    ) -> Float[Tensor, "batch outputs"]:
        check_features(x, self.features)
        condition = checked_condition(condition, self.condition_dim, len(x))
        first, *hidden, last = self.masked_weights()
        h = linear(self.unrolled(x), first, self.first.bias)
        if self.given is not None:
            h = h + self.given(condition)
        for weight, layer in zip(hidden, self.hidden_layers(), strict=True):
            following = linear(functional.silu(h), weight, layer.bias)
            h = h + following if self.residual else following
        return linear(functional.silu(h), last, self.last.bias)

    def masked_weights(self) -> list[Tensor]:
        """Weights of the first, the hidden and the last layers, zero where there is no connection."""
        hidden = [layer.weight * self.hidden_mask for layer in self.hidden_layers()]
        return [self.first.weight * self.first_mask, *hidden, self.last.weight * self.last_mask]

    def hidden_layers(self) -> list[Linear]:
        """The layers between the first and the last."""
        return cast("list[Linear]", list(self.hidden))

    def incremental(self, condition: Tensor | None, count: int) -> _Incremental:
        """Evaluation feature by feature: see `_Incremental`."""
        return _Incremental(self, checked_condition(condition, self.condition_dim, count), count)


class _Incremental:
    """Evaluation of the network as its inputs become known; every product of a weight and a unit is computed once.

    Appending feature i determines the units of degree i in every layer; they are computed from the units before them,
    which are kept. The values of one unit for all samples are adjacent in memory.
    """

    def __init__(self, net: MADE, condition: Tensor | None, count: int) -> None:
        self.net = net
        first, *hidden, last = (weight.detach() for weight in net.masked_weights())
        self.first, self.hidden = first, hidden
        # the rows of one feature's outputs adjacent in memory
        self.last = last.unflatten(0, (net.outputs, net.features)).transpose(0, 1).contiguous()
        self.last_bias = net.last.bias.detach().unflatten(0, (net.outputs, net.features)).t()[..., None].contiguous()
        self.biases = [layer.bias.detach()[:, None] for layer in net.hidden_layers()]
        start = net.first.bias.detach()[:, None]
        if net.given is not None:
            start = start + net.given(condition).detach().t()
        self.start = start.expand(-1, count)
        self.inputs = first.new_zeros(first.shape[1], count)
        self.units = [first.new_zeros(len(first), count) for _ in range(len(hidden) + 1)]
        self.known = 0
        self._determine(0)

    def parameters(self) -> Float[Tensor, "outputs batch"]:
        """Outputs for the next feature."""
        ready = bisect_right(self.net.degrees, self.known)
        return torch.addmm(self.last_bias[self.known], self.last[self.known, :, :ready], self.units[-1][:ready])

    def append(self, value: Float[Tensor, " batch"]) -> None:
        """Add the value of the next feature."""
        angles = self.net.unrolled.angles
        if self.known in angles:
            self.inputs[self.known] = value.cos()
            self.inputs[self.net.features + angles.index(self.known)] = value.sin()
        else:
            self.inputs[self.known] = value
        self.known += 1
        if self.known < self.net.features:
            self._determine(bisect_right(self.net.degrees, self.known - 1))

    def _determine(self, start: int) -> None:
        """Compute the units of degree ``known``, which start at index ``start``, layer by layer."""
        stop = bisect_right(self.net.degrees, self.known)
        if start == stop:
            return
        rows = slice(start, stop)
        # Sines stand behind all features; those of unknown angles are zero.
        inputs = None if self.net.unrolled.angles else self.known
        h = torch.addmm(self.start[rows], self.first[rows, :inputs], self.inputs[:inputs])
        self.units[0][rows] = functional.silu(h)
        for layer, (weight, bias) in enumerate(zip(self.hidden, self.biases, strict=True)):
            following = torch.addmm(bias[rows], weight[rows, :stop], self.units[layer][:stop])
            h = h + following if self.net.residual else following
            self.units[layer + 1][rows] = functional.silu(h)
