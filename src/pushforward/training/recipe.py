"""Configuration of a run: everything needed to repeat it, as plain values."""

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

# Arguments of `read` with a command-line option of the same name, and those without any.
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
    """Contents of ``config.yaml``: numbers, strings, lists and mappings, exactly as they will be read.

    Arguments:
        source: source of the training data.
        settings: all settings of the model and of the loop.
        given: settings given by the user.
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
    """Command line that repeats the run: as typed, or equivalent to the call from Python.

    ``ARRAY.npy`` stands for data that were an array in memory.

    Arguments:
        record: the source as plain values (`Source.to_dict`).
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
    """An option as words of the command line."""
    if name == "condition" and value is False:
        return ["--condition", "none"]
    if isinstance(value, bool):
        return [f"--{name}" if value else f"--no-{name}"]
    return [f"--{name}", str(value)]
