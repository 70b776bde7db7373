"""The run directory: its location, whether it can be written to, and whether it matches the requested run.

``config.yaml``             everything needed to repeat the run
``model.safetensors``       averaged weights, preprocessing, conditions seen in training: what `Emulator.load` reads
``checkpoint.safetensors``  everything needed to continue: raw and averaged weights, optimisers, step
``metrics.jsonl``           the training curves
``report.html``, ``.json``  written by `validate`
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pushforward.errors import TrainingError, UsageError
from pushforward.runs.files import PARTIAL, load_yaml

__all__ = [
    "CHECKPOINT",
    "CONFIG",
    "FORMAT",
    "METRICS",
    "WEIGHTS",
    "check_directory",
    "check_format",
    "check_same",
    "check_space_left",
    "fresh_directory",
    "locked",
    "open_directory",
]

FORMAT = 8
"""Layout version of the run directory, increased with every incompatible change."""

CONFIG, WEIGHTS, CHECKPOINT, METRICS = "config.yaml", "model.safetensors", "checkpoint.safetensors", "metrics.jsonl"
LOCK = ".lock"
"""Locked by the process that trains; it says nothing once that process has ended, however it ended."""


def fresh_directory(data: str, model: str, under: str | Path = "runs") -> Path:
    """A path that does not exist yet: ``runs/<data>-<model>``, or the same with a suffix ``-2``, ``-3``, ..."""
    stem = re.sub(r"\.(npy|npz|h5|hdf5|fits|csv|parquet|zarr|txt)$", "", Path(data).name, flags=re.IGNORECASE)
    stem = re.sub(r"[^\w.+=-]+", "-", stem).strip("-.") or "data"
    base = Path(under) / f"{stem}-{model}"
    count, path = 1, base
    while path.exists():
        count += 1
        path = base.with_name(f"{base.name}-{count}")
    return path


def open_directory(path: Path, *, resume: bool) -> dict[str, Any] | None:
    """Prepare a run directory for writing; the configuration of the run in it, or None if it is empty.

    Raises:
        UsageError: as `check_directory`, or if it cannot be written to.
    """
    check_directory(path, resume=resume)
    _probe(path)
    return load_yaml(path / CONFIG) if (path / CONFIG).exists() else None


def check_directory(path: Path, *, resume: bool) -> None:
    """Check the contents of a run directory without changing anything.

    Raises:
        UsageError: if it holds a run without a request to resume it, other files, or weights without the checkpoint
            needed to resume.
    """
    found = _contents(path)
    if CONFIG in found:
        if not resume:
            raise UsageError(f"{path} already holds a run; resume it (--resume, resume=True) or name another directory")
        if WEIGHTS in found and CHECKPOINT not in found:
            raise UsageError(
                f"the run in {path} cannot go on: {CHECKPOINT} is missing; restore it, or train in another directory"
            )
    elif found:
        raise UsageError(f"{path} holds {found[0]!r} but no run; name a new or empty directory")


def _contents(path: Path) -> list[str]:
    """Names in a directory, without partial files of killed processes."""
    if path.exists() and not path.is_dir():
        raise UsageError(f"{path} is a file; a run needs a directory")
    try:
        names = [p.name for p in path.iterdir()] if path.exists() else []
    except OSError as problem:
        raise UsageError(f"{path} cannot be read: {problem.strerror}") from None
    return sorted(name for name in names if not name.endswith(PARTIAL) and name != LOCK)


def _probe(path: Path) -> None:
    """Create the directory, remove partial files of killed processes, and check that a file can be written."""
    probe = path / f".probe.{os.getpid()}{PARTIAL}"
    try:
        path.mkdir(parents=True, exist_ok=True)
        for partial in path.glob(f".*{PARTIAL}"):
            partial.unlink(missing_ok=True)
        probe.write_bytes(b"x" * 65536)
        probe.unlink()
    except OSError as problem:
        probe.unlink(missing_ok=True)
        raise UsageError(f"the run directory {path} cannot be written to: {problem.strerror}") from None


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Within this context no other process may train in a run directory, which is made if it is not there.

    The lock ends with the process that holds it, however that ends.

    Raises:
        UsageError: if another process trains there, or the directory cannot be written to.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        file = (path / LOCK).open("a")
    except OSError as problem:
        raise UsageError(f"the run directory {path} cannot be written to: {problem.strerror}") from None
    try:
        import fcntl
    except ImportError:  # no such locks on this system
        fcntl = None  # type: ignore[assignment]
    with file:
        try:
            if fcntl is not None:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError(
                f"the run in {path} is being trained by another process; wait for it, or name another directory"
            ) from None
        except OSError:  # some network file systems know no locks
            pass
        try:
            yield
        finally:
            (path / LOCK).unlink(missing_ok=True)


_MAPPINGS = (
    "settings", "settings.model", "settings.training", "preprocessing", "data", "data.spec", "data.a", "data.a.spec",
    "data.b", "data.b.spec",
)  # fmt: skip
"""Parts of a configuration that are mappings, if they are present."""


def check_format(path: Path, config: Mapping[str, Any]) -> None:
    """Reject a run of another layout, or with a damaged configuration.

    Raises:
        UsageError: if the layout is missing or differs from `FORMAT`, or a part is of another type.
    """
    found = config.get("format")
    if found == FORMAT:
        for place in _MAPPINGS:
            part: Any = config
            for name in place.split("."):
                part = part.get(name) or {}
            if not isinstance(part, Mapping):
                raise UsageError(f"{path / CONFIG} cannot be used: {place} is {part!r:.40}; restore it from a copy")
        return
    if found is None:
        raise UsageError(f"{path / CONFIG} cannot be used: it has no format, so it is not the configuration of a run")
    if isinstance(found, int) and found > FORMAT:
        raise UsageError(f"the run in {path} was written by a newer pushforward; install that to read it")
    raise UsageError(
        f"the run in {path} has layout {found} of an earlier pushforward, but this one reads layout {FORMAT}: train"
        " it again with the command in its config.yaml, or install the version named there"
    )


def check_same(path: Path, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Refuse to resume a run that differs from the requested one.

    Raises:
        UsageError: if it has another layout.
        TrainingError: naming the first difference in model, data, seed, or a setting that changes the weights.
    """
    check_format(path, before)
    for what in ("model", "seed", "precision"):
        if before.get(what) != now[what]:
            raise TrainingError(
                f"{path} holds a run with {what} {before.get(what)}, not {now[what]}; resume it with the same {what}"
                " or name another directory"
            )
    if (before.get("data") or {}).get("fingerprint") != now["data"]["fingerprint"]:
        raise TrainingError(
            f"{path} holds a run on other data ({(before.get('data') or {}).get('name')}, not {now['data']['name']}, or"
            " the file has changed); resume it with the same data or name another directory"
        )
    if before.get("space") != now["space"]:
        raise TrainingError(f"{path} holds a run on another space: {before.get('space')}, not {now['space']}")
    teachers = [((each.get("data") or {}).get("teacher") or {}).get("weights") for each in (before, now)]
    if teachers[0] != teachers[1]:
        raise TrainingError(
            f"{path} holds a run with another teacher, or the teacher has changed since; resume it with the same"
            " teacher or name another directory"
        )
    for part, settings in now["settings"].items():
        earlier = (before.get("settings") or {}).get(part) or {}
        for name in [n for n in {**settings, **earlier} if n not in ("checkpoint_every", "log_every")]:
            if earlier.get(name) != settings.get(name):
                raise TrainingError(
                    f"{path} holds a run with {name}={earlier.get(name)}, not {settings.get(name)}; resume it with the"
                    " same settings or name another directory"
                )


def check_space_left(path: Path, size: int) -> None:
    """Check that checkpoints fit on the disk: weights, their average and two moments, twice while one is replaced.

    Arguments:
        path: directory of the checkpoints.
        size: of the weights, bytes.

    Raises:
        UsageError: if the disk is too full.
    """
    needed, free = 10 * size + 2**20, shutil.disk_usage(path).free
    if free < needed:
        raise UsageError(
            f"the disk of {path} is full: checkpoints need {needed / 1e6:.0f} MB and {free / 1e6:.0f} MB are free"
        )
