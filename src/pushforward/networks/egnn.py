r"""Velocities of particles that turn, shift and change places with them: an E(n)-equivariant graph network.

With distances :math:`d_{ij} = |x_i - x_j|`, features h that do not change under rotations, and a context e of time,
condition and species, every layer sends messages along all pairs and moves features and positions,

.. math::
    m_{ij} &= \phi_m(h_i, h_j, d_{ij}, e), \qquad
    v_i \leftarrow v_i + \frac1{N - 1} \sum_{j \ne i} \frac{x_i - x_j}{d_{ij} + 1}\, \phi_x(m_{ij}), \\
    h_i &\leftarrow h_i + \phi_h\Big(h_i, \frac1{\sqrt{N}} \sum_{j \ne i} m_{ij}\Big),

so that a rotation or reflection of x rotates or reflects v, and a permutation permutes it. Of centred particles the
mean of v is removed: what is centred stays so. Others are seen from the origin, by :math:`|x_i|^2` and a term along
:math:`x_i`.

Distances enter through Gaussians of several widths, which tell a contact from a gap; all pairs are dense tensors.

Source: Garcia Satorras, Hoogeboom and Welling 2021, https://arxiv.org/abs/2102.09844, equations 3 to 6.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pushforward.conditions import Condition, ConditionSpace
from pushforward.errors import UsageError
from pushforward.networks.condition_fields import refuse_field
from pushforward.networks.embeddings import Context
from pushforward.spaces import Particles

__all__ = ["EGNN"]

_GAUSSIANS, _FARTHEST, _ROUNDED = 16, 6.0, 1e-3


class EGNN(nn.Module):
    """A network called as ``net(x, t, condition)`` whose output is a velocity per particle.

    Arguments:
        space: of the samples, in network units; particles in a periodic box are refused.
        condition: what each sample is given with; no field.
        width: hidden features.
        depth: layers of messages.

    Raises:
        UsageError: for particles in a box, which a velocity from normal noise does not suit.

    >>> net = EGNN(Particles(4, 2, centred=True), width=16, depth=2)
    >>> net(torch.randn(3, 4, 2), torch.rand(3)).shape
    torch.Size([3, 4, 2])
    """

    centres: Tensor
    species: Tensor

    def __init__(
        self, space: Particles, condition: ConditionSpace = ConditionSpace(), width: int = 64, depth: int = 4
    ) -> None:
        super().__init__()
        refuse_field(self, condition)
        if space.box is not None:
            raise UsageError("particles in a periodic box cannot be reached from normal noise; leave the box out")
        self.space = space
        self.context = Context(width // 2 * 2, condition)
        names = sorted(set(space.species))
        numbers = [names.index(name) for name in space.species] or [0] * space.count
        self.register_buffer("species", torch.tensor(numbers), persistent=False)
        self.embedding = nn.Embedding(max(1, len(names)), width)
        self.start = nn.Linear(self.context.dim + (0 if space.centred else 1), width)
        self.register_buffer("centres", torch.linspace(0, _FARTHEST, _GAUSSIANS), persistent=False)
        free = not space.centred
        # Features that the last layer moves are read by the term along x alone.
        self.layers = nn.ModuleList(
            _Layer(width, self.context.dim, outward=free, update=free or number < depth - 1) for number in range(depth)
        )

    def forward(
        self,
        x: Float[Tensor, "batch count dim"],
        t: Float[Tensor, " batch"],
        condition: Condition | None = None,
    ) -> Float[Tensor, "batch count dim"]:
        context = self.context(t, condition, len(x))
        difference = x[:, :, None] - x[:, None]
        # Rounded off where particles meet, where a root has a kink that a solver would have to resolve.
        distance = (difference.square().sum(-1) + _ROUNDED).sqrt()
        near = torch.exp(-0.5 * ((distance[..., None] - self.centres) * (_GAUSSIANS / _FARTHEST)).square())
        edges = torch.cat([distance[..., None], near], -1)
        others = 1 - torch.eye(self.space.count, dtype=x.dtype, device=x.device)
        direction = difference / (distance + 1)[..., None] * (others / max(1, self.space.count - 1))[..., None]
        seen = [context[:, None].expand(-1, self.space.count, -1)]
        if not self.space.centred:
            seen.append(x.square().sum(-1, keepdim=True))
        h = self.start(torch.cat(seen, -1)) + self.embedding(self.species)
        velocity = torch.zeros_like(x)
        for layer in self.layers:
            h, move, along = layer(h, edges, context, others, direction)
            velocity = velocity + move
            if along is not None:
                velocity = velocity + along * x
        return velocity - velocity.mean(1, keepdim=True) if self.space.centred else velocity


class _Layer(nn.Module):
    def __init__(self, width: int, context: int, *, outward: bool, update: bool) -> None:
        super().__init__()
        # The first layer of the messages, split by what it sees, so that pairs are not joined in memory.
        self.receiver, self.sender = nn.Linear(width, width), nn.Linear(width, width, bias=False)
        self.edge, self.told = nn.Linear(1 + _GAUSSIANS, width, bias=False), nn.Linear(context, width)
        self.message = nn.Linear(width, width)
        self.weight = nn.Linear(width, 1)
        self.update = nn.Sequential(nn.Linear(2 * width, width), nn.SiLU(), nn.Linear(width, width)) if update else None
        self.outward = nn.Linear(width, 1) if outward else None
        for layer in (self.weight, *([] if self.outward is None else [self.outward])):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(
        self, h: Tensor, edges: Tensor, context: Tensor, others: Tensor, direction: Tensor
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        pair = (
            self.receiver(h)[:, :, None]
            + self.sender(h)[:, None]
            + self.edge(edges)
            + self.told(context)[:, None, None]
        )
        m = nn.functional.silu(self.message(nn.functional.silu(pair)))
        move = (direction * self.weight(m)).sum(2)
        if self.update is not None:
            gathered = torch.einsum("bijw,ij->biw", m, others) / h.shape[1] ** 0.5
            h = h + self.update(torch.cat([h, gathered], -1))
        return h, move, None if self.outward is None else self.outward(h)
