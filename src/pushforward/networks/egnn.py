r"""E(n)-equivariant graph network for velocities of particles.

Each particle has features :math:`h_i` and each pair i < j features :math:`p_{ij}`, all invariant under rotations. Those
of particles start from the time, the condition and the species, those of pairs from the distance
:math:`d_{ij} = |x_i - x_j|`. Every layer passes messages from particles to pairs and back,

.. math::
    p_{ij} &\leftarrow p_{ij} + W_2\, a\big(W_1 p_{ij} + W_h (h_i + h_j) + W_e e\big), \\
    h_i &\leftarrow h_i + \phi\Big(h_i, \frac{1}{\sqrt N} \sum_{j \ne i} a(p_{ij})\Big),

with activations a and a context e of time and condition, and adds to the strength :math:`w_{ij}` of the pair's velocity
along the difference of its two particles,

.. math::
    w_{ij} \leftarrow w_{ij} + w \cdot a(p_{ij}), \qquad
    v_i = \frac{1}{N - 1} \sum_{j \ne i} w_{ij}\, \frac{x_i - x_j}{d_{ij} + 1} .

So v rotates, reflects and permutes with x, and the velocities of all particles add up to zero: centred particles stay
centred. Since :math:`w_{ij} = w_{ji}`, there is no net torque either. This is no restriction: the velocity from
Gaussian noise to particles is the gradient of a function of distances, which has this form. Each pair is computed once,
in less than half the time of messages in both directions. Particles that are not centred are seen from the origin, by
:math:`|x_i|` and a term along :math:`x_i / (|x_i| + 1)`. No velocity grows faster than distances, so that a flow along
it takes no particle to infinity.

Distances are expanded in overlapping Gaussians, which resolve contacts. Pairs are dense tensors, and sums over the
particles of a pair or the pairs of a particle are products with an incidence matrix.

Sources: Garcia Satorras, Hoogeboom and Welling 2021, https://arxiv.org/abs/2102.09844, equations 3 to 6; Schuett et al.
2017, https://arxiv.org/abs/1706.08566 (Gaussians of distances).
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pushforward.conditions import Condition, ConditionSpace
from pushforward.errors import UsageError
from pushforward.networks.condition_fields import refuse_field
from pushforward.networks.embeddings import Context
from pushforward.networks.linear import Linear
from pushforward.spaces import Particles

__all__ = ["EGNN"]

_GAUSSIANS, _FARTHEST, _ROUNDED = 16, 6.0, 1e-3
# Radians per unit of time; limited, so that a solver of an untrained network needs few steps.
_FASTEST = 25.0


class EGNN(nn.Module):
    """Network called as ``net(x, t, condition)``, with one velocity per particle as output; zero before training.

    Arguments:
        space: of the samples, in network units; a periodic box is not supported.
        condition: space of the conditions, without a field.
        width: hidden features of particles and pairs.
        depth: layers of messages.

    Raises:
        UsageError: for particles in a periodic box, which normal noise does not fit.

    >>> net = EGNN(Particles(4, 2, centred=True), width=16, depth=2)
    >>> net(torch.randn(3, 4, 2), torch.rand(3)).shape
    torch.Size([3, 4, 2])
    """

    centres: Tensor
    species: Tensor
    sums: Tensor
    differences: Tensor

    def __init__(
        self, space: Particles, condition: ConditionSpace = ConditionSpace(), width: int = 64, depth: int = 4
    ) -> None:
        super().__init__()
        refuse_field(self, condition)
        if space.box is not None:
            raise UsageError(
                "no family learns particles in a periodic box, which normal noise does not fit; to learn positions as "
                "in open space, leave out the box (--box, or that of the file)"
            )
        self.space = space
        names = sorted(set(space.species))
        numbers = [names.index(name) for name in space.species] or [0] * space.count
        self.register_buffer("species", torch.tensor(numbers), persistent=False)
        first, second = torch.eye(space.count)[torch.triu_indices(space.count, space.count, 1)]
        # Incidence matrices (pairs, particles).
        self.register_buffer("sums", first + second, persistent=False)
        self.register_buffer("differences", first - second, persistent=False)
        self.register_buffer("centres", torch.linspace(0, _FARTHEST, _GAUSSIANS), persistent=False)
        self.context = Context(width // 2 * 2, condition, fastest=_FASTEST)
        self.embedding = nn.Embedding(max(1, len(names)), width)
        self.particle = Linear(self.context.dim, width)
        self.pair = Linear(1 + _GAUSSIANS, width)
        free = not space.centred
        self.radius = nn.Linear(1, width, bias=False) if free else None
        # Only the term along x reads the features after the last layer.
        self.layers = nn.ModuleList(
            _Layer(width, self.context.dim, update=free or number < depth - 1) for number in range(depth)
        )
        self.outward = _zero(width) if free else None

    def forward(
        self,
        x: Float[Tensor, "batch count dim"],
        t: Float[Tensor, " batch"],
        condition: Condition | None = None,
    ) -> Float[Tensor, "batch count dim"]:
        context = self.context(t, condition, len(x))
        # Particles and pairs are the first axis, so that an incidence matrix multiplies whole rows of the batch.
        x = x.transpose(0, 1)
        apart = _gathered(self.differences, x)
        # Smoothed where particles meet: the kink of the root would cost a solver many steps.
        distance = (apart.square().sum(-1, keepdim=True) + _ROUNDED).sqrt()
        near = torch.exp(-0.5 * ((distance - self.centres) * (_GAUSSIANS / _FARTHEST)).square())
        pairs = self.pair(torch.cat([distance, near], -1))
        h = self.particle(context) + self.embedding(self.species)[:, None]
        if self.radius is not None:
            radius = (x.square().sum(-1, keepdim=True) + _ROUNDED).sqrt()
            h = h + self.radius(radius)
        strength = torch.zeros_like(distance)
        for layer in self.layers:
            h, pairs, more = layer(h, pairs, context, self.sums)
            strength = strength + more
        pull = apart * (strength / ((distance + 1) * max(1, self.space.count - 1)))
        velocity = _gathered(self.differences.t(), pull)
        if self.outward is not None:
            velocity = velocity + self.outward(h) * x / (radius + 1)
        return velocity.transpose(0, 1)


class _Layer(nn.Module):
    """Messages from particles to pairs and, with ``update``, back."""

    def __init__(self, width: int, context: int, *, update: bool) -> None:
        super().__init__()
        self.of_particles, self.of_pair = Linear(width, width, bias=False), Linear(width, width, bias=False)
        self.of_context, self.message = Linear(context, width), Linear(width, width)
        self.strength = _zero(width)
        self.update = nn.Sequential(Linear(2 * width, width), nn.SiLU(), Linear(width, width)) if update else None

    def forward(
        self,
        h: Float[Tensor, "count batch width"],
        pairs: Float[Tensor, "pairs batch width"],
        context: Float[Tensor, "batch context"],
        sums: Float[Tensor, "pairs count"],
    ) -> tuple[Tensor, Tensor, Float[Tensor, "pairs batch 1"]]:
        told = _gathered(sums, self.of_particles(h) + self.of_context(context))
        pairs = pairs + self.message(nn.functional.silu(self.of_pair(pairs) + told))
        seen = nn.functional.silu(pairs)
        if self.update is not None:
            h = h + self.update(torch.cat([h, _gathered(sums.t(), seen) / len(h) ** 0.5], -1))
        return h, pairs, self.strength(seen)


def _zero(width: int) -> nn.Linear:
    """Linear map to one number, zero at the start."""
    layer = nn.Linear(width, 1)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


def _gathered(incidence: Float[Tensor, "out n"], x: Float[Tensor, "n batch features"]) -> Tensor:
    """Sum over the particles of each pair, or over the pairs of each particle."""
    return (incidence.to(x.dtype) @ x.flatten(1)).unflatten(1, x.shape[1:])
