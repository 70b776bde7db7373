r"""Covariances and correlations: of the coordinates of vectors, and of the power spectrum.

    C_ij = < (x_i - <x_i>) (x_j - <x_j>) >   over samples, divided by n - 1,      R_ij = C_ij / sqrt(C_ii C_jj).

The covariance of P(k) matters because right means do not imply right scatter: of a Gaussian field it is diagonal,
2 P^2 / modes, and gravity couples the scales. Two covariances are compared in the units of the reference's scatter,

    D = || S^-1 (C_a - C_b) S^-1 ||_F / || R_b ||_F,     S = diag(C_b)^(1/2),

so that each scale counts alike whatever its power. Estimated from n samples R has an error of about n^(-1/2), so D of
two real sets is not zero: it is the floor.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from pushforward.errors import UsageError
from pushforward.statistics.arrays import Array, as_vectors, wide
from pushforward.statistics.power_spectrum import PowerSpectrum

__all__ = ["Covariance", "CovarianceDistance", "correlations", "covariance_distance", "power_covariance"]


@dataclass(frozen=True)
class Covariance:
    """Second moments over samples.

    Attributes:
        mean: in the samples' unit.
        covariance: in its square.
        correlation: R, with ones on the diagonal; NaN where a coordinate does not vary.
    """

    mean: Float[Tensor, "*sets dim"]
    covariance: Float[Tensor, "*sets dim dim"]
    correlation: Float[Tensor, "*sets dim dim"]


@dataclass(frozen=True)
class CovarianceDistance:
    """Distance of a covariance from a reference.

    Attributes:
        distance: D, the relative difference of the matrices in the reference's units.
        scatter: ratio of the standard deviations, a over b, of each coordinate.
        correlation: root mean square difference of the off-diagonal correlations.
    """

    distance: Float[Tensor, "*sets"]
    scatter: Float[Tensor, "*sets dim"]
    correlation: Float[Tensor, "*sets"]


def correlations(samples: Float[Array, "samples *dim"]) -> Covariance:
    """Mean, covariance and correlation matrix of the coordinates.

    Arguments:
        samples: ``(samples, dim)``, at least two; further axes are flattened.

    Raises:
        DataError: if there are fewer than two samples.
    """
    return _covariance(wide(as_vectors(samples, least=2)))


def power_covariance(spectra: PowerSpectrum | Float[Tensor, "samples channels bins"]) -> Covariance:
    """Mean, covariance and correlation matrix of P(k) over samples, for each channel.

    Arguments:
        spectra: of at least two samples, as `power_spectrum` returns it; or its ``power``.

    Returns:
        `Covariance` with shapes ``(channels, bins)`` and ``(channels, bins, bins)``.

    Raises:
        DataError: if there are fewer than two samples.

    Example:
        >>> from pushforward.statistics import power_spectrum
        >>> fields = torch.randn(200, 1, 16, 16)
        >>> power_covariance(power_spectrum(fields)).correlation.shape
        torch.Size([1, 7, 7])
    """
    power = spectra.power if isinstance(spectra, PowerSpectrum) else spectra
    parts = [_covariance(wide(as_vectors(channel, least=2))) for channel in power.unbind(1)]
    return Covariance(
        torch.stack([part.mean for part in parts]),
        torch.stack([part.covariance for part in parts]),
        torch.stack([part.correlation for part in parts]),
    )


def covariance_distance(a: Covariance, b: Covariance) -> CovarianceDistance:
    """Difference of two covariances, in units of the scatter of the reference ``b``.

    Raises:
        UsageError: if their shapes differ.
    """
    if a.covariance.shape != b.covariance.shape:
        raise UsageError(f"covariances of shapes {tuple(a.covariance.shape)} and {tuple(b.covariance.shape)} differ")
    sigma = _standard_deviations(b.covariance)
    difference = (a.covariance - b.covariance) / (sigma[..., :, None] * sigma[..., None, :])
    distance = difference.norm(dim=(-2, -1)) / b.correlation.norm(dim=(-2, -1))
    dim = sigma.shape[-1]
    between = torch.linalg.matrix_norm(a.correlation - b.correlation) / max(1, dim * (dim - 1)) ** 0.5
    return CovarianceDistance(distance, _standard_deviations(a.covariance) / sigma, between)


def _covariance(x: Float[Tensor, "samples dim"]) -> Covariance:
    mean = x.mean(0)
    centred = x - mean
    covariance = centred.T @ centred / (len(x) - 1)
    sigma = _standard_deviations(covariance)
    return Covariance(mean, covariance, covariance / (sigma[:, None] * sigma[None, :]))


def _standard_deviations(covariance: Float[Tensor, "*sets dim dim"]) -> Float[Tensor, "*sets dim"]:
    return covariance.diagonal(dim1=-2, dim2=-1).sqrt()
