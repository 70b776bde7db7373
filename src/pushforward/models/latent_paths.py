r"""Ways through a latent space, and codes of members.

Between two codes of normal noise, of angle a, the spherical path

    z_t = sin((1 - t) a) / sin a z_0 + sin(t a) / sin a z_1

keeps to the shell on which nearly all of the noise lies; the straight one, (1 - t) z_0 + t z_1, passes nearer to the
origin, where in many dimensions no sample of training ever was.

An attribute's direction is the difference of the mean codes of members that have it and of those that do not; the
arithmetic of Bishop and Bishop 2024, section 17.2, adds such differences to a third code.

Sources: Shoemake 1985, https://doi.org/10.1145/325334.325242; White 2016, https://arxiv.org/abs/1609.04468; Radford,
Metz and Chintala 2016, https://arxiv.org/abs/1511.06434, section 6.3.2.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from pushforward.errors import UsageError

__all__ = ["PathName", "attribute_direction", "invert", "latent_path"]

PathName = Literal["spherical", "straight"]


def latent_path(
    z0: Float[Tensor, " latent"], z1: Float[Tensor, " latent"], steps: int, path: PathName = "spherical"
) -> Float[Tensor, "steps latent"]:
    """Codes from one to another, both ends among them.

    Raises:
        UsageError: if there are fewer than two steps, the codes are not alike, or the path is unknown.

    >>> latent_path(torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0]), 3)[1]
    tensor([0.7071, 0.7071])
    """
    if steps < 2:
        raise UsageError(f"a path of {steps} steps has no two ends; give at least 2")
    if z0.shape != z1.shape:
        raise UsageError(f"codes of shape {tuple(z0.shape)} and {tuple(z1.shape)} have no path between them")
    t = torch.linspace(0, 1, steps, dtype=z0.dtype, device=z0.device).view(-1, *[1] * z0.dim())
    if path == "straight":
        return (1 - t) * z0 + t * z1
    if path != "spherical":
        raise UsageError(f"a path is 'spherical' or 'straight', not {path!r}")
    cosine = (z0 * z1).sum() / (z0.norm() * z1.norm()).clamp_min(1e-12)
    angle = torch.acos(cosine.clamp(-1, 1))
    if float(torch.sin(angle)) < 1e-4:
        return (1 - t) * z0 + t * z1
    return (torch.sin((1 - t) * angle) * z0 + torch.sin(t * angle) * z1) / torch.sin(angle)


def attribute_direction(
    codes: Float[Tensor, "members latent"], having: Bool[Tensor, " members"]
) -> Float[Tensor, " latent"]:
    """From the mean code of members without an attribute to that of members that have it.

    Raises:
        UsageError: if all have it, or none.
    """
    if not bool(having.any()) or bool(having.all()):
        raise UsageError("an attribute's direction needs members that have it and members that do not")
    return codes[having].mean(0) - codes[~having].mean(0)


def invert(
    decode: Callable[[Tensor], Tensor],
    x: Float[Tensor, "batch *shape"],
    start: Float[Tensor, "starts batch latent"],
    steps: int = 300,
    rate: float = 0.05,
) -> Float[Tensor, "batch latent"]:
    """Codes whose samples are nearest to members: gradient descent from several starts, of which the best is kept.

    Arguments:
        decode: codes to samples, differentiable.
        x: members.
        start: codes to begin with.
        steps, rate: of Adam.
    """
    starts, count = start.shape[:2]
    z = start.detach().flatten(0, 1).clone().requires_grad_()
    wanted = x.detach().repeat(starts, *[1] * (x.dim() - 1))
    optimiser = torch.optim.Adam([z], lr=rate)

    def distance() -> Tensor:
        return (decode(z) - wanted).flatten(1).square().sum(1)

    with torch.enable_grad():
        for _ in range(steps):
            optimiser.zero_grad()
            (gradient,) = torch.autograd.grad(distance().sum(), z)
            z.grad = gradient
            optimiser.step()
    with torch.no_grad():
        best = distance().view(starts, count).argmin(0)
    return z.detach().view(starts, count, -1)[best, torch.arange(count, device=z.device)]
