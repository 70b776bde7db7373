"""Tables of text: detection of the separator, the line of names, and the number format."""

from __future__ import annotations

import gzip
import re
from pathlib import Path
from typing import IO

import pandas as pd

from pushforward.errors import DataError

__all__ = ["read_text"]

_DECIMAL_COMMA = re.compile(r"[-+]?\d*,\d+([eE][-+]?\d+)?")
_FORTRAN = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[dD][-+]?\d+")


def read_text(path: Path) -> pd.DataFrame:
    """Table with named columns; columns without a name are called ``0``, ``1``, ...

    Entries are separated by commas, semicolons, tabs or spaces. The names are in the first line, if that contains a
    word, or else in the first comment line (``# a b c``) before it with one word per column. With semicolons as
    separators, numbers may have decimal commas; Fortran exponents (``1.5D+03``) are read. The file may be compressed
    by gzip.

    Raises:
        DataError: if the file has no line with values.
    """
    comments: list[str] = []
    with _opened(path) as file:
        for line in file:
            first = line.strip()
            if first.startswith("#"):
                comments.append(first)
            elif first:
                second = next((each.strip() for each in file if each.strip()), first)
                break
        else:
            raise DataError(f"{path.name} is empty: it has no line with values")
    separator = next((mark for mark in (",", ";", "\t") if mark in first), None)
    words = second.split()
    if separator == "," and len(words) > 1 and all(_DECIMAL_COMMA.fullmatch(word) for word in words):
        separator = None  # numbers with decimal commas between spaces
    if ";" in first and _has_decimal_commas(second):
        separator = ";"
    commas = separator in (";", "\t", None) and _has_decimal_commas(second, separator)
    headed = not all(_is_number(word) for word in _words(first, separator))
    frame = pd.read_csv(
        path,
        sep=separator or r"\s+",
        comment="#",
        header=0 if headed else None,
        skipinitialspace=True,
        encoding="utf-8-sig",
        compression="gzip" if _is_packed(path) else None,
        decimal="," if commas else ".",
    )
    frame.attrs["decimal_commas"] = commas
    if not headed:
        commented = (_words(line.lstrip("#").strip(), separator) for line in comments)
        fitting = (words for words in commented if len(words) == frame.shape[1] and not any(map(_is_number, words)))
        frame.columns = pd.Index(next(fitting, [str(i) for i in range(frame.shape[1])]))
    frame.columns = frame.columns.map(lambda name: str(name).strip())
    for name in frame.columns[[_is_fortran(frame.iloc[:, place]) for place in range(frame.shape[1])]]:
        frame[name] = pd.to_numeric(frame[name].str.replace("[dD]", "e", regex=True))
    return frame


def _is_packed(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == b"\x1f\x8b"


def _opened(path: Path) -> IO[str]:
    if _is_packed(path):
        return gzip.open(path, "rt", encoding="utf-8-sig")
    return path.open(encoding="utf-8-sig")


def _has_decimal_commas(line: str, separator: str | None = ";") -> bool:
    words = [word.strip().strip('"') for word in line.split(separator)]
    return any(_DECIMAL_COMMA.fullmatch(word) for word in words)


def _is_fortran(column: pd.Series) -> bool:
    words = column.dtype == object or pd.api.types.is_string_dtype(column)
    return words and all(isinstance(word, str) and _FORTRAN.fullmatch(word) for word in column)


def _words(line: str, separator: str | None) -> list[str]:
    """Entries of a line. A comment may have spaces where the table has commas, and vice versa."""
    if (separator and separator not in line) or (separator is None and "," in line):
        return line.replace(",", " ").split()
    return [word.strip() for word in line.split(separator)]


def _is_number(word: str) -> bool:
    if _DECIMAL_COMMA.fullmatch(word) or _FORTRAN.fullmatch(word):
        return True
    try:
        float(word)
    except ValueError:
        return word == ""
    return True
