"""Checks that files and runs exist, before heavy imports, so that a typo is reported at once."""

from __future__ import annotations

import glob
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path

from pushforward.errors import DataError, UsageError

__all__ = ["check_beside", "check_data", "check_exists", "check_run"]

_ENDINGS = (".csv", ".txt", ".dat", ".tsv", ".parquet", ".npy", ".npz", ".h5", ".hdf5", ".fits", ".zarr")


def check_exists(data: str | Path) -> None:
    """Raise unless a file or a folder exists, or a pattern matches a file.

    Raises:
        DataError: if it does not.
    """
    path = Path(data).expanduser()
    if path.exists():
        return
    if glob.has_magic(str(data)):
        if not any(glob.iglob(str(path), recursive=True)):
            raise DataError(f"no file matches {str(data)!r}; check the folder and the pattern")
        return
    if not path.parent.is_dir():
        raise DataError(f"there is no file {str(data)!r}, and no folder {str(path.parent)!r}")
    if path.is_symlink():
        raise DataError(f"{str(data)!r} is a link to {str(path.readlink())!r}, which is not there")
    names = [each.name for each in path.parent.iterdir()]
    near = get_close_matches(path.name, names, n=1, cutoff=0.8)
    hint = f"; did you mean {str(path.with_name(near[0]))!r}?" if near else ""
    raise DataError(f"there is no file {str(data)!r}{hint}")


def check_data(data: Sequence[str], built_in: Sequence[str]) -> None:
    """Raise unless the data of a command exist: files, folders, patterns, or the name of a built-in set.

    Raises:
        DataError: if a file is missing.
    """
    for each in data:
        if each in built_in:
            continue
        try:
            check_exists(each)
        except DataError as error:
            near = [] if Path(each).suffix else get_close_matches(each, built_in, n=1)
            if near:
                raise DataError(f"{error}; did you mean the built-in ensemble {near[0]!r}?") from None
            raise


def check_beside(words: Sequence[str]) -> None:
    """Make sure of files beside the data, of conditions or masks: words that end as files do.

    Raises:
        DataError: if there is no such file.
    """
    for each in words:
        if Path(each).suffix.lower() in _ENDINGS:
            check_exists(each)


def check_run(run: Path) -> None:
    """Raise unless the directory of a run exists.

    Raises:
        UsageError: if it does not.
    """
    if not run.is_dir():
        raise UsageError(f"{run} is a file; give the run directory" if run.exists() else f"there is no run at {run}")
