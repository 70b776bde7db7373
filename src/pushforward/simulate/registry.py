"""Registry of the built-in sets: the module of each simulator and its default number of members.

It imports no simulator, so that listing them is fast.
"""

from __future__ import annotations

from dataclasses import dataclass

from pushforward.errors import UsageError
from pushforward.plugins import load_plugin, plugins

__all__ = ["SIMULATORS", "Simulator", "registered"]


@dataclass(frozen=True)
class Simulator:
    """One built-in set.

    Attributes:
        target: ``module:function`` of the simulator, with the full module name.
        summary: one line for `pushforward datasets`.
        default_count: number of members unless given.
        problem: reason why it cannot be used; empty if it can.
    """

    target: str
    summary: str
    default_count: int
    problem: str = ""


def _simulator(target: str, summary: str, default_count: int = 20_000) -> Simulator:
    return Simulator(f"pushforward.simulate.{target}", summary, default_count)


SIMULATORS: dict[str, Simulator] = {
    "two-moons": _simulator("curves:two_moons", "two interleaved half circles with Gaussian noise; exact density"),
    "circles": _simulator("curves:circles", "two concentric circles with Gaussian noise; exact density"),
    "spirals": _simulator("curves:spirals", "two intertwined spirals with Gaussian noise; exact density"),
    "swiss-roll": _simulator("curves:swiss_roll", "a rolled-up sheet seen from its end; exact density"),
    "s-curve": _simulator("curves:s_curve", "a sheet bent to an S, seen from its end; exact density"),
    "eight-gaussians": _simulator("gaussian_mixtures:eight_gaussians", "eight Gaussians on a circle; exact density"),
    "grid-gaussians": _simulator("gaussian_mixtures:grid_gaussians", "25 narrow Gaussians on a grid; exact density"),
    "pinwheel": _simulator("pinwheel:pinwheel", "five twisted blades; exact density"),
    "checkerboard": _simulator("checkerboard:checkerboard", "uniform on the black squares of a board; exact density"),
    "digits": _simulator("digits:digits", "1797 scanned handwritten digits, 8 x 8, with labels", 1797),
    "gaussian-field": _simulator(
        "gaussian_fields:gaussian_field", "periodic Gaussian fields, 64 x 64; exact power spectrum and density", 2000
    ),
    "cosmic-web": _simulator(
        "cosmic_web:cosmic_web", "maps of projected matter density, 64 x 64, over Omega_m and sigma_8", 4800
    ),
    "cosmic-cubes": _simulator("cosmic_cubes:cosmic_cubes", "cubes of matter density, 32 x 32 x 32", 800),
    "hydrogen": _simulator("hydrogen:hydrogen", "cubes of neutral hydrogen, 32 x 32 x 32, over redshift", 800),
    "cosmic-gas": _simulator(
        "cosmic_gas:cosmic_gas", "maps of gas pressure, 64 x 64, each given with the map of its matter", 2400
    ),
    "field-pairs": _simulator(
        "field_pairs:field_pairs", "pairs of maps, matter and its gas, to judge translations by", 240
    ),
    "field-pairs-a": _simulator("field_pairs:field_pairs_a", "maps of matter, to be translated without pairs", 1200),
    "field-pairs-b": _simulator(
        "field_pairs:field_pairs_b", "maps of gas, of other simulations, to be translated without pairs", 1200
    ),
    "n-body": _simulator("n_body:n_body", "dark matter of a cosmic volume: 32^3 particles at five times", 10),
    "damped-pendulum": _simulator(
        "pendulum:damped_pendulum", "damped pendulums observed at irregular times, with values missing", 1000
    ),
    "light-curve": _simulator("light_curves:light_curve", "light curves of variable stars with seasonal gaps", 1000),
    "dw4": _simulator("double_well:dw4", "four particles in a plane, double-well pairs; exact density"),
    "lj13": _simulator("lennard_jones:lj13", "thirteen Lennard-Jones particles in an oscillator", 10_000),
    "phi4": _simulator("lattice_phi4:phi4", "scalar phi^4 theory on a periodic lattice, 8 x 8", 10_000),
    "ising": _simulator("ising:ising", "spins -1 and 1, 16 x 16, below, at and above the critical temperature", 6000),
    "photon-counts": _simulator(
        "photon_counts:photon_counts", "photon counts of a smooth source, whole numbers, 32 x 32", 4000
    ),
}


def registered() -> dict[str, Simulator]:
    """All built-in sets by name, including those of installed packages."""
    for name in plugins("simulators"):
        if name not in SIMULATORS:
            SIMULATORS[name] = _brought(name)
    return SIMULATORS


def _brought(name: str) -> Simulator:
    """The simulator of an installed package, or the reason why it cannot be used."""
    try:
        loaded = load_plugin("simulators", name)
        if not isinstance(loaded, Simulator):
            raise UsageError(f"{name} of an installed package is not a pushforward Simulator: {loaded!r}")
    except UsageError as problem:
        return Simulator("", f"cannot be used: {problem}", 0, str(problem))
    return loaded
