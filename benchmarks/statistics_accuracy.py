"""Accuracy of the statistics: fields and points whose statistics are known in closed form or published.

A column of z is (measured - expected) / standard error over bins: its root mean square is 1 and its largest size grows
slowly with the number of bins when the statistic is right.

    python -m benchmarks statistics_accuracy
"""

from __future__ import annotations

from math import pi
from typing import Any

import torch
from torch import Tensor

from benchmarks.timing import report
from pushforward.statistics import (
    bispectrum,
    gaussian_minkowski,
    minkowski_functionals,
    power_spectrum,
    precision_recall_density_coverage,
    standard_error,
)

SIDE, BOX, SEEDS = 128, 100.0, 5
CELLS, AREA = SIDE**2, BOX**2
# Published for two sets of 10,000 standard normal points in 1000 dimensions: the prdc package's own check.
PUBLISHED = {"precision": 0.4772, "recall": 0.4705, "density": 1.0555, "coverage": 0.9735}


def main() -> None:
    rows = [_power(), *_minkowski(), *_bispectrum(), *_published()]
    notes = [
        f"maps are periodic, {SIDE} x {SIDE} cells, box {BOX:g}, made with `torch.fft` from the spectrum in the table",
        "z: difference over standard error, over all bins and thresholds; closed forms are averaged over the same bins",
        "bispectrum: phi = g + f (g^2 - <g^2>) with f sigma = 0.05, over pairs g, -g so that the scatter of <g g g> "
        "cancels; the closed form leaves out terms of order f^3, up to a per cent here",
        f"precision to coverage: mean and standard deviation over {SEEDS} seeds; the published values are of one",
    ]
    report("statistics_accuracy", "Accuracy of statistics", rows, notes=notes)


def _wavenumber() -> Tensor:
    k = 2 * pi * torch.fft.fftfreq(SIDE, d=BOX / SIDE, dtype=torch.float64)
    return (k[:, None].square() + k[None, :].square()).sqrt()


def _spectrum(slope: float, smoothing: float = 0.0) -> Tensor:
    """P(k) = k^slope exp(-k^2 R^2) of each mode; none at k = 0."""
    k = _wavenumber()
    power = k.clamp_min(2 * pi / BOX).pow(slope) * torch.exp(-(k * smoothing).square())
    power[0, 0] = 0.0
    return power


def _maps(count: int, power: Tensor, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    white = torch.fft.fft2(torch.randn(count, 1, SIDE, SIDE, generator=generator, dtype=torch.float64))
    return torch.fft.ifft2(white * (power * CELLS / AREA).sqrt()).real


def _z_row(statistic: str, z: Tensor, difference: float) -> dict[str, Any]:
    return {
        "statistic": statistic,
        "measured": "",
        "expected": "",
        "relative difference": f"{difference:.2g}",
        "rms z": f"{float(z.square().mean().sqrt()):.2f}",
        "largest z": f"{float(z.abs().max()):.2f}",
        "bins": z.numel(),
    }


def _power() -> dict[str, Any]:
    count = 1000
    power = _spectrum(-2.0)
    spectrum = power_spectrum(_maps(count, power).float(), box=BOX)
    k, edges = _wavenumber(), (0.5 + torch.arange(len(spectrum.k) + 1)) * 2 * pi / BOX
    shell = torch.bucketize(k, edges.double(), right=True) - 1
    expected = torch.stack([power[shell == i].mean() for i in range(len(spectrum.k))])
    ratio = spectrum.power.mean((0, 1)) / expected - 1
    z = ratio / (2 / spectrum.modes / count).sqrt()
    return _z_row(f"P(k) of {count} Gaussian maps, P = k^-2", z, float(ratio.abs().mean()))


def _minkowski() -> list[dict[str, Any]]:
    count = 1000
    power, k = _spectrum(-1.0, smoothing=2.5), _wavenumber()
    sigma = (power.sum() / AREA).sqrt()
    sigma_1 = (k.square() * power).sum().div(AREA).sqrt() / sigma
    nu = torch.linspace(-3, 3, 25)
    functionals = minkowski_functionals(
        _maps(count, power).float(), nu, box=BOX, periodic=True, mean=torch.zeros(1), sigma=sigma[None]
    )
    exact = gaussian_minkowski(nu, sigma_1[None])
    rows = []
    for name in ("v0", "v1", "v2"):
        values, expected = getattr(functionals, name), getattr(exact, name)
        difference = values.mean(0) - expected
        label = f"Minkowski {name.upper()} of {count} Gaussian maps"
        rows.append(_z_row(label, difference / standard_error(values), float(difference.abs().max() / expected.max())))
    return rows


def _bispectrum() -> list[dict[str, Any]]:
    count = 300
    power = _spectrum(-1.0)
    sigma = (power.sum() / AREA).sqrt()
    f = 0.05 / sigma
    g = _maps(count, power)
    quadratic = f * (g.square() - sigma.square())
    rows = []
    for triangles in ("equilateral", "squeezed", "all"):
        up, down = (bispectrum((sign * g + quadratic).float(), BOX, triangles=triangles) for sign in (1, -1))
        values = (up.bispectrum + down.bispectrum)[:, 0] / 2
        expected = 2 * f * _products(power, up.index.tolist())
        difference = values.mean(0) - expected
        z = difference / standard_error(values)
        weight = (expected / standard_error(values)).square()
        amplitude = float((weight * difference / expected).sum() / weight.sum())
        rows.append(_z_row(f"bispectrum of {count} pairs of quadratic maps, {triangles}", z, abs(amplitude)))
    return rows


def _products(power: Tensor, index: list[list[int]]) -> Tensor:
    """P1 P2 + P2 P3 + P3 P1 averaged over the triangles of each bin, by sums over cells of the filtered spectra."""
    k = _wavenumber()
    count = max(max(triple) for triple in index) + 1
    edges = _default_edges(count)

    def filtered(values: Tensor) -> list[Tensor]:
        return [torch.fft.ifft2(values * ((edges[i] <= k) & (k < edges[i + 1]))).real for i in range(count)]

    one, weighted = filtered(torch.ones_like(power)), filtered(power)
    means = []
    for triple in index:
        pairs = sum((one[a] * weighted[b] * weighted[c]).sum() for a, b, c in _turns(triple))
        means.append(pairs / (one[triple[0]] * one[triple[1]] * one[triple[2]]).sum())
    return torch.stack(means)


def _turns(triple: list[int]) -> list[tuple[int, int, int]]:
    first, second, third = triple
    return [(first, second, third), (second, third, first), (third, first, second)]


def _default_edges(count: int) -> list[float]:
    """Those of `bispectrum` on this grid: equal shells, a whole number of fundamentals wide."""
    width = max(1, int(SIDE / 3 - 0.5) // 12)
    return [(0.5 + width * i) * 2 * pi / BOX for i in range(count + 1)]


def _published() -> list[dict[str, Any]]:
    scores: dict[str, list[Tensor]] = {name: [] for name in PUBLISHED}
    for seed in range(SEEDS):
        real, fake = torch.randn(2, 10_000, 1000, generator=torch.Generator().manual_seed(seed))
        result = precision_recall_density_coverage(fake, real)
        for name, values in scores.items():
            values.append(getattr(result, name))
    rows = []
    for name, expected in PUBLISHED.items():
        values = torch.stack(scores[name])
        mean, scatter = float(values.mean()), float(values.std())
        rows.append(
            {
                "statistic": f"{name} of N(0, 1) in R^1000, 2 x 10,000 points",
                "measured": f"{mean:.3f} ± {scatter:.3f}",
                "expected": f"{expected:.4f}",
                "relative difference": f"{abs(mean / expected - 1):.2g}",
                "rms z": f"{abs(expected - mean) / scatter:.2f}",
            }
        )
    return rows


if __name__ == "__main__":
    main()
