r"""Scattering spectra of maps: numbers that tell filaments, voids and peaks from a Gaussian field of the same power.

With wavelets psi_jl of octave j = 0 (the finest), 1, ... and direction l, the waves W_jl = x * psi_jl of a map x of
normal scores, their envelopes U_jl = |W_jl|, and the same map y in the user's units, the averages over positions are

    < max(0, x - t) >                                      the distribution of values, at levels t
    ln < |W_jl|^2 >,  ln < |y * psi_jl|^2 >                power
    < U_jl >                                               how sparse an octave is
    < U_jl (x * psi_j'l') >,  < U_jl (y * psi_j'l') >      how fine structure follows coarse structure, j <= j'
    Re < (U_jl * psi_j''l'') (U_j'l' * psi_j''l'')^* >     how two octaves vary together, j, j' <= j''

with, for wavenumbers k of angle phi, k_j = 3 pi / 4 2^-j radians per cell and phi_l = pi l / 4,

    psi_jl(k) = cos(pi/2 log2(|k| / k_j)) max(0, cos(phi - phi_l))^3      where |log2(|k| / k_j)| < 1, else 0,

and the first factor 1 at all |k| > k_0 for j = 0. Octaves overlap. The last two kinds are decomposed by common
rotations of all directions, into means over these and differences between them, which vanish on average if maps are
isotropic. Mirror images are averaged.

Source: Cheng, Morel, Allys, Menard and Mallat 2024, PNAS Nexus 3, pgae103 (arXiv:2306.17210), who sample maps of
physical fields from means of such spectra.
"""

from __future__ import annotations

import math
from collections import defaultdict
from itertools import combinations_with_replacement

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pushforward.errors import UsageError
from pushforward.spaces import Field, Space

__all__ = ["ScatteringSpectra", "has_scattering_spectra"]

_DIRECTIONS, _MOST_OCTAVES, _SMALLEST_SIDE = 4, 5, 8
_CENTRE = 0.75 * math.pi
"""Wavenumber of the finest wavelets, radians per cell."""
_DIFFERENCES = 0.25
"""Weight of a difference between directions, relative to a mean over them."""
_LEVELS = (-2.0, -1.0, 0.0, 1.0, 2.0, 3.0)
"""Of normal scores."""
_TINY = 1e-8
"""Added to powers, so that logarithms and roots stay differentiable."""
_ROUNDED = 1e-6
"""Square of the difference below which |a - b| is rounded off."""
_ROWS = 64
"""Members whose spectra are computed at once."""


def has_scattering_spectra(space: Space) -> bool:
    """Whether a space is one of maps that are large enough for two octaves."""
    return len(space.grid) == 2 and min(space.grid) >= _SMALLEST_SIDE


class ScatteringSpectra(nn.Module):
    """Scattering spectra of each channel of maps, in units of their scatter among members, about their mean.

    A map is continued periodically. Wavenumbers are in radians per cell along each axis.

    Arguments:
        space: of the maps.

    Raises:
        UsageError: unless the grid has two axes of at least 8 cells.

    Attributes:
        count: number of spectra of a map.

    >>> spectra = ScatteringSpectra(Field(1, (16, 16), periodic=True))
    >>> maps = torch.randn(64, 1, 16, 16)
    >>> spectra.fit(maps, maps.exp())
    >>> spectra(maps[:3], maps[:3].exp()).shape == (3, spectra.count)
    True
    """

    scale: Tensor
    value_scale: Tensor
    mean: Tensor
    scatter: Tensor
    weight: Tensor
    levels: Tensor

    def __init__(self, space: Field) -> None:
        super().__init__()
        if not has_scattering_spectra(space):
            raise UsageError(
                f"scattering spectra are of maps of at least {_SMALLEST_SIDE} x {_SMALLEST_SIDE} cells, "
                f"not of {' x '.join(map(str, space.grid)) or 'a vector'}"
            )
        self.grid = space.grid
        self.octaves = min(_MOST_OCTAVES, int(math.log2(min(space.grid))) - 1)
        for octave in range(self.octaves):
            grid = self._coarse(octave)
            wavelets = _wavelets(octave, grid, space.grid)
            self._keep("wavelets", octave, wavelets)
            # Fields and envelopes are real: waves k and -k are one, and half of them are enough.
            mirrored = wavelets.flip(1, 2).roll((1, 1), (1, 2))
            half = grid[1] // 2 + 1
            twice = torch.full((half,), 2.0)
            twice[0] = 1.0
            if grid[1] % 2 == 0:
                twice[-1] = 1.0
            self._keep("filters", octave, ((wavelets + mirrored)[..., :half] * twice / 2).flatten(1))
            squares = (wavelets.square() + mirrored.square())[..., :half] * twice / 2
            self._keep("amplitudes", octave, squares.sqrt().flatten(1))
            following, together = _following(octave + 1), _together(octave + 1)
            self._keep("following", octave, following)
            self._keep("together", octave, together)
        self.register_buffer("levels", torch.tensor(_LEVELS), persistent=False)
        weight = self._weights(space.channels)
        self.count = len(weight)
        self.register_buffer("weight", weight, persistent=False)
        self.register_buffer("scale", torch.ones(self.octaves, space.channels, 1))
        self.register_buffer("value_scale", torch.ones(self.octaves, space.channels, 1))
        self.register_buffer("mean", torch.zeros(self.count))
        self.register_buffer("scatter", torch.ones(self.count))

    def forward(
        self, x: Float[Tensor, "batch channels rows columns"], values: Float[Tensor, "batch channels rows columns"]
    ) -> Float[Tensor, "batch spectra"]:
        """Spectra of maps.

        Arguments:
            x: normal scores.
            values: the same maps in the user's units.
        """
        # Half precision is too coarse for sums over thousands of cells.
        with torch.autocast(x.device.type, enabled=False):
            return (self._raw(x, values) - self.mean) / self.scatter

    def score(
        self,
        first: Float[Tensor, "batch spectra"],
        second: Float[Tensor, "batch spectra"],
        real: Float[Tensor, "batch spectra"],
    ) -> Float[Tensor, ""]:
        """Continuous ranked probability score of two independent samples at the condition of each member.

        The weighted mean over spectra of

            (|a - x| + |b - x| - |a - b|) / 2,

        whose expectation is least where each spectrum has the distribution of the members' at every condition. The norm
        of all spectra together would hardly tell a spectrum that scatters too much from another that scatters too
        little.

        Source: Gneiting and Raftery 2007, https://doi.org/10.1198/016214506000001437, equation 21.
        """
        pairs = ((first, real), (second, real), (first, second))
        near, far, apart = (((a - b).square().add(_ROUNDED).sqrt().mean(0) * self.weight).sum() for a, b in pairs)
        return 0.5 * (near + far - apart)

    @torch.no_grad()
    def fit(
        self, x: Float[Tensor, "batch channels rows columns"], values: Float[Tensor, "batch channels rows columns"]
    ) -> None:
        """Set the units: mean and scatter of each spectrum over members.

        Arguments:
            x: normal scores.
            values: the same maps in the user's units.
        """
        pairs = list(zip(x.split(_ROWS), values.split(_ROWS), strict=True))
        for each, scale in ((x, self.scale), (values, self.value_scale)):
            modes = [torch.fft.rfft2(part.float(), norm="forward") for part in each.split(_ROWS)]
            powers = torch.cat([self._powers(part) for part in modes]).mean((0, 3))
            scale.copy_(powers.sqrt().clamp(min=_TINY).t()[..., None])
        spectra = torch.cat([self._raw(*pair) for pair in pairs])
        self.mean.copy_(spectra.mean(0))
        self.scatter.copy_(spectra.std(0, correction=0).clamp(min=1e-4))

    def _weights(self, channels: int) -> Tensor:
        """Weight of each spectrum; those of one kind have a sum that grows with the root of their number."""
        single = _DIRECTIONS * self.octaves
        kinds = [torch.ones(channels * len(_LEVELS)), *(torch.ones(channels * single) for _ in range(3))]
        for name, times in (("following", 2), ("together", 1)):
            columns = sum(self._kept(name, octave).shape[1] for octave in range(self.octaves)) // _DIRECTIONS
            weight = torch.full((columns * times * channels, _DIRECTIONS), _DIFFERENCES)
            weight[:, 0] = 1.0
            kinds.append(weight.flatten())
        weight = torch.cat([each / each.sum().sqrt() for each in kinds])
        return weight / weight.sum()

    def _powers(self, modes: Tensor) -> Tensor:
        """< |x * psi|^2 > of each octave and direction, (batch, channels, octaves, directions)."""
        power, found = modes.real.square() + modes.imag.square(), []
        for octave in range(self.octaves):
            kept = _lowest(power, self._coarse(octave), halved=True).flatten(2)
            found.append(kept @ self._kept("amplitudes", octave).square().t())
        return torch.stack(found, 2)

    def _raw(self, x: Tensor, values: Tensor) -> Tensor:
        x, values = x.float(), values.float()
        found = [(x[..., None] - self.levels).relu().mean((2, 3))]
        fields = [torch.fft.rfft2(each, norm="forward") for each in (x, values)]
        for modes, scale in zip(fields, (self.scale, self.value_scale), strict=True):
            found.append((self._powers(modes) / scale.square().movedim(0, 1) + _TINY).log())
        envelopes = []
        for scale, wave in zip(self.scale, self._waves(x), strict=True):
            wave = wave / scale[..., None, None]
            envelope = (wave.real.square() + wave.imag.square() + _TINY).sqrt()
            found.append(envelope.mean((3, 4)))
            envelopes.append(torch.fft.rfft2(envelope, norm="forward"))
        last = []
        for octave in range(self.octaves):
            grid = self._coarse(octave)
            finer = torch.cat([_lowest(each, grid, halved=True) for each in envelopes[: octave + 1]], 2).flatten(3)
            for modes, scale in zip(fields, (self.scale[octave], self.value_scale[octave]), strict=True):
                here = _lowest(modes[:, :, None], grid, halved=True).flatten(3)
                products = finer.real * here.real + finer.imag * here.imag
                following = (products @ self._kept("filters", octave).t()).flatten(2) / scale
                found.append(following @ self._kept("following", octave))
            together = []
            for amplitude in self._kept("amplitudes", octave):
                waves = finer * amplitude
                parts = torch.cat([waves.real, waves.imag], -1)
                together.append(parts @ parts.transpose(-1, -2))
            last.append(torch.stack(together, -1).flatten(2) @ self._kept("together", octave))
        return torch.cat([each.flatten(1) for each in (*found, *last)], 1)

    def _waves(self, x: Tensor) -> list[Tensor]:
        """W of each octave, (batch, channels, directions, *coarse grid)."""
        modes, waves = torch.fft.fft2(x)[:, :, None], []
        for octave in range(self.octaves):
            wavelets = self._kept("wavelets", octave)
            grid = wavelets.shape[1:]
            kept = _lowest(modes, grid) * (math.prod(grid) / math.prod(self.grid))
            waves.append(torch.fft.ifft2(kept * wavelets))
        return waves

    def _coarse(self, octave: int) -> tuple[int, ...]:
        """Cells that are enough for the waves of an octave."""
        return tuple(min(cells, max(_SMALLEST_SIDE, 2 * math.ceil(cells / 2**octave))) for cells in self.grid)

    def _keep(self, name: str, octave: int, values: Tensor) -> None:
        self.register_buffer(f"{name}_{octave}", values, persistent=False)

    def _kept(self, name: str, octave: int) -> Tensor:
        return self.get_buffer(f"{name}_{octave}")


def _lowest(modes: Tensor, grid: tuple[int, ...] | torch.Size, *, halved: bool = False) -> Tensor:
    """Modes of a coarser grid, of which a transform of real values has half along the last axis."""
    rows, columns = grid
    if modes.shape[-2] != rows:
        modes = torch.cat([modes[..., : rows // 2, :], modes[..., modes.shape[-2] - rows // 2 :, :]], -2)
    if halved:
        return modes[..., : columns // 2 + 1]
    if modes.shape[-1] != columns:
        modes = torch.cat([modes[..., : columns // 2], modes[..., modes.shape[-1] - columns // 2 :]], -1)
    return modes


def _wavelets(octave: int, grid: tuple[int, ...], fine: tuple[int, ...]) -> Tensor:
    """Fourier transforms of the wavelets of an octave, (directions, *grid)."""
    axes = [torch.fft.fftfreq(cells) * (2 * math.pi * cells / whole) for cells, whole in zip(grid, fine, strict=True)]
    down, across = torch.meshgrid(*axes, indexing="ij")
    above = torch.log2(torch.hypot(down, across).clamp(min=1e-9) * 2**octave / _CENTRE)
    radial = torch.where(above.abs() < 1, torch.cos(math.pi / 2 * above), 0.0)
    if octave == 0:
        # The finest wavelets reach into the corners.
        radial = torch.where(above > 0, 1.0, radial)
    turned = torch.atan2(down, across) - (torch.arange(_DIRECTIONS) * math.pi / _DIRECTIONS).view(-1, 1, 1)
    return radial * turned.cos().clamp(min=0.0) ** (_DIRECTIONS - 1)


def _following(octaves: int) -> Tensor:
    """From < U_jl (x * psi_j'l') >, for all j, l, l', to parts by rotation, for all j and l' - l."""
    columns = defaultdict(list)
    for j in range(octaves):
        for apart in range(_DIRECTIONS):
            key = (j, min(apart, -apart % _DIRECTIONS))
            columns[key].append([(j * _DIRECTIONS + q) * _DIRECTIONS + (q + apart) % _DIRECTIONS for q in _turns()])
    return _by_rotation(list(columns.values()), octaves * _DIRECTIONS**2)


def _together(octaves: int) -> Tensor:
    """From covariances of U_jl and U_j'l' along l'' to parts by rotation, for all j <= j', l - l'' and l' - l''."""
    columns, size = defaultdict(list), octaves * _DIRECTIONS
    for j, k in combinations_with_replacement(range(octaves), 2):
        for first in range(_DIRECTIONS):
            for second in range(_DIRECTIONS):
                images = [(first, second), (-first % _DIRECTIONS, -second % _DIRECTIONS)]
                if j == k:
                    images += [image[::-1] for image in images]
                entries = []
                for q in _turns():
                    row, column = (i * _DIRECTIONS + (q + each) % _DIRECTIONS for i, each in ((j, first), (k, second)))
                    entries.append((row * size + column) * _DIRECTIONS + q)
                columns[j, k, min(images)].append(entries)
    return _by_rotation(list(columns.values()), size**2 * _DIRECTIONS)


def _by_rotation(columns: list[list[list[int]]], rows: int) -> Tensor:
    """Matrix of means over entries that a reflection makes equal, and of Fourier amplitudes over common rotations."""
    q = torch.arange(_DIRECTIONS) * (2 * math.pi / _DIRECTIONS)
    parts = [torch.ones(_DIRECTIONS)]
    for wave in range(1, _DIRECTIONS // 2):
        parts += [2**0.5 * (wave * q).cos(), 2**0.5 * (wave * q).sin()]
    parts.append((_DIRECTIONS // 2 * q).cos())
    waves = torch.stack(parts, 1) / _DIRECTIONS
    matrix = torch.zeros(rows, len(columns), _DIRECTIONS)
    for number, images in enumerate(columns):
        for entries in images:
            matrix[torch.tensor(entries), number] += waves / len(images)
    return matrix.flatten(1)


def _turns() -> range:
    return range(_DIRECTIONS)
