r"""Amplitude, slope and small-scale noise of a power spectrum against a reference, each with its sign and significance.

A defect that every wavenumber shares is lost in an unsigned average over bins and stands out in a fit,

    ln P_gen(k) - ln P_real(k)        = A + B ln(k / k_0),
    (P_gen(k) - P_real(k)) / P_real(k) = A' + B' ln(k / k_0) + S t(k),        t(k) = <P_real> / P_real(k),

where t is the power of white noise relative to the spectrum, <P> the mean over modes, so that S is the noise's share of
the field's variance. The weights are the inverse of the covariance C of the relative power between samples, its
correlations shrunk towards none by as much as the number of samples demands,

    R -> (1 - lambda) R + lambda 1,        lambda = sum_{i<>j} Var(R_ij) / sum_{i<>j} R_ij^2

(Schaefer and Strimmer 2005, https://doi.org/10.2202/1544-6115.1175, eq. 10); k_0 is where A and B are uncorrelated. The
errors do not rely on C: a fitted number is a sum over samples of e . P_i / <P>_i, with e a row of weights, and its
error is the scatter of these sums between samples, or between groups.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from pushforward.errors import DataError, UsageError
from pushforward.statistics.arrays import as_tensor, wide
from pushforward.statistics.power_spectrum import PowerSpectrum
from pushforward.statistics.uncertainty import Groups, standard_error

__all__ = ["SpectrumFit", "SpectrumWeights", "amplitude_and_slope", "spectrum_weights"]

FITTED = ("amplitude", "slope", "noise")


@dataclass(frozen=True)
class SpectrumWeights:
    """Weights of the fit, which depend on the reference alone and serve for every comparison with it.

    Attributes:
        k: wavenumbers of the bins, radians per unit length.
        pivot: k_0 of each channel.
        power: mean power of the reference.
        rows: weights of each bin in A, B and S; zero in bins without power.
    """

    k: Float[Tensor, " bins"]
    pivot: Float[Tensor, " channels"]
    power: Float[Tensor, "channels bins"]
    rows: Float[Tensor, "channels 3 bins"]

    def apply(
        self, generated: Float[Tensor, "*sets channels bins"], real: Float[Tensor, "*sets channels bins"]
    ) -> Float[Tensor, "*sets channels 3"]:
        """A, B and S from mean spectra."""
        return self.project((generated / real).log(), (generated - real) / self.power)

    def project(
        self, logarithms: Float[Tensor, "*sets channels bins"], shares: Float[Tensor, "*sets channels bins"]
    ) -> Float[Tensor, "*sets channels 3"]:
        """Weighted sums over bins: A and B of the logarithms, S of the shares of the reference's power."""
        log_part, share = (part.nan_to_num(0.0, 0.0, 0.0) for part in (logarithms, shares))
        fitted = torch.einsum("cfk,...ck->...cf", self.rows[:, :2], log_part)
        return torch.cat([fitted, torch.einsum("ck,...ck->...c", self.rows[:, 2], share)[..., None]], -1)


@dataclass(frozen=True)
class SpectrumFit:
    """Fit of each channel, without a unit.

    Attributes:
        pivot: k_0, radians per unit length.
        amplitude: A; the fluctuations of the generated fields are exp(A / 2) times those of the real ones.
        slope: B, the difference of the logarithmic slopes.
        noise: S, the variance of white noise over that of the field; negative where small scales lack power.
        amplitude_error, slope_error, noise_error: standard errors.
        weights: for further comparisons with the same reference.
    """

    pivot: Float[Tensor, " channels"]
    amplitude: Float[Tensor, " channels"]
    amplitude_error: Float[Tensor, " channels"]
    slope: Float[Tensor, " channels"]
    slope_error: Float[Tensor, " channels"]
    noise: Float[Tensor, " channels"]
    noise_error: Float[Tensor, " channels"]
    weights: SpectrumWeights

    @property
    def z(self) -> dict[str, Float[Tensor, " channels"]]:
        """Each fitted number over its error, by name; Student's t where there are few groups."""
        return {name: getattr(self, name) / getattr(self, f"{name}_error") for name in FITTED}


def amplitude_and_slope(
    generated: PowerSpectrum,
    real: PowerSpectrum,
    groups: Groups = None,
    real_groups: Groups = None,
    *,
    paired: bool = False,
    weights: SpectrumWeights | None = None,
) -> SpectrumFit:
    """Amplitude, slope and white noise of generated fields relative to real ones.

    Arguments:
        generated, real: spectra in the same bins; give ``bins="all"`` to `power_spectrum` for every scale of the grid.
        groups: group of each generated sample, as in `standard_error`. real_groups: of each real sample.
        paired: whether ``generated[i]`` was made at the condition of ``real[i]``. Each group is then compared with its
            own, so that the scatter of the conditions cancels.
        weights: of an earlier fit to the same reference, or None.

    Raises:
        UsageError: if the bins differ, or samples that are paired differ in number.
        DataError: if there are fewer than two groups or three bins with power.

    Example:
        >>> from pushforward.statistics import power_spectrum
        >>> g = torch.Generator().manual_seed(0)
        >>> a, b = (power_spectrum(torch.randn(200, 1, 32, 32, generator=g), bins="all") for _ in range(2))
        >>> fit = amplitude_and_slope(PowerSpectrum(a.k, 1.04 * a.power, a.modes), b)
        >>> bool(fit.z["amplitude"] > 5), bool(fit.z["slope"].abs() < 3)
        (True, True)
    """
    if generated.power.shape[1:] != real.power.shape[1:] or not torch.allclose(generated.k.to(real.k), real.k):
        raise UsageError(
            f"spectra of {tuple(generated.power.shape[1:])} and {tuple(real.power.shape[1:])} channels and bins were "
            "given; a fit needs the same bins"
        )
    weights = weights or spectrum_weights(real, generated if paired else None)
    a, b = wide(generated.power), wide(real.power)
    if paired:
        found, error = _paired(a, b, real_groups if groups is None else groups, weights)
    else:
        found = weights.apply(a.mean(0), b.mean(0))
        parts = [(a, groups), (b, real_groups)]
        parts_error = [standard_error(weights.project(p / p.mean(0), p / weights.power), who) for p, who in parts]
        error = torch.stack(parts_error).square().sum(0).sqrt()
    (amplitude, slope, noise), errors = found.unbind(1), error.unbind(1)
    return SpectrumFit(weights.pivot, amplitude, errors[0], slope, errors[1], noise, errors[2], weights)


def spectrum_weights(real: PowerSpectrum, paired_with: PowerSpectrum | None = None) -> SpectrumWeights:
    """Weights from the scatter of the real spectra, or of the differences of pairs.

    Raises:
        DataError: if there are fewer than three samples or three bins with power.
        UsageError: if samples that are paired differ in number.
    """
    power = wide(real.power)
    if len(power) < 3:
        raise DataError(f"{len(power)} spectra were given; their covariance needs at least three")
    scatter = power / power.mean(0)
    if paired_with is not None:
        _same_number(paired_with.power, power)
        scatter = (wide(paired_with.power) / power).log()
    pivots, rows = [], []
    for channel in range(power.shape[1]):
        pivot, row = _rows(scatter[:, channel], power[:, channel].mean(0), real.k, real.modes)
        pivots.append(pivot)
        rows.append(row)
    return SpectrumWeights(real.k, torch.stack(pivots), power.mean(0), torch.stack(rows))


def _rows(scatter: Tensor, power: Tensor, k: Tensor, modes: Tensor) -> tuple[Tensor, Tensor]:
    usable = (modes > 0) & (k > 0) & (power > 0) & scatter.isfinite().all(0)
    usable &= scatter.var(0).nan_to_num(0.0) > 0
    if int(usable.sum()) < len(FITTED):
        raise DataError(f"{int(usable.sum())} bins have power; a fit of amplitude, slope and noise needs three")
    precision = torch.linalg.inv(_shrunk_covariance(scatter[:, usable]))
    log_k = k[usable].log().to(precision)
    log_pivot = (precision @ log_k).sum() / precision.sum()
    mean = (power * modes)[usable].sum() / modes[usable].sum()
    design = torch.stack([torch.ones_like(log_k), log_k - log_pivot, mean / power[usable]], 1)
    row = design.new_zeros(len(FITTED), len(k))
    row[:2, usable] = _least_squares(design[:, :2], precision)
    # Where the spectrum is white already, noise is an amplitude and cannot be told from it.
    distinct = design[:, 2] - design[:, :2] @ (_least_squares(design[:, :2], precision) @ design[:, 2])
    if float(distinct.norm()) > 1e-6 * float(design[:, 2].norm()):
        row[2, usable] = _least_squares(design, precision)[2]
    return log_pivot.exp(), row


def _least_squares(design: Float[Tensor, "bins p"], precision: Float[Tensor, "bins bins"]) -> Float[Tensor, "p bins"]:
    weighted = design.T @ precision
    return torch.linalg.solve(weighted @ design, weighted)


def _shrunk_covariance(values: Float[Tensor, "samples bins"]) -> Float[Tensor, "bins bins"]:
    samples = len(values)
    sigma = values.std(0)
    standard = (values - values.mean(0)) / sigma
    correlation = standard.T @ standard / (samples - 1)
    squares = standard.square()
    second = squares.T @ squares / samples
    variance = (second - (correlation * (samples - 1) / samples).square()) * samples**2 / (samples - 1) ** 3
    off = ~torch.eye(len(sigma), dtype=torch.bool, device=values.device)
    total = correlation[off].square().sum()
    share = (variance[off].sum() / total).clamp(0.01, 1) if float(total) > 0 else total.new_ones(())
    return torch.where(off, (1 - share) * correlation, correlation) * sigma[:, None] * sigma[None, :]


def _paired(a: Tensor, b: Tensor, groups: Groups, weights: SpectrumWeights) -> tuple[Tensor, Tensor]:
    """Mean over pairs of the fit to each group's own ratio, and its error from the scatter between groups."""
    _same_number(a, b)
    if groups is None:
        each = weights.apply(a, b)
        return each.mean(0), standard_error(each)
    member = as_tensor(groups).to(a.device).unique(return_inverse=True)[1]
    count = torch.bincount(member).to(a)[:, None, None]
    sums = [a.new_zeros(len(count), *a.shape[1:]).index_add_(0, member, part) for part in (a, b)]
    each = weights.apply(sums[0] / count, sums[1] / count)
    return (each * count).sum(0) / count.sum(), standard_error(each[member], member)


def _same_number(a: Tensor, b: Tensor) -> None:
    if len(a) != len(b):
        raise UsageError(f"{len(a)} and {len(b)} spectra were given as pairs; give as many of each")
