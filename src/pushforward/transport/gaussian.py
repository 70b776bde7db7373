r"""Gaussian denoiser: the part of every denoiser that is known in closed form.

If the data were a stationary Gaussian field with power spectrum S(k), the expected data and noise in
z = alpha x + sigma eps would follow mode by mode (Wiener 1949),

    E[x_k | z] = alpha S / (alpha^2 S + sigma^2) z_k,      E[eps_k | z] = sigma / (alpha^2 S + sigma^2) z_k.

A network added to this learns only the non-Gaussian part: before the first step its samples already have the data's
power spectrum, and where noise dominates, and every field is nearly Gaussian, its correction is small. For white data,
S = 1, this is the skip connection of Karras et al. 2022.

The probability flow of the Gaussian field only stretches each mode, so the whitened state

    w_k = z_k / sqrt(alpha^2 S + sigma^2)

is constant. Solving for w instead of z leaves only the network's part to the solver: samples of a Gaussian field are
exact in one step, and the largest scales, which are decided while the noise is still ten times stronger than an average
mode, need no fine steps.

For centred particles the centre of mass is projected out.

Modes are products of real waves along each axis: the discrete Fourier basis if the field is periodic, otherwise half
waves that are flat at the edges (the discrete cosine transform).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import singledispatch
from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pushforward.conditions import Condition, ConditionSpace
from pushforward.networks import MLP
from pushforward.spaces import Field, Particles, Space
from pushforward.tensors import linear
from pushforward.tensors.subspace import centre
from pushforward.transport.path import Moment, Number
from pushforward.transport.prediction import Estimate

__all__ = ["GaussianDenoiser", "real_waves", "wavenumber_bins"]


class GaussianDenoiser(nn.Module):
    """Expected data and noise for Gaussian data with learnt powers, which may depend on conditions.

    In a `Field`, modes of similar wavenumber in one channel share a power; in `Particles` all coordinates share one, so
    that rotations and permutations remain symmetries; otherwise each coordinate is a mode of its own.

    Arguments:
        space: space of a sample.
        condition: space of the conditions; a power depends on their numbers alone.
        hidden: features of the perceptron that maps conditions to changes of log-power.

    References:
        Karras et al. 2022, https://arxiv.org/abs/2206.00364, eq. 7
    """

    # Powers span orders of magnitude, so each must move faster than a weight.
    speed = 5.0
    # In network units, where the data are of order one.
    smallest = 1e-6

    index: Tensor

    def __init__(self, space: Space, condition: ConditionSpace = ConditionSpace(), hidden: int = 64) -> None:
        super().__init__()
        self.space, self.axes = space, len(space.grid)
        for axis, cells in enumerate(space.grid):
            waves = real_waves(cells, periodic=cast(Field, space).periodic)
            self.register_buffer(f"waves_{axis}", waves, persistent=False)
        index = _shared_powers(space)
        self.register_buffer("index", index, persistent=False)
        powers = int(index.max()) + 1
        self.raw_log_power = nn.Parameter(torch.zeros(powers))
        self.change = MLP(condition.numbers, powers, (hidden,), zero_output=True) if condition.numbers else None

    def log_power(self, condition: Condition | None = None) -> Float[Tensor, "batch powers"] | Float[Tensor, " powers"]:
        """Natural logarithm of each power, at a condition; None or a row of NaN is the mean condition."""
        log_power = self.speed * self.raw_log_power
        if self.change is not None and condition is not None and condition.numbers is not None:
            log_power = log_power + self.change(torch.nan_to_num(condition.numbers))
        return log_power

    def forward(self, z: Float[Tensor, "batch *shape"], moment: Moment, condition: Condition | None = None) -> Estimate:
        # In single precision even under autocast: the network cannot correct an error made here.
        with torch.autocast(z.device.type, enabled=False):
            power = self._power(condition)
            modes = self._to_modes(z) / (moment.alpha**2 * power + moment.sigma**2)
            return Estimate(
                data=self._from_modes(moment.alpha * power * modes), noise=self._from_modes(moment.sigma * modes)
            )

    def combination(
        self,
        z: Float[Tensor, "batch *shape"],
        moment: Moment,
        weights: tuple[Number, Number],
        condition: Condition | None = None,
    ) -> Float[Tensor, "batch *shape"]:
        """Expected prediction a E[x | z] + b E[eps | z] with ``weights`` (a, b)."""
        a, b = weights
        with torch.autocast(z.device.type, enabled=False):
            power = self._power(condition)
            modes = self._to_modes(z) / (moment.alpha**2 * power + moment.sigma**2)
            return self._from_modes((a * moment.alpha * power + b * moment.sigma) * modes)

    def undecided(
        self, x: Float[Tensor, "batch *shape"], moment: Moment, condition: Condition | None = None
    ) -> Float[Tensor, "batch *shape"]:
        r"""``x`` with each mode damped in which z holds more data than noise, by

        .. math:: \frac{2 r}{1 + r^2},  \qquad r = \min\left(1, \frac{\sigma}{\alpha S_k^{1/2}}\right).

        The less noise there is in a mode, the less remains to be learned of it beyond a Gaussian field, and the more
        a network's errors would show.
        """
        with torch.autocast(x.device.type, enabled=False):
            r = (moment.sigma / (moment.alpha * self._power(condition).sqrt())).clamp(max=1)
            return self._from_modes(2 * r / (1 + r**2) * self._to_modes(x))

    def whiten(self, z: Float[Tensor, "batch *shape"], moment: Moment, condition: Condition | None = None) -> Tensor:
        """The whitened state w, standard normal if the data are Gaussian with these powers."""
        return self.field(self.white_modes(z, moment, condition))

    def colour(self, w: Float[Tensor, "batch *shape"], moment: Moment, condition: Condition | None = None) -> Tensor:
        """The z of a whitened state; the inverse of `whiten`."""
        return self.coloured(self.modes(w), moment, condition)

    def white_modes(
        self, z: Float[Tensor, "batch *shape"], moment: Moment, condition: Condition | None = None
    ) -> Tensor:
        """The whitened state in modes, which saves a solver every second transform."""
        with torch.autocast(z.device.type, enabled=False):
            return self._to_modes(z) / self._spread(moment, condition)

    def coloured(
        self, modes: Float[Tensor, "batch *shape"], moment: Moment, condition: Condition | None = None
    ) -> Tensor:
        """The z of a whitened state in modes; the inverse of `white_modes`."""
        with torch.autocast(modes.device.type, enabled=False):
            return self._from_modes(modes * self._spread(moment, condition))

    def modes(self, x: Float[Tensor, "batch *shape"]) -> Float[Tensor, "batch *shape"]:
        """Amplitude of each wave in ``x``; an orthogonal transform."""
        with torch.autocast(x.device.type, enabled=False):
            return self._to_modes(x)

    def field(self, modes: Float[Tensor, "batch *shape"]) -> Float[Tensor, "batch *shape"]:
        """The inverse of `modes`."""
        with torch.autocast(modes.device.type, enabled=False):
            return self._from_modes(modes)

    def scaled(
        self, x: Float[Tensor, "batch *shape"], factors: Float[Tensor, " powers"]
    ) -> Float[Tensor, "batch *shape"]:
        """``x`` with each power multiplied by its factor."""
        return self.field(self.modes(x) * factors.sqrt()[self.index])

    def log_volume(self, moment: Moment, condition: Condition | None = None) -> Float[Tensor, "*batch"]:
        """log |dw/dz| of a sample, or per condition."""
        # For centred particles, on their degrees of freedom: all modes have the same power.
        return -self._spread(moment, condition).log().flatten(-self.index.dim()).mean(-1) * self.space.degrees

    def powers_of(self, x: Float[Tensor, "batch *shape"]) -> Float[Tensor, " powers"]:
        """Mean square amplitude of the modes of ``x`` that share each power."""
        return self.powers_of_each(x).mean(0)

    def powers_of_each(self, x: Float[Tensor, "batch *shape"]) -> Float[Tensor, "batch powers"]:
        """`powers_of` of each sample."""
        return self.shell_powers(self.modes(x))

    def shell_powers(self, modes: Float[Tensor, "batch *shape"]) -> Float[Tensor, "batch powers"]:
        """Mean square of the modes that share each power, of each sample."""
        power, index = modes.square().flatten(1), self.index.flatten()
        total = power.new_zeros(len(power), len(self.raw_log_power)).index_add(1, index, power)
        return total / torch.bincount(index, minlength=total.shape[1])

    @torch.no_grad()
    def initialise(self, x: Float[Tensor, "batch *shape"]) -> None:
        """Set the powers to those of the data ``x``."""
        self.raw_log_power.copy_(self.powers_of(x).clamp(min=self.smallest).log() / self.speed)

    def _power(self, condition: Condition | None) -> Tensor:
        return self.log_power(condition).exp()[..., self.index]

    def _spread(self, moment: Moment, condition: Condition | None) -> Tensor:
        return torch.sqrt(moment.alpha**2 * self._power(condition) + moment.sigma**2)

    def _to_modes(self, x: Tensor) -> Tensor:
        x = centre(self.space, x)
        for axis in range(self.axes):
            x = linear(x.movedim(2, -1), self._waves(axis, x))  # the axis has moved to the end: n times is a cycle
        return x

    def _from_modes(self, modes: Tensor) -> Tensor:
        for axis in range(self.axes):
            modes = linear(modes.movedim(2, -1), self._waves(axis, modes).t())
        return modes

    def _waves(self, axis: int, like: Tensor) -> Tensor:
        return self.get_buffer(f"waves_{axis}").to(like.dtype)


@singledispatch
def _shared_powers(space: Space) -> Tensor:
    """Index of the power that each mode of a sample uses."""
    return torch.arange(space.size).reshape(space.shape)


@_shared_powers.register
def _(space: Particles) -> Tensor:
    return torch.zeros(space.shape, dtype=torch.long)


@_shared_powers.register
def _(space: Field) -> Tensor:
    rows = [torch.arange(cells) for cells in space.grid]
    numbers = [(row + 1) // 2 for row in rows] if space.periodic else rows
    bins = wavenumber_bins([n * (max(space.grid) / len(n)) for n in numbers])
    return torch.stack([bins + channel * (int(bins.max()) + 1) for channel in range(space.channels)])


def real_waves(cells: int, *, periodic: bool) -> Float[Tensor, "cells cells"]:
    """Orthogonal matrix whose rows are waves over ``cells``, of increasing frequency.

    Periodic: 1, cos x, sin x, cos 2x, ... around the circle. Otherwise cos(pi j (i + 1/2) / cells).
    """
    position = torch.arange(cells, dtype=torch.float64)
    row = torch.arange(cells, dtype=torch.float64)[:, None]
    if periodic:
        # A sine is a cosine shifted by a quarter wave; the highest wave of an even grid has only the cosine.
        frequency = torch.div(row + 1, 2, rounding_mode="floor")
        waves = torch.cos(2 * math.pi * frequency * position / cells - math.pi / 2 * ((row % 2 == 0) & (row > 0)))
    else:
        waves = torch.cos(math.pi * row * (position + 0.5) / cells)
    return (waves / waves.norm(dim=1, keepdim=True)).float()


def wavenumber_bins(components: Sequence[Float[Tensor, " cells"]]) -> Tensor:
    """Index of the wavenumber shell of each mode of a grid, without gaps.

    Arguments:
        components: of the wavevectors along each axis, in units of the shell width.
    """
    square = torch.zeros(())
    for axis, component in enumerate(components):
        square = square + component.square().view(-1, *[1] * (len(components) - axis - 1))
    return torch.unique(square.sqrt().round().long(), return_inverse=True)[1]
