r"""Cross-spectra of the channels of a field, such as gas and matter.

For each pair of channels a < b,

    r_ab(k) = P_ab(k) / sqrt(P_a(k) P_b(k)),        P_ab(k) = V Re <delta_a delta_b*> / N^2,

in the convention of `power_spectrum`. Channels that are each right but belong to different fields have r = 0; a shift
of one by half a box multiplies its modes by +1 and -1 and leaves every statistic of single channels as it was.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

from jaxtyping import Float
from torch import Tensor

from pushforward.errors import UsageError
from pushforward.statistics.arrays import FieldArray, as_fields, binary_unit
from pushforward.statistics.modes import Box, Edges
from pushforward.statistics.power_spectrum import Window, mode_products
from pushforward.tensors.samples import box_of

__all__ = ["CrossSpectra", "cross_spectra"]


@dataclass(frozen=True)
class CrossSpectra:
    """Spectra between the channels of each sample.

    Attributes:
        k: mean wavenumber of the modes of each shell, radians per unit length.
        pairs: the two channels of each pair, numbered from 0.
        power: P_ab, the product of the channels' units times length to the power d.
        correlation: r of each sample, in [-1, 1].
        modes: modes in each shell, conjugates counted.
        auto: P_a P_b averaged over samples, for `mean_correlation`.
    """

    k: Float[Tensor, " bins"]
    pairs: tuple[tuple[int, int], ...]
    power: Float[Tensor, "samples pairs bins"]
    correlation: Float[Tensor, "samples pairs bins"]
    modes: Float[Tensor, " bins"]
    auto: Float[Tensor, "pairs bins"]

    @property
    def mean_correlation(self) -> Float[Tensor, "pairs bins"]:
        """r of the ensemble, <P_ab> / sqrt(<P_a> <P_b>): a ratio of means, which few modes do not bias."""
        return self.power.mean(0) / self.auto.sqrt()


def cross_spectra(fields: FieldArray, box: Box = None, bins: Edges = None, *, window: Window = None) -> CrossSpectra:
    """Cross-spectrum and correlation of each pair of channels, by one transform of each.

    Arguments:
        fields: ``(samples, channels, *grid)``, at least two channels.
        box, bins, window: as in `power_spectrum`.

    Raises:
        UsageError: if there is one channel, or as in `power_spectrum`.

    Example:
        >>> import torch
        >>> a = torch.randn(50, 1, 32, 32, generator=torch.Generator().manual_seed(0))
        >>> found = cross_spectra(torch.cat([a, -a, a.roll(16, -1)], 1))
        >>> found.pairs, bool(found.mean_correlation[0].mean() == -1), bool(found.mean_correlation[1].abs().max() < 1)
        (((0, 1), (0, 2), (1, 2)), True, True)
    """
    box = box_of(fields, box)
    fields = as_fields(fields)
    channels = fields.shape[1]
    if channels < 2:
        raise UsageError(f"fields of {channels} channel were given; a cross-spectrum is between two")
    pairs = tuple(combinations(range(channels), 2))
    each = tuple((channel, channel) for channel in range(channels))
    of, products = mode_products(fields, box, bins, window, (*each, *pairs))
    unit = binary_unit(fields).to(products)[:, None]
    power, between = products[:, :channels], products[:, channels:]
    first, second = ([pair[side] for pair in pairs] for side in (0, 1))
    correlation = between / (power[:, first] * power[:, second]).sqrt()
    scale = unit[first] * unit[second]
    mean = power.mean(0)
    return CrossSpectra(
        of.k, pairs, between * scale, correlation, of.modes, mean[first] * mean[second] * scale.square()
    )
