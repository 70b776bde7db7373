r"""Transport between two unpaired ensembles, along straight lines.

A line joins a sample a of one ensemble and a sample b of the other,

    z_t = (1 - t) a + t b,      loss = E || u(z_t, t) - (b - a) ||^2,      t in [0, 1],

and the mean velocity u carries one distribution to the other (Liu et al. 2022; Albergo & Vanden-Eijnden 2022). Neither
needs to be Gaussian. Without given pairs, the optimal plan within a batch minimises the displacement; pairs that were
measured together are kept with ``paired=True``.

The excess of the learnt motion over the minimum is its path energy compared with the squared Wasserstein distance,

    NPE = | E int_0^1 |u|^2 dt - W_2^2 | / W_2^2        (Tong et al. 2024, section 5).

References:
    Liu et al. 2022, https://arxiv.org/abs/2209.03003; Albergo & Vanden-Eijnden 2022, https://arxiv.org/abs/2209.15571
    Tong et al. 2024, https://arxiv.org/abs/2302.00482
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pushforward.conditions import Condition, ConditionSpace
from pushforward.dynamics import odeint
from pushforward.models.pairs import other_end
from pushforward.networks import time_network
from pushforward.randomness import Draws
from pushforward.spaces import Space
from pushforward.transport.couplings import BLOCK, CONDITION_WEIGHT, optimal_transport

__all__ = ["Between"]


class Between(nn.Module):
    """A learnt flow from an ensemble a, at t = 0, to an ensemble b, at t = 1, and back.

    Arguments:
        space: of the samples of both, in network units.
        condition: space of the conditions.
        network: called as ``network(z, t, condition)``; None: that of the space.
        pairs: number of samples paired by optimal transport among themselves; 1 pairs at random.
        condition_weight: see `optimal_transport`.

    Example:
        >>> from pushforward.spaces import Vector
        >>> between = Between(Vector(2))
        >>> between.loss(torch.zeros(8, 2), torch.ones(8, 2), Draws(0, 8)).item()
        1.0
        >>> between.translate(torch.zeros(3, 2), "b").shape
        torch.Size([3, 2])
    """

    def __init__(
        self,
        space: Space,
        condition: ConditionSpace = ConditionSpace(),
        network: nn.Module | None = None,
        *,
        pairs: int = BLOCK,
        condition_weight: float = CONDITION_WEIGHT,
    ) -> None:
        super().__init__()
        self.space = space
        self.network = network if network is not None else time_network(space, condition)
        self.pairs, self.condition_weight = pairs, condition_weight

    def pair(self, a: Tensor, b: Tensor, condition: Condition | None = None) -> Tensor:
        """The rows of ``b``, reordered to pair with the rows of ``a``.

        Suitable for another thread, a batch ahead: the solver releases the interpreter lock.
        """
        if self.pairs == 1:
            return b
        given = None if condition is None else condition.flat()
        return optimal_transport(a, b, given, self.condition_weight, self.pairs)

    def loss(
        self,
        a: Float[Tensor, "batch *shape"],
        b: Float[Tensor, "batch *shape"],
        draws: Draws,
        condition: Condition | None = None,
        *,
        paired: bool = False,
    ) -> Float[Tensor, ""]:
        """Regression loss on one batch of each ensemble.

        Arguments:
            a, b: equally many samples.
            draws: source of the times.
            condition: conditions of the rows of both.
            paired: pair row i of ``b`` with row i of ``a``.
        """
        if not paired:
            b = self.pair(a, b, condition)
        t = draws.stratified()
        motion = b - a
        z = torch.addcmul(a, t.view(-1, *[1] * (a.dim() - 1)), motion)
        # the operation itself: its wrapper in Python takes as long as it does
        loss: Tensor = torch.ops.aten.mse_loss(self.network(z, t, condition), motion)
        return loss

    @torch.no_grad()
    def translate(
        self,
        x: Float[Tensor, "batch *shape"],
        to: str,
        condition: Condition | None = None,
        *,
        tolerance: float = 1e-4,
    ) -> Float[Tensor, "batch *shape"]:
        """Translate samples of one ensemble to the other.

        Arguments:
            x: samples of b for ``to="a"``, or of a for ``to="b"``.
            to: ``"a"`` or ``"b"``.
            condition: conditions of the rows.
            tolerance: relative and absolute error per step of the solver.
        """
        return self.move(x, to, condition, tolerance=tolerance)[0]

    @torch.no_grad()
    def move(
        self, x: Tensor, to: str, condition: Condition | None = None, *, tolerance: float = 1e-4
    ) -> tuple[Float[Tensor, "batch *shape"], Float[Tensor, " batch"]]:
        """Translated samples, and the energy int |u|^2 dt of each path.

        Raises:
            UsageError: if ``to`` is neither a nor b.
        """
        times = torch.tensor([0.0, 1.0] if other_end(to) == "a" else [1.0, 0.0], dtype=x.dtype, device=x.device)

        def motion(t: Tensor, state: Tensor) -> Tensor:
            velocity = self.network(state[:, :-1].reshape(-1, *x.shape[1:]), t, condition).flatten(1)
            energy = velocity.square().sum(1, keepdim=True)
            return torch.cat([velocity, energy], 1)

        start = torch.cat([x.flatten(1), x.new_zeros(len(x), 1)], 1)
        end = odeint(motion, start, times, method="dopri5", rtol=tolerance, atol=tolerance, on_failure="nan").y[-1]
        return end[:, :-1].reshape(x.shape), end[:, -1].abs()
