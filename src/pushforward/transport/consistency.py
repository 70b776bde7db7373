r"""Consistency functions: from any point of a trajectory of the flow to its end.

The probability flow carries z at time t to data f(z, t) at time 0. This function is constant along a trajectory and the
identity at its end,

    f(z_t, t) = f(z_s, s),      f(z, 0) = z,

and the only one with both properties. It is learnt by comparing two neighbouring points of a trajectory; the earlier
one, s < t, is the target,

    loss = E d(f(z_t, t), stopgrad f(z_s, s)).

Distillation finds z_s by a solver step along a known flow. Without one, both points are made of the same data and
noise, z_s = alpha_s x + sigma_s eps, whose mean over all x and eps is that step to first order in t - s. So the steps
are wide at first, where their bias matters little, and narrow as training proceeds.

One call turns noise into samples. Each further call adds fresh noise, of a smaller time, to the samples and removes it
again, which corrects errors of the calls before.

References:
    Song et al. 2023, https://arxiv.org/abs/2303.01469, algorithms 1 to 3
    Song & Dhariwal 2023, https://arxiv.org/abs/2310.14189 (pseudo-Huber loss, narrowing)
    Geng et al. 2024, https://arxiv.org/abs/2406.14548 (training from a denoiser, the widest step)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from jaxtyping import Float
from torch import Tensor

from pushforward.randomness import Draws
from pushforward.transport.noise import NORMAL, Noise
from pushforward.transport.path import Moment, Path

__all__ = ["earlier", "multistep", "pseudo_huber"]

_POWER = 3.0


def earlier(t: Float[Tensor, "*times"], levels: float) -> Float[Tensor, "*times"]:
    """The earlier time s < t with s^(1/3) = t^(1/3) - 1 / ``levels``.

    Equal steps in the cube root of time are short where there is little noise; below the last level s is 0, the
    data themselves.

    >>> import torch
    >>> earlier(torch.tensor([1.0, 0.001]), 2.0)
    tensor([0.1250, 0.0000])
    """
    return (t ** (1 / _POWER) - 1 / levels).clamp(min=0) ** _POWER


def pseudo_huber(error: Float[Tensor, "batch *shape"], softness: float) -> Float[Tensor, " batch"]:
    """sqrt(mean(error^2) + c^2) - c: the root mean square of each sample's error, quadratic below the softness c.

    References:
        Charbonnier et al. 1997; Song & Dhariwal 2023, https://arxiv.org/abs/2310.14189, eq. 8
    """
    return (error.flatten(1).square().mean(1) + softness**2).sqrt() - softness


def multistep(
    function: Callable[[Tensor, Moment[float]], Tensor],
    path: Path,
    times: Sequence[float],
    draws: Draws,
    shape: Sequence[int],
    *,
    noise: Noise = NORMAL,
) -> Float[Tensor, "count *shape"]:
    """Samples by one call of a consistency function at each of the falling ``times``.

    Arguments:
        function: f(z, moment), data of the shape of z.
        path: of z.
        times: the first of pure noise, each later one that of the fresh noise added.
        draws: source of all noise; its count is the number of samples.
        shape: of one sample.
        noise: distribution at the noisy end of the path.

    References:
        Song et al. 2023, https://arxiv.org/abs/2303.01469, algorithm 1
    """
    first, *rest = path.moments(times)
    x = function(first.norm * noise.draw(draws, shape), first)
    for moment in rest:
        x = function(moment.mix(x, noise.draw(draws, shape)), moment)
    return x
