"""CAMELS Multifield Dataset, recognised by its file names.

Files are called ``Maps_{field}_{suite}_{set}_z={z}.npy`` and ``Grids_{field}_{suite}_{set}_{cells}_z={z}.npy``. Fields
are periodic, 25 Mpc/h a side, and 15 maps, or one cube, come from each simulation. The rows of the table
``params_{set}_{suite}.txt`` belong to the simulations in order.

Source: Villaescusa-Navarro et al. 2022, ApJS 259, 61 (arXiv 2109.10915);
https://camels-multifield-dataset.readthedocs.io.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pushforward.ensembles.conditions import Conditions
from pushforward.ensembles.ensemble import Parameter
from pushforward.ensembles.stores import ChannelStore, Joined, Store, in_memory_if_small
from pushforward.errors import DataError
from pushforward.spaces import Field

__all__ = ["RANGES", "Catalogue", "recognise"]

RANGES = {
    "Omega_m": (0.1, 0.5),
    "sigma_8": (0.6, 1.0),
    "A_SN1": (0.25, 4.0),
    "A_AGN1": (0.25, 4.0),
    "A_SN2": (0.5, 2.0),
    "A_AGN2": (0.5, 2.0),
}
"""The six parameters in the order of the tables' columns, and their ranges in the sets LH, CV and 1P."""

_ALIASES = {
    "om": "Omega_m",
    "omegam": "Omega_m",
    "s8": "sigma_8",
    "sigma8": "sigma_8",
    "asn1": "A_SN1",
    "sn1": "A_SN1",
    "aagn1": "A_AGN1",
    "agn1": "A_AGN1",
    "asn2": "A_SN2",
    "sn2": "A_SN2",
    "aagn2": "A_AGN2",
    "agn2": "A_AGN2",
}
_NAME = re.compile(
    r"(?P<kind>Maps|Grids)_(?P<field>[A-Za-z]+)_(?P<suite>(?:Nbody_)?[A-Za-z]+)_(?P<set>[A-Z0-9]+)"
    r"(?:_(?P<cells>\d+))?_z=(?P<z>\d+\.\d+)\.npy"
)
_MAPS_PER_SIMULATION = 15
_BOX = 25.0
_SLACK = 1e-3


@dataclass(frozen=True)
class _File:
    """Parsed name of a file."""

    path: Path
    kind: str
    field: str
    suite: str
    set: str
    z: str

    @property
    def simulations(self) -> tuple[str, str]:
        """Key of the simulations: an N-body suite shares the initial conditions of its hydrodynamic twin."""
        return self.suite.removeprefix("Nbody_"), self.set


@dataclass(frozen=True)
class Catalogue:
    """Files of the dataset that are read together.

    Attributes:
        files: parsed names, in the given order.
    """

    files: tuple[_File, ...]

    @property
    def per_simulation(self) -> int:
        return _MAPS_PER_SIMULATION if self.files[0].kind == "Maps" else 1

    @property
    def geometry(self) -> dict[str, Any]:
        return {"periodic": True, "isotropic": True, "box": _BOX}

    @property
    def fields(self) -> tuple[str, ...]:
        """Physical fields, in the given order."""
        return tuple(dict.fromkeys(file.field for file in self.files))

    @property
    def runs(self) -> dict[tuple[str, str, str], list[int]]:
        """Indices of the files of each suite, set and redshift: the channels of the same members."""
        runs: dict[tuple[str, str, str], list[int]] = {}
        for number, file in enumerate(self.files):
            runs.setdefault((file.suite, file.set, file.z), []).append(number)
        return runs

    @property
    def notes(self) -> tuple[str, ...]:
        kind = "maps, 15 from each simulation" if self.files[0].kind == "Maps" else "cubes, one from each simulation"
        notes = [f"CAMELS Multifield Dataset: {kind}; 25 Mpc/h, periodic, isotropic; split by simulation"]
        if len(self.fields) > 1:
            notes.append(f"fields of the same simulations are channels: {', '.join(self.fields)}")
        if len(self.runs) > 1:
            notes.append(f"members of {len(self.runs)} suites, sets or redshifts are joined")
        return tuple(notes)

    def space(self, shape: tuple[int, ...]) -> Field:
        """Space of the members of a joined source of this shape."""
        axes = 2 if self.files[0].kind == "Maps" else 3
        return Field(len(self.fields), shape[-axes:])

    def joined(self, sources: Sequence[Store], label: str) -> tuple[Store, tuple[int, ...], tuple[Path, ...]]:
        """Join channels, then concatenate suites, sets and redshifts; also the members and first file of each.

        Raises:
            DataError: if a field is missing for some suite, set or redshift, or shapes do not fit.
        """
        axes = 2 if self.files[0].kind == "Maps" else 3
        for file, source in zip(self.files, sources, strict=True):
            shape = source.shape
            if len(shape) != axes + 1 or len(set(shape[1:])) != 1 or shape[0] % self.per_simulation:
                raise DataError(
                    f"{file.path.name} is named like a file of the CAMELS Multifield Dataset, but has shape {shape}; "
                    f"rename it if it is something else"
                )
        parts: list[Store] = []
        for (suite, set_, z), numbers in self.runs.items():
            by_field = {self.files[number].field: sources[number] for number in numbers}
            missing = [field for field in self.fields if field not in by_field]
            if missing:
                raise DataError(f"there is no file of {missing[0]} for {suite} {set_} z={z}, and of others there is")
            channels = [by_field[field] for field in self.fields]
            parts.append(channels[0] if len(channels) == 1 else ChannelStore(channels, f"{suite} {set_} z={z}"))
        source = parts[0] if len(parts) == 1 else Joined(parts, label)
        first = tuple(self.files[numbers[0]].path for numbers in self.runs.values())
        return in_memory_if_small(source), tuple(part.shape[0] for part in parts), first

    def groups(self, counts: Sequence[int]) -> NDArray[np.int64]:
        """Simulation of each member; redshifts, and N-body twins, share theirs."""
        starts: dict[tuple[str, str], int] = {}
        groups = []
        for numbers, count in zip(self.runs.values(), counts, strict=True):
            file = self.files[numbers[0]]
            start = starts.setdefault(file.simulations, 1_000_000 * len(starts))
            groups.append(start + np.arange(count) // self.per_simulation)
        return np.concatenate(groups)

    def conditions(
        self, columns: Mapping[str, NDArray[Any]], counts: Sequence[int], label: str, table: str = ""
    ) -> Conditions:
        """One row per member, from a table with one row per simulation.

        Arguments:
            columns: columns of the table.
            counts: members in each run.
            label: name of the ensemble in messages.
            table: file name of the table.

        Raises:
            DataError: if the number of rows does not fit, or a column is outside the range of its parameter.
        """
        columns, notes = self._named(columns)
        rows = len(next(iter(columns.values())))
        within = [np.arange(count) // self.per_simulation for count in counts]
        simulations = [int(each[-1]) + 1 for each in within]
        if rows == sum(counts):
            order = np.arange(rows)
        elif rows == sum(simulations):
            starts = np.cumsum([0, *simulations[:-1]])
            order = np.concatenate([start + each for start, each in zip(starts, within, strict=True)])
        elif all(simulation == rows for simulation in simulations):
            order = np.concatenate(within)
            notes.append(self._shared_table(table))
        else:
            raise DataError(
                f"there are {rows} rows of conditions, but {label} has {sum(counts)} members of {sum(simulations)} "
                f"simulations; give the table params_{self.files[0].set}_{self.files[0].suite}.txt"
            )
        values = np.stack([np.asarray(column, dtype=np.float64)[order] for column in columns.values()], axis=1)
        parameters = tuple(Parameter(name) for name in columns)
        return Conditions(values.astype(np.float32), parameters, None, tuple(notes))

    def _shared_table(self, table: str) -> str:
        """Note that all runs share one table.

        Raises:
            DataError: if the table is named after one suite and there are others, since each has its own parameters.
        """
        suites = list(dict.fromkeys(file.suite.removeprefix("Nbody_") for file in self.files))
        named = [suite for suite in suites if suite in table]
        if len(suites) > 1 and named:
            raise DataError(
                f"{table} holds the parameters of {named[0]}, but there are maps of {', '.join(suites)}; "
                "give a list of tables, one per suite, in the order of the files"
            )
        return f"the {len(self.runs)} files share one table of conditions"

    def _named(self, columns: Mapping[str, NDArray[Any]]) -> tuple[dict[str, NDArray[Any]], list[str]]:
        """Columns named as in the dataset, with their ranges checked."""
        unnamed = all(name.startswith("condition_") for name in columns)
        if unnamed and len(columns) not in (2, 6):
            return dict(columns), [f"the table has {len(columns)} columns with unknown names"]
        if unnamed:
            named = dict(zip(list(RANGES)[: len(columns)], columns.values(), strict=True))
        else:
            named = {
                _ALIASES.get(re.sub(r"[^a-z0-9]", "", name.lower()), name): column for name, column in columns.items()
            }
            if len(named) != len(columns):
                raise DataError(f"two columns of conditions have the same meaning: {', '.join(columns)}")
        if self.files[0].set in ("LH", "CV", "1P"):
            for number, (name, column) in enumerate(named.items()):
                _check_range(number, name, np.asarray(column, dtype=np.float64), unnamed)
        notes = [f"columns of conditions, in order: {', '.join(named)}" + (" (ranges checked)" if unnamed else "")]
        return named, notes


def recognise(files: Sequence[Path]) -> Catalogue | None:
    """Catalogue of these files, if all of them are named like files of the dataset.

    Raises:
        DataError: if maps and cubes are mixed.
    """
    matches = [_NAME.fullmatch(path.name) for path in files]
    if not all(matches):
        return None
    named = tuple(
        _File(path, match["kind"], match["field"], match["suite"], match["set"], match["z"])
        for path, match in zip(files, matches, strict=True)
        if match
    )
    if len({file.kind for file in named}) > 1:
        raise DataError("maps and cubes (Maps_* and Grids_*) cannot be read as one ensemble; give one pattern for each")
    return Catalogue(named)


def _check_range(number: int, name: str, column: NDArray[np.float64], unnamed: bool) -> None:
    if name not in RANGES or len(column) == 0:
        return
    (low, high), (least, most) = RANGES[name], (float(column.min()), float(column.max()))
    if least < low - _SLACK or most > high + _SLACK:
        order = f"; the order of the columns is {', '.join(RANGES)}" if unnamed else ""
        raise DataError(
            f"column {number} of the conditions runs from {least:g} to {most:g}, but {name} of CAMELS is in "
            f"[{low:g}, {high:g}]{order}; check that no columns are exchanged or mislabelled"
        )
