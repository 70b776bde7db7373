"""Search of files, and recognition of their formats by the first bytes and the ending."""

from __future__ import annotations

import glob
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from types import ModuleType

from pushforward.ensembles.formats.contents import Contents
from pushforward.errors import DataError, UsageError
from pushforward.existing import check_exists
from pushforward.plugins import first_line, load_plugin, plugins

__all__ = ["ENDINGS", "find_files", "format_module", "open_file"]

ENDINGS = {
    ".npy": "npy",
    ".npz": "npz",
    ".h5": "hdf5",
    ".hdf5": "hdf5",
    ".hdf": "hdf5",
    ".zarr": "zarr",
    ".fits": "fits",
    ".fit": "fits",
    ".fts": "fits",
    ".fits.gz": "fits",
    ".fits.fz": "fits",
    ".csv": "tables",
    ".txt": "tables",
    ".dat": "tables",
    ".tsv": "tables",
    ".csv.gz": "tables",
    ".txt.gz": "tables",
    ".dat.gz": "tables",
    ".tsv.gz": "tables",
    ".parquet": "tables",
    ".pq": "tables",
    ".xyz": "xyz",
    ".extxyz": "xyz",
    ".png": "images",
    ".jpg": "images",
    ".jpeg": "images",
    ".tif": "images",
    ".tiff": "images",
}
_MAGIC = {
    b"\x93NUMPY": "npy",
    b"PK\x03\x04": "npz",
    b"PK\x05\x06": "npz",
    b"\x89HDF\r\n\x1a\n": "hdf5",
    b"SIMPLE  =": "fits",
    b"PAR1": "tables",
    b"\x89PNG\r\n\x1a\n": "images",
    b"\xff\xd8\xff": "images",
    b"II*\0": "images",
    b"MM\0*": "images",
}
_TEXT = ("tables", "xyz")
_KNOWN = ".npy .npz .h5 .hdf5 .zarr .fits .csv .txt .parquet .xyz .extxyz .png .tif .jpg"


def find_files(data: str | Path | Sequence[str | Path]) -> list[Path]:
    """Files of a path, a glob, a folder or a list of them, sorted by name within each.

    A folder stands for the files of its most frequent format that holds arrays, or else its tables.

    Raises:
        DataError: if there are none.
    """
    if not isinstance(data, str | Path):
        files = [path for each in data for path in find_files(each)]
        if not files:
            raise DataError("an empty list of files was given")
        return files
    if data == "":
        raise DataError("the name of the data is empty; give a file, a glob or a folder")
    path = Path(data).expanduser()
    if path.is_dir():
        return [path] if _format_of_folder(path) else _in_folder(path)
    check_exists(data)
    return [path] if path.exists() else sorted(Path(each) for each in glob.glob(str(path), recursive=True))


def open_file(path: Path, field: str | None = None) -> Contents:
    """Open a file with the reader of its format.

    Raises:
        DataError: if the format is unknown, the file is a pickle, or the reader cannot read it.
    """
    brought = next((ending for ending in plugins("formats") if path.name.lower().endswith(ending)), None)
    if brought is not None:
        return _read_by(brought, path, field)
    told, by_ending = _format_by_content(path), _format_by_ending(path)
    if told is None:
        raise DataError(f"{path.name} has an unknown format; known are {_KNOWN}")
    contents: Contents = format_module(told).open_file(path, field)
    if by_ending is not None and told != by_ending:
        note = f"the content of {path.name} does not match its ending: it is read as {told}"
        contents = replace(contents, notes=(note, *contents.notes))
    return contents


def _read_by(ending: str, path: Path, field: str | None) -> Contents:
    """Open a file with the reader of an installed package."""
    reader = load_plugin("formats", ending)
    try:
        contents = reader(path, field)
    except UsageError:
        raise
    except Exception as problem:
        raise DataError(
            f"{path} cannot be read by the package that reads {ending} files: {first_line(problem)}"
        ) from problem
    if not isinstance(contents, Contents):
        raise DataError(f"the package that reads {ending} files returned {type(contents).__name__}, not Contents")
    return contents


def format_module(name: str) -> ModuleType:
    """The module of a format, imported when it is first needed."""
    return import_module(f"pushforward.ensembles.formats.{name}")


def _format_by_ending(path: Path) -> str | None:
    name = path.name.lower()
    return next((ENDINGS[ending] for ending in sorted(ENDINGS, key=len, reverse=True) if name.endswith(ending)), None)


def _format_by_content(path: Path) -> str | None:
    if path.is_dir():
        return _format_of_folder(path)
    try:
        with path.open("rb") as file:
            start = file.read(2048)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from None
    if not start:
        raise DataError(f"{path.name} is empty")
    by_ending = _format_by_ending(path)
    for magic, name in _MAGIC.items():
        if start.startswith(magic) or (name == "hdf5" and magic in (start[512:520], start[1024:1032])):
            return name
    if start[:2] == b"\x1f\x8b":
        if by_ending not in ("fits", "tables"):
            raise DataError(f"{path.name} is compressed by gzip, which only tables and FITS may be; gunzip it first")
        return by_ending
    if start[0] == 0x80 and start[1] in range(2, 6):
        raise DataError(
            f"{path.name} is a pickle, and pickles are never loaded: they can run any code; "
            "save a plain array with numpy.save"
        )
    if by_ending in _TEXT and b"\0" not in start:
        return by_ending
    if by_ending is not None:
        raise DataError(f"{path.name} is damaged: its content matches neither its ending nor another known format")
    return "tables" if _looks_like_table(start) else None


def _looks_like_table(start: bytes) -> bool:
    try:
        words = start.decode("ascii").replace(",", " ").split()[:-1]
        return bool(words) and all(isinstance(float(word), float) for word in words)
    except (UnicodeDecodeError, ValueError):
        return False


def _format_of_folder(path: Path) -> str | None:
    return "zarr" if any((path / name).exists() for name in (".zarray", ".zgroup", "zarr.json")) else None


def _in_folder(folder: Path) -> list[Path]:
    """Files of one format in a folder; or, if it holds no arrays, in its subfolders."""
    formats = _formats(folder.iterdir())
    arrays = set(formats.values()) - {"tables"}
    if not arrays:
        within = _formats(folder.rglob("*"))
        arrays = set(within.values()) - {"tables"}
        formats = within if arrays or not formats else formats
        arrays = arrays or set(formats.values())
    if not arrays:
        raise DataError(f"the folder {folder} holds no file of a known format ({_KNOWN})")
    if len(arrays) > 1:
        counts = Counter(name for name in formats.values() if name in arrays)
        described = ", ".join(f"{count} {name}" for name, count in counts.items())
        raise DataError(
            f"the folder {folder} holds files of several formats ({described}); give a pattern such as *.npy"
        )
    (wanted,) = arrays
    return [path for path, name in formats.items() if name == wanted]


def _formats(paths: Iterable[Path]) -> dict[Path, str]:
    """Formats of files by their endings; files in Zarr folders are part of these."""
    known = {path: _format_by_ending(path) for path in sorted(paths) if not path.name.startswith(".")}
    return {path: name for path, name in known.items() if name is not None and not _in_zarr(path)}


def _in_zarr(path: Path) -> bool:
    return any(parent.suffix == ".zarr" for parent in path.parents)
