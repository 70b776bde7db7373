"""Optional statistics by name: of lattices, of showers, of other installed packages."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch

from pushforward import statistics
from pushforward.errors import UsageError
from pushforward.plugins import load_plugin, plugins
from pushforward.spaces import Field, Space, Vector
from pushforward.validation.statistic import Statistic

__all__ = ["BATTERIES", "statistics_named"]


def _susceptibility(x: np.ndarray) -> float:
    """V (<m^2> - <|m|>^2), from columns m and V."""
    m = x[:, 0]
    return float(x[0, 1] * (np.mean(m**2) - np.mean(np.abs(m)) ** 2))


def _binder(x: np.ndarray) -> float:
    """1 - <m^4> / (3 <m^2>^2)."""
    m = x[:, 0]
    return float(1 - np.mean(m**4) / (3 * np.mean(m**2) ** 2)) if (m != 0).any() else float("nan")


def _magnetisation(x: torch.Tensor) -> torch.Tensor:
    m = x.double().flatten(1).mean(1)
    return torch.stack([m, torch.full_like(m, x[0].numel())], 1)


def _of_level(
    name: str,
    label: str,
    quantity: str,
    level: Callable[[np.ndarray], float],
    of: Callable[[torch.Tensor], torch.Tensor],
) -> Statistic:
    """A number of one set, whose difference from that of real samples is judged."""
    return Statistic(
        name,
        label,
        quantity,
        of=of,
        distance=lambda a, b: level(a) - level(b),
        level=level,
        kind="score",
        spaces=(Field,),
    )


LATTICE = (
    _of_level(
        "lattice_magnetisation",
        "Magnetisation",
        "mean of |m|, the magnitude of the mean over sites",
        lambda x: float(np.mean(np.abs(x[:, 0]))),
        _magnetisation,
    ),
    _of_level("lattice_susceptibility", "Susceptibility", "V (<m²> − <|m|>²)", _susceptibility, _magnetisation),
    _of_level("lattice_binder", "Binder cumulant", "1 − <m⁴> / (3 <m²>²)", _binder, _magnetisation),
    _of_level(
        "lattice_energy",
        "Energy of bonds",
        "mean over sites of −s s' summed over bonds",
        lambda x: float(x.mean()),
        lambda x: statistics.lattice_observables(x).energy,
    ),
    Statistic(
        "lattice_correlation",
        "Two-point function",
        "root mean square difference of C(r), relative to C(0)",
        of=lambda x: statistics.two_point_function(x).correlation.flatten(1),
        distance=lambda a, b: (
            100
            * float(
                np.sqrt(np.mean((a.mean(axis=0) - b.mean(axis=0)) ** 2)) / max(abs(float(b.mean(axis=0)[0])), 1e-300)
            )
        ),
        unit="%",
        spaces=(Field,),
    ),
)


def _shower_observable(name: str, layers: Sequence[int] | None = None) -> Callable[[torch.Tensor], torch.Tensor]:
    def of(x: torch.Tensor) -> torch.Tensor:
        value: torch.Tensor = getattr(statistics.shower_observables(x, layers), name)
        return value.reshape(len(value), -1)

    return of


def _quantile_distance(a: np.ndarray, b: np.ndarray) -> float:
    """Wasserstein-1 distance of each column in per cent of its scatter, averaged."""
    at = (np.arange(100) + 0.5) / 100
    difference = np.abs(np.quantile(a, at, axis=0) - np.quantile(b, at, axis=0)).mean(axis=0)
    return 100 * float(np.mean(difference / np.maximum(b.std(axis=0), 1e-9 * np.abs(b).max() + 1e-300)))


def _shower_statistics(layers: Sequence[int] | None = None) -> tuple[Statistic, ...]:
    """Statistics of showers; ``layers`` are the numbers of cells in each layer where samples are rows of cells."""
    return tuple(
        Statistic(
            f"shower_{name}",
            label,
            f"Wasserstein-1 distance of {quantity}, in per cent of their standard deviation",
            of=_shower_observable(name, layers),
            distance=_quantile_distance,
            unit="%",
            spaces=(Field,) if layers is None else (Field, Vector),
        )
        for name, label, quantity in (
            ("total", "Total energy", "the energies of showers"),
            ("layers", "Energy in layers", "the energies in each layer, averaged"),
            ("sparsity", "Sparsity", "the shares of empty cells in each layer, averaged"),
            ("depth", "Depth of showers", "the mean depths of showers"),
            ("width", "Width of showers", "the widths of the profiles of showers"),
        )
    )


def _showers_with_layers(text: str, space: Space) -> tuple[Statistic, ...]:
    """Statistics of showers; ``text`` are the numbers of cells in each layer for rows of cells, such as ``8,16,5``.

    Raises:
        UsageError: if the cells in each layer are missing, or do not sum to the cells of a sample.
    """
    if not text and SHOWERS[0].applies(space):
        return SHOWERS
    sizes = [int(part) if part.strip().isdigit() else 0 for part in text.split(",")] if text else []
    if not text or min(sizes) < 1 or sum(sizes) != space.size:
        given = f"showers:{text} names" if text else "showers does not say"
        raise UsageError(
            f"{given} the cells in each layer, and samples have {space.size} values; give numbers of cells that sum to "
            f"{space.size}, such as showers:{space.size // 2},{space.size - space.size // 2}, or members of shape "
            "(layers, cells)"
        )
    return _shower_statistics(sizes)


SHOWERS = _shower_statistics()

BATTERIES: dict[str, tuple[Statistic, ...]] = {"lattice": LATTICE, "showers": SHOWERS}
"""Optional statistics of a report, by name."""


def statistics_named(wanted: Sequence[Statistic | str], space: Space) -> list[Statistic]:
    """Declared statistics, those of the batteries by name, and those of installed packages.

    Raises:
        UsageError: for an unknown name, or a statistic that is not defined for samples of the space.
    """
    declared: list[Statistic] = []
    for each in wanted:
        if not isinstance(each, str | Statistic):
            raise UsageError(f"a statistic is a {type(each).__name__}; give a Statistic, or the name of a battery")
        if not isinstance(each, str):
            declared.append(each)
        elif each.partition(":")[0] == "showers":
            declared += _showers_with_layers(each.partition(":")[2], space)
        elif each in BATTERIES:
            declared += BATTERIES[each]
        elif each in plugins("statistics"):
            brought = load_plugin("statistics", each)
            listed = brought if isinstance(brought, list | tuple) else [brought]
            if not all(isinstance(one, Statistic) for one in listed):
                raise UsageError(f"{each} of an installed package is not a pushforward Statistic: {brought!r}")
            declared += listed
        else:
            known = ", ".join([*BATTERIES, *plugins("statistics")])
            raise UsageError(f"no statistic is called {each!r}; there are {known}")
    unfit = [each for each in declared if not each.applies(space)]
    if unfit:
        kinds = " or ".join(kind.__name__.lower() for kind in unfit[0].spaces)
        raise UsageError(f"the statistic {unfit[0].name} is defined for {kinds} data, not for {space.kind} data")
    return declared
