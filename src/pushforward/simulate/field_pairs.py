r"""One density rendered in two ways, matter and gas: fields to translate without pairs, and true pairs to judge by.

From the projected density rho of `cosmic_web`, in units of its mean, its gas follows in four steps,

    rho_1(x) = (W_R * rho)(x + A grad ln(W_2R * rho)(x)),      smoothed, and moved out of dense places
    rho_2    = rho_1^b,   b = 1 + beta / (1 + rho_1),          a bias that depends on the density
    rho_3    = rho_2 (1 - h S(4 ln(rho_1 / rho_f))),           holes that feedback makes in the densest places
    gas      = rho_3 exp(s n - s^2 / 2) / mean,                and a scatter independent of matter,

with W_R a Gaussian of standard deviation R, S the logistic function, and n a Gaussian field of unit variance whose
correlations are those of white noise under W_R. The relation is local except for R and A, grows with scale, is not
invertible where holes fold it, and has a scatter: a translator can reproduce neither the mean relation nor the
distribution perfectly.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

from pushforward.errors import UsageError
from pushforward.simulate.cosmic_web import cosmic_web
from pushforward.simulate.simulated import Simulated, simulator
from pushforward.spaces import Field

__all__ = ["field_pairs", "field_pairs_a", "field_pairs_b", "rendered_gas"]

# Sides come from simulations of their own, of other seeds than the pairs.
_SIDES = {"pairs": 0, "a": 1, "b": 2}


_OPTIONS = """

    Twelve maps of each come from one simulation and form a group, as the maps of `cosmic_web`.

    Arguments:
        grid: cells per side.
        box: side length in Mpc/h.
        varied: draw Omega_m and sigma_8 of each simulation as `cosmic_web` does, and keep them as conditions; otherwise
            they are 0.3 and 0.8.
        smoothing: R in Mpc/h.
        displacement: A in (Mpc/h)^2.
        bias: beta. feedback: h, in [0, 1]. scatter: s.

    Raises:
        UsageError: if an option is out of range.
    """


def _with_gas(side: str, name: str, summary: str) -> Callable[..., Simulated]:
    """A simulator with the options of the gas."""

    def made(
        count: int,
        seed: int = 0,
        *,
        grid: int = 64,
        box: float = 100.0,
        varied: bool = False,
        smoothing: float = 1.0,
        displacement: float = 0.5,
        bias: float = 0.6,
        feedback: float = 0.5,
        scatter: float = 0.1,
    ) -> Simulated:
        if min(smoothing, displacement, bias, scatter) < 0 or not 0 <= feedback <= 1:
            raise UsageError(
                "field-pairs needs smoothing, displacement, bias and scatter of at least 0 and feedback in [0, 1]; got "
                f"{smoothing}, {displacement}, {bias}, {scatter} and {feedback}"
            )

        def gas(matter: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
            return rendered_gas(
                matter,
                rng,
                box=box,
                smoothing=smoothing,
                displacement=displacement,
                bias=bias,
                feedback=feedback,
                scatter=scatter,
            )

        return _made(side, count, seed, grid, box, varied, gas)

    made.__name__ = made.__qualname__ = name
    made.__doc__ = summary + _OPTIONS
    return simulator(made)


field_pairs = _with_gas(
    "pairs",
    "field_pairs",
    "True pairs, shape ``(count, 2, grid, grid)``: matter, then its gas, both in units of their mean; periodic.",
)
field_pairs_b = _with_gas(
    "b",
    "field_pairs_b",
    "Maps of gas alone, shape ``(count, 1, grid, grid)``, of other simulations than `field_pairs_a`.",
)


@simulator
def field_pairs_a(count: int, seed: int = 0, *, grid: int = 64, box: float = 100.0, varied: bool = False) -> Simulated:
    """Maps of matter alone, shape ``(count, 1, grid, grid)``, of other simulations than `field_pairs_b`."""
    return _made("a", count, seed, grid, box, varied)


def _made(
    side: str,
    count: int,
    seed: int,
    grid: int,
    box: float,
    varied: bool,
    gas: Callable[[NDArray[np.float32], np.random.Generator], NDArray[np.float32]] | None = None,
) -> Simulated:
    own = len(_SIDES) * seed + _SIDES[side]
    cosmology = {} if varied else {"Omega_m": 0.3, "sigma_8": 0.8}
    matter = cosmic_web(count, own, grid=grid, box=box, **cosmology)
    fields = [matter.x] if side != "b" else []
    if gas is not None:
        fields.append(gas(matter.x, np.random.default_rng([own, 1])))
    return Simulated(
        np.concatenate(fields, axis=1),
        Field(len(fields), (grid, grid), periodic=True, box=box, isotropic=True),
        conditions=matter.conditions if varied else None,
        names=matter.names if varied else (),
        groups=matter.groups,
        notes=matter.notes,
    )


def rendered_gas(
    matter: NDArray[np.float32],
    rng: np.random.Generator,
    *,
    box: float,
    smoothing: float,
    displacement: float,
    bias: float,
    feedback: float,
    scatter: float,
) -> NDArray[np.float32]:
    """The gas of maps of matter, shape ``(count, 1, grid, grid)``: see the head of this module."""
    grid = matter.shape[-1]
    k = 2 * np.pi * fft.fftfreq(grid, box / grid)
    square = k[:, None] ** 2 + k[None, : grid // 2 + 1] ** 2

    def smoothed(x: NDArray[np.float32], radius: float) -> NDArray[np.float32]:
        return fft.irfft2(fft.rfft2(x) * np.exp(-(radius**2) * square / 2), s=(grid, grid))

    # Ringing of a smoothed map cannot make a density negative, but rounding can.
    smooth = np.maximum(smoothed(matter, smoothing), 1e-6)
    potential = fft.rfft2(np.log(np.maximum(smoothed(matter, 2 * smoothing), 1e-6)))
    steps = [fft.irfft2(1j * each * potential, s=(grid, grid)) for each in (k[:, None], k[None, : grid // 2 + 1])]
    cells = np.indices((grid, grid))
    moved = np.empty_like(smooth)
    for index in range(len(matter)):
        places = [cells[axis] + displacement * grid / box * steps[axis][index, 0] for axis in (0, 1)]
        moved[index, 0] = ndimage.map_coordinates(smooth[index, 0], places, order=1, mode="grid-wrap")
    biased = moved ** (1 + bias / (1 + moved))
    # Feedback sets in at five times the mean density, which one cell in some fifty has.
    holes = 1 - feedback / (1 + (5.0 / moved) ** 4)
    noise = smoothed(rng.standard_normal(matter.shape, dtype=np.float32), smoothing)
    gas = biased * holes * np.exp(scatter * noise / noise.std() - scatter**2 / 2)
    return (gas / gas.mean(axis=(2, 3), keepdims=True)).astype(np.float32)
