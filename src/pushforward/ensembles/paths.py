"""Parameters in the names of folders and files, such as ``kappa_0.25/configs.npy`` and ``ising_T=2.27.npy``."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

__all__ = ["IN_PATHS", "folders_of", "names_of_files", "parameters_in_paths", "tables_beside", "unused_in_paths"]

IN_PATHS = "path"
"""Word that, as a condition, means all parameters in the paths of the files."""
_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_PAIR = re.compile(rf"(?:^|[_,;\s-])([A-Za-z][A-Za-z_]*?)(=|_|-|)({_NUMBER})(?=$|[_,;\s-])")
_LARGEST_TABLE = 2**22


def parameters_in_paths(files: Sequence[Path], *, whole: bool = False) -> dict[str, NDArray[np.float64]]:
    """Named numbers in which the paths of files differ, by name, one per file.

    >>> parameters_in_paths([Path("kappa_0.25/configs.npy"), Path("kappa_0.3/configs.npy")])
    {'kappa': array([0.25, 0.3 ])}

    Arguments:
        files: paths; a name that not all of them contain is ignored.
        whole: also include whole numbers after an underscore (``run_3``), which are usually run numbers.
    """
    found = [_pairs(path) for path in files]
    if not found:
        return {}
    columns = {}
    for name in found[0]:
        if not all(name in each for each in found):
            continue
        stated = any(each[name][0] == "=" or not re.fullmatch(r"[-+]?\d+", each[name][1]) for each in found)
        values = np.array([float(each[name][1]) for each in found])
        if (stated or whole) and len(np.unique(values)) > 1:
            columns[name] = values
    return columns


def folders_of(files: Sequence[Path]) -> list[str]:
    """First folder in which the paths differ, per file; empty if the files share one folder.

    >>> folders_of([Path("sky/spirals/1.png"), Path("sky/rings/1.png")])
    ['spirals', 'rings']
    """
    parts = [path.absolute().parts[:-1] for path in files]
    depth = next((place for place, each in enumerate(zip(*parts, strict=False)) if len(set(each)) > 1), None)
    return [""] * len(files) if depth is None else [each[depth] for each in parts]


def unused_in_paths(files: Sequence[Path]) -> tuple[str, ...]:
    """Note on numbers in folder names, or on the folders, which are conditions only on request."""
    whole = parameters_in_paths([path.parent / "file" for path in files], whole=True)
    if whole:
        return (f"{', '.join(whole)}: whole numbers in the names of folders; --condition path uses them",)
    folders = dict.fromkeys(folders_of(files))
    if 2 <= len(folders) <= max(2, len(files) // 2):
        shown = ", ".join(list(folders)[:4]) + (", ..." if len(folders) > 4 else "")
        return (f"files are in {len(folders)} folders ({shown}); --condition path uses these as a label",)
    return ()


def _pairs(path: Path) -> dict[str, tuple[str, str]]:
    """Separator and number by name, for the named numbers in a path."""
    pairs: dict[str, tuple[str, str]] = {}
    for part in (*path.absolute().parts[1:-1], path.stem):
        for name, between, number in _PAIR.findall(part):
            pairs[name.strip("_")] = (between, number)
    return pairs


def names_of_files(files: Sequence[Path]) -> list[set[str]]:
    """Unambiguous names per file: ends of its path, with and without extension, and of its folder."""
    names: list[set[str]] = []
    for path in files:
        own: set[str] = set()
        for each in (path, path.with_suffix(""), path.parent):
            parts = each.absolute().parts[1:]
            own |= {"/".join(parts[-count:]) for count in range(1, len(parts) + 1)}
        names.append(own)
    counts = Counter(name for own in names for name in own)
    return [{name for name in own if counts[name] == 1} for own in names]


def tables_beside(files: Sequence[Path], count: int) -> list[str]:
    """Notes on tables next to some files with rows that could be conditions of ``count`` members."""
    notes = []
    folders = dict.fromkeys(path.parent for path in files)
    for folder in list(folders)[:4]:
        for path in sorted(folder.iterdir()):
            if path.suffix.lower() not in (".txt", ".csv", ".dat") or path in files:
                continue
            if path.stat().st_size > _LARGEST_TABLE:
                continue
            rows = _rows(path)
            called = re.match(r"(param|label|condition|cosmo)", path.name, re.IGNORECASE) is not None
            # The first line may name the columns.
            rows = count if rows == count + 1 else rows
            if rows > 1 and (rows == count or (called and count % rows == 0)):
                notes.append(f"{path.name} next to the data has {rows} rows: --condition {path} uses it")
    return notes[:3]


def _rows(path: Path) -> int:
    lines = path.read_text(errors="replace").splitlines()
    return sum(bool(line.strip()) and not line.lstrip().startswith("#") for line in lines)
