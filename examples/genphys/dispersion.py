r"""Generative physical processes: the dispersion criterion.

A plane wave exp(i k . x - i omega t) solves a linear equation if its frequency is omega(k), and grows or decays as
exp(Im omega t). A process forgets the details of the data, so that all data end in one known distribution, if every
wave decays faster than the mean does,

    Im omega(k) < Im omega(0)      for every k > 0        (Liu et al. 2023, eq. 16).

| process          | equation                               | omega(k)                            | criterion          |
|------------------|----------------------------------------|-------------------------------------|--------------------|
| diffusion        | phi_t = lap phi                        | -i k^2                              | holds              |
| poisson          | phi_tt + lap phi = 0                   | -i k                                | holds              |
| yukawa           | phi_tt + lap phi = m^2 phi             | -i sqrt(k^2 + m^2)                  | holds              |
| helmholtz        | phi_tt + lap phi = -k0^2 phi           | -i sqrt(k^2 - k0^2)                 | holds for k > k0   |
| dissipative-wave | phi_tt + 2 eps phi_t = lap phi         | -i (eps - sqrt(eps^2 - k^2))        | holds; at most eps |
| wave             | phi_tt = lap phi                       | +- k                                | never              |
| schroedinger     | i phi_t = -lap phi                     | k^2                                 | never              |

Units: lengths are those of the data, k is in radians per length, and t is a length too (its square for diffusion and
Schroedinger).

References:
    Liu, Luo, Xu, Jaakkola & Tegmark 2023, GenPhys: From Physical Processes to Generative Models,
    https://arxiv.org/abs/2304.02637
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Bool, Complex, Float
from torch import Tensor

from pushforward.errors import UsageError

__all__ = ["FREQUENCIES", "frequency", "is_smoothing", "refuse_unless_smoothing"]

FREQUENCIES: dict[str, Callable[[Tensor, float], Tensor]] = {
    "diffusion": lambda k, _: -1j * k**2,
    "poisson": lambda k, _: -1j * k,
    "yukawa": lambda k, mass: -1j * torch.sqrt(k**2 + mass**2),
    "helmholtz": lambda k, k0: -1j * torch.sqrt((k**2 - k0**2).to(torch.complex128)),
    "dissipative-wave": lambda k, eps: -1j * (eps - torch.sqrt((eps**2 - k**2).to(torch.complex128))),
    "wave": lambda k, _: k + 0j,
    "schroedinger": lambda k, _: k**2 + 0j,
}
"""omega(k) on the branch that is followed, of k and the process's own parameter (m, k0 or epsilon)."""


def frequency(name: str, k: Float[Tensor, " n"], parameter: float = 1.0) -> Complex[Tensor, " n"]:
    """omega(k) of a process; see the table of this module.

    Raises:
        UsageError: if there is no process of that name.
    """
    if name not in FREQUENCIES:
        raise UsageError(f"there is no process called {name!r}; known ones are {', '.join(FREQUENCIES)}")
    return FREQUENCIES[name](k.double(), parameter)


def is_smoothing(name: str, k: Float[Tensor, " n"], parameter: float = 1.0) -> Bool[Tensor, " n"]:
    """Whether waves of wavenumber k > 0 decay faster than the mean: Im omega(k) < Im omega(0).

    >>> is_smoothing("poisson", torch.tensor([0.1, 1.0])).tolist()
    [True, True]
    >>> is_smoothing("helmholtz", torch.tensor([0.1, 1.0]), parameter=0.5).tolist()
    [False, True]
    """
    at_rest = frequency(name, torch.zeros(1), parameter).imag
    return frequency(name, k, parameter).imag < at_rest


def refuse_unless_smoothing(name: str) -> None:
    """Raise if the process is not generative.

    Raises:
        UsageError: for the ideal wave and Schroedinger processes, with the reason; for an unknown name.
    """
    reasons = {
        "wave": ("omega = +-k", "'dissipative-wave', whose friction lets waves die out"),
        "schroedinger": ("omega = k^2", "'diffusion', which it becomes in imaginary time"),
    }
    if name in reasons:
        relation, instead = reasons[name]
        raise UsageError(
            f"the {name} process cannot generate: the imaginary part of its frequency, {relation}, is 0 at every"
            f" wavenumber and does not fall with k, so no detail of the data is ever forgotten; use {instead}"
        )
    frequency(name, torch.zeros(1))
