"""The configuration of a run: all that is needed to repeat it, as plain values."""

from __future__ import annotations

import json
import platform
import shlex
import sys
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import BaseModel

from pushforward.ensembles.source import Source
from pushforward.runs.directory import FORMAT
from pushforward.spaces import space_to_dict

__all__ = ["command", "recipe"]

# Arguments of `read` that are options of the command line, and those that it has no word for.
_FLAGS = ("condition", "crop", "members", "box", "periodic", "isotropic", "field")
_UNSAID = ("seed", "space", "names", "labels")


def recipe(
    *,
    model: str,
    source: Source,
    preprocessing: Any,
    settings: tuple[BaseModel, BaseModel],
    given: Mapping[str, Any],
    length: Mapping[str, Any],
    run: Path,
    seed: int,
    device: str,
    devices: int,
    precision: str,
) -> dict[str, Any]:
    """The contents of ``config.yaml``: numbers, texts, lists and mappings, as they will be when read again.

    Arguments:
        source: what is learnt from.
        settings: of the model and of the loop, all of them.
        given: those that the user has set.
        length: ``{"steps": ...}`` or ``{"budget": seconds}``.
    """
    data = source.to_dict()
    of_model, of_loop = (each.model_dump(mode="json") for each in settings)
    values = {
        "format": FORMAT,
        "versions": {
            "pushforward": version("pushforward"),
            "python": platform.python_version(),
            "torch": str(torch.__version__),
            "numpy": np.__version__,
        },
        "command": command(model, data, given, length, run, seed),
        "model": model,
        "space": space_to_dict(source.space),
        "parameters": data.pop("parameters", []),
        "settings": {"model": of_model, "training": of_loop},
        "preprocessing": preprocessing.to_dict(),
        "data": data,
        "seed": seed,
        **length,
        "device": device,
        "devices": devices,
        "precision": precision,
    }
    return json.loads(json.dumps(values, default=lambda number: number.item()))


def command(
    model: str, record: Mapping[str, Any], settings: Mapping[str, Any], length: Mapping[str, Any], run: Path, seed: int
) -> str:
    """The line that repeats the run: as it was typed, or what does the same as a call from Python.

    Data that were an array in memory cannot be named in a line; ``ARRAY.npy`` stands for them.

    Arguments:
        record: of the source (`Source.to_dict`).
    """
    if Path(sys.argv[0]).name in ("pushforward", "pushforward.exe") and "fit" in sys.argv[1:2]:
        return shlex.join(["pushforward", *(word for word in sys.argv[1:] if word != "--resume")])
    spec = dict(record.get("a", record)["spec"] or {})
    other = dict(record["b"]["spec"] or {}) if "b" in record else None
    data = spec.pop("data", "ARRAY.npy")
    words = ["pushforward", "fit", *(data if isinstance(data, list | tuple) else [data]), "--model", model]
    if other is not None:
        words += ["--and", other.get("data", "ARRAY_B.npy")]
    if record["kind"] == "energy":
        words += ["--from", "energy"]
    for name in _FLAGS:
        if spec.get(name) is not None:
            values = spec[name] if name == "condition" and isinstance(spec[name], list | tuple) else [spec[name]]
            words += [word for value in values for word in _flag(name, value)]
    for name, value in {**length, "seed": seed, "out": run}.items():
        words += _flag(name, value)
    simulator = {name: value for name, value in spec.items() if name not in (*_FLAGS, *_UNSAID)}
    for name, value in {**simulator, **settings}.items():
        text = ",".join(map(str, value)) if isinstance(value, list | tuple) else value
        words += ["--set", f"{name}={text}"]
    return shlex.join(map(str, words))


def _flag(name: str, value: Any) -> list[str]:
    """An option in the words of the command line."""
    if name == "condition" and value is False:
        return ["--condition", "none"]
    if isinstance(value, bool):
        return [f"--{name}" if value else f"--no-{name}"]
    return [f"--{name}", str(value)]
