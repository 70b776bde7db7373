"""Tables: .csv, .txt and .parquet, one row a member and one coordinate a numeric column."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from pushforward.ensembles.formats.contents import Contents
from pushforward.ensembles.stores import InMemory
from pushforward.errors import DataError

__all__ = ["open_file", "read_frame"]


def open_file(path: Path, field: str | None = None) -> Contents:
    """The numeric columns of a table; ``field`` names some of them, separated by commas.

    Raises:
        DataError: if the file cannot be read or has no numeric column.
    """
    frame = read_frame(path)
    wanted = [name.strip() for name in field.split(",")] if field else list(frame.columns)
    missing = [name for name in wanted if name not in frame.columns]
    if missing:
        raise DataError(f"{path.name} has no column {missing[0]!r}; it has {', '.join(map(str, frame.columns))}")
    numeric = [name for name in wanted if pd.api.types.is_numeric_dtype(frame[name])]
    if not numeric:
        raise DataError(f"{path.name} has no numeric column; it has {', '.join(map(str, wanted))}")
    left = [str(name) for name in wanted if name not in numeric]
    values = frame[numeric].to_numpy(dtype=np.float64, na_value=np.nan)
    return Contents(
        InMemory(values, path.name),
        names=tuple(str(name) for name in numeric),
        column=lambda name: {name: frame[name].to_numpy()} if name in frame.columns else None,
        kind="vector",
        one_member=False,
        left_out={name: name for name in left},
        how=f"{path.name}: columns of words are left out: {{}}; --condition takes one as a label",
    )


def read_frame(path: Path) -> pd.DataFrame:
    """A table with named columns; columns without a name are called ``0``, ``1``, ...

    A text table is separated by commas, semicolons, tabs or spaces. Its names are the first line, if that holds a word
    that is no number, or else a comment line (``# a b c``) before it with one word for each column.

    Raises:
        DataError: if the file is empty or is no table.
    """
    try:
        if path.suffix.lower() in (".parquet", ".pq"):
            return pd.read_parquet(path)
        return _read_text(path)
    except DataError:
        raise
    except (ValueError, OSError, UnicodeDecodeError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise DataError(f"{path.name} cannot be read as a table: {reason}") from None


def _read_text(path: Path) -> pd.DataFrame:
    comments: list[str] = []
    with path.open(encoding="utf-8-sig") as file:
        for line in file:
            first = line.strip()
            if first.startswith("#"):
                comments.append(first)
            elif first:
                break
        else:
            raise DataError(f"{path.name} is empty: it has no line with values")
    separator = next((mark for mark in (",", ";", "\t") if mark in first), None)
    headed = not all(_is_number(word) for word in _words(first, separator))
    frame = pd.read_csv(
        path,
        sep=separator or r"\s+",
        comment="#",
        header=0 if headed else None,
        skipinitialspace=True,
        encoding="utf-8-sig",
    )
    if not headed:
        commented = (_words(line.lstrip("#").strip(), separator) for line in reversed(comments))
        fitting = (words for words in commented if len(words) == frame.shape[1] and not any(map(_is_number, words)))
        frame.columns = pd.Index(next(fitting, [str(i) for i in range(frame.shape[1])]))
    frame.columns = frame.columns.map(lambda name: str(name).strip())
    return frame


def _words(line: str, separator: str | None) -> list[str]:
    """The entries of a line. A comment may have spaces where the table has commas, and the other way round."""
    if (separator and separator not in line) or (separator is None and "," in line):
        return line.replace(",", " ").split()
    return [word.strip() for word in line.split(separator)]


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return word == ""
    return True
