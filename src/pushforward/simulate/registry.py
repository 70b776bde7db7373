"""Names of the built-in sets. Looking at them imports no simulator."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["SIMULATORS", "Entry"]


@dataclass(frozen=True)
class Entry:
    """One simulator: where it lives, one line about it, and how many members a set has unless said otherwise."""

    target: str
    summary: str
    default_count: int


def _entry(target: str, summary: str, default_count: int = 20_000) -> Entry:
    return Entry(f"pushforward.simulate.{target}", summary, default_count)


SIMULATORS: dict[str, Entry] = {
    "two-moons": _entry("curves:two_moons", "two interleaved half circles with Gaussian noise; exact density"),
    "circles": _entry("curves:circles", "two concentric circles with Gaussian noise; exact density"),
    "spirals": _entry("curves:spirals", "two intertwined spirals with Gaussian noise; exact density"),
    "swiss-roll": _entry("curves:swiss_roll", "a spiral sheet seen from the side; exact density"),
    "s-curve": _entry("curves:s_curve", "a sheet bent to an S, seen from the side; exact density"),
    "eight-gaussians": _entry("mixtures:eight_gaussians", "eight Gaussians on a circle; exact density"),
    "grid-gaussians": _entry("mixtures:grid_gaussians", "25 narrow Gaussians on a grid; exact density"),
    "pinwheel": _entry("mixtures:pinwheel", "five curved blades; exact density"),
    "checkerboard": _entry("mixtures:checkerboard", "uniform on the black squares of a board; exact density"),
    "digits": _entry("digits:digits", "1797 scanned handwritten digits, 8 x 8, with labels", 1797),
    "gaussian-field": _entry("gaussian_fields:gaussian_field", "periodic Gaussian fields of a known spectrum", 2000),
    "cosmic-web": _entry(
        "cosmic_web:cosmic_web",
        "maps of projected matter density from Lagrangian perturbation theory, at given Omega_m and sigma_8",
        4800,
    ),
}
