r"""Physical processes that turn data into noise, each by the field of a unit point source (GenPhys).

A linear equation for phi(x, t) becomes a flow of something conserved, or nearly so, if it can be read as

    dp/dt + div J = R,

with a density p >= 0, its flux J and a rate R at which it is born or lost. For one data point p and J are the Green's
function's; for a distribution of data they add up, so that the velocity at a point is the mean of the velocities that
the data points there would give it, which is what a network learns by regression. Where R is not zero, the flow of the
*normalised* density needs a corrected velocity u,

    dq/dt + div(q u) = 0,      q = p / (integral of p),

which is what `velocity` returns, so that following it backwards samples without weights, births or deaths.

| process           | p              | J          | R          | kernel                                                |
|-------------------|----------------|------------|------------|-------------------------------------------------------|
| `Diffusion`       | phi            | -grad phi  | 0          | normal of variance 2t                                 |
| `Poisson`         | -phi_t         | -grad phi  | 0          | t / (x^2 + t^2)^((N+1)/2): Cauchy                     |
| `Yukawa`          | -phi_t         | -grad phi  | -m^2 phi   | the same, cut off beyond 1/m: normal-inverse-Gaussian |
| `Helmholtz`       | -phi_t         | -grad phi  | +k0^2 phi  | the same with Y for K: positive in a ball             |
| `DissipativeWave` | phi_t + 2e phi | -grad phi  | 0          | the telegraph process, for each coordinate            |

References:
    Liu et al. 2023, GenPhys, https://arxiv.org/abs/2304.02637; signs and Green's functions derived here, and tested
    Xu et al. 2022, https://arxiv.org/abs/2209.11178 (Poisson)
    Kac 1974, https://doi.org/10.1216/RMJ-1974-4-3-497; Duong et al. 2025, https://arxiv.org/abs/2506.20641 (telegraph)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from examples.genphys.dispersion import refuse_unless_smoothing
from examples.genphys.poisson import Helmholtz, Poisson, Yukawa
from examples.genphys.process import Process, continuity_residual, transport_residual
from examples.genphys.waves import Diffusion, DissipativeWave

__all__ = [
    "PROCESSES",
    "Diffusion",
    "DissipativeWave",
    "Helmholtz",
    "Poisson",
    "Process",
    "Yukawa",
    "continuity_residual",
    "process",
    "transport_residual",
]

PROCESSES: dict[str, Callable[..., Process]] = {
    kind.name: kind for kind in (Diffusion, Poisson, Yukawa, Helmholtz, DissipativeWave)
}


def process(name: str, dim: int, **parameters: Any) -> Process:
    """A process by its name.

    >>> process("yukawa", 2, mass=3.0)
    Yukawa(dim=2, mass=3.0)

    Raises:
        UsageError: if there is none of that name, or it is one that cannot generate; the sentence says why.
    """
    refuse_unless_smoothing(name)
    return PROCESSES[name](dim, **parameters)
