"""Cache of expensive simulations in the user's cache folder.

The folder is ``$XDG_CACHE_HOME/pushforward``, by default ``~/.cache/pushforward``. It may be deleted at any time; if it
cannot be written, nothing is cached and nothing fails.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["cache_folder", "cached"]

# Faster computations are repeated rather than cached.
_WORTH_KEEPING_SECONDS = 2.0


def cache_folder() -> Path:
    """Folder of cached simulations."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pushforward"


def cached(
    name: str,
    options: dict[str, Any],
    compute: Callable[[], NDArray[np.float32]],
    *,
    worth: float = _WORTH_KEEPING_SECONDS,
) -> NDArray[np.float32]:
    """The array from ``compute``, read from the cache if present.

    Arguments:
        name: of the simulator.
        options: all options that the array depends on, as JSON values; include a ``version``, increased when the
            simulator changes.
        compute: called if the cache has no usable file.
        worth: seconds below which the result is not cached.
    """
    key = hashlib.sha256(json.dumps(options, sort_keys=True).encode()).hexdigest()[:20]
    try:
        path = cache_folder() / f"{name}-{key}.npy"
        # A truncated or foreign file counts as absent.
        with contextlib.suppress(OSError, ValueError, EOFError):
            return np.load(path, allow_pickle=False)
    except RuntimeError:  # no home folder can be found
        return compute()
    start = time.perf_counter()
    result = compute()
    if time.perf_counter() - start >= worth:
        with contextlib.suppress(OSError):
            _save(path, result)
    return result


def _save(path: Path, array: NDArray[np.float32]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=".npy")
    try:
        with os.fdopen(handle, "wb") as file:
            np.save(file, array)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
