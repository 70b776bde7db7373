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

from pushforward.ensembles import Ensemble, Preprocessing
from pushforward.spaces import space_to_dict
from pushforward.training.runs import FORMAT

__all__ = ["command", "recipe"]

# Arguments of `read` that are options of the command line, and those that it has no word for.
_FLAGS = ("condition", "crop", "members", "box", "periodic", "isotropic", "field")
_UNSAID = ("seed", "space", "names", "labels")


def recipe(
    *,
    model: str,
    ensemble: Ensemble,
    preprocessing: Preprocessing,
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
        ensemble: all of it; it was trained on ``ensemble.train``.
        settings: of the model and of the loop, all of them.
        given: those that the user has set.
        length: ``{"steps": ...}`` or ``{"budget": seconds}``.
    """
    of_model, of_loop = (each.model_dump(mode="json") for each in settings)
    values = {
        "format": FORMAT,
        "versions": {
            "pushforward": version("pushforward"),
            "python": platform.python_version(),
            "torch": str(torch.__version__),
            "numpy": np.__version__,
        },
        "command": command(model, ensemble, given, length, run, seed),
        "model": model,
        "space": space_to_dict(ensemble.space),
        "parameters": _parameters(ensemble),
        "settings": {"model": of_model, "training": of_loop},
        "preprocessing": preprocessing.to_dict(),
        "data": {
            "name": ensemble.name,
            "spec": ensemble.spec,
            "fingerprint": ensemble.fingerprint,
            "members": len(ensemble),
            "training_members": len(ensemble.train),
            "notes": list(ensemble.notes),
        },
        "seed": seed,
        **length,
        "device": device,
        "devices": devices,
        "precision": precision,
    }
    return json.loads(json.dumps(values, default=lambda number: number.item()))


def _parameters(ensemble: Ensemble) -> list[dict[str, Any]]:
    """Names, classes, and the range that was seen in training."""
    if ensemble.train.conditions is None:
        return []
    low, high = ensemble.train.conditions.min(0).tolist(), ensemble.train.conditions.max(0).tolist()
    return [
        {"name": parameter.name, "classes": list(parameter.classes), "minimum": low[i], "maximum": high[i]}
        for i, parameter in enumerate(ensemble.parameters)
    ]


def command(
    model: str, ensemble: Ensemble, settings: Mapping[str, Any], length: Mapping[str, Any], run: Path, seed: int
) -> str:
    """The line that repeats the run: as it was typed, or what does the same as a call from Python.

    Data that were an array in memory cannot be named in a line; ``ARRAY.npy`` stands for them.
    """
    if Path(sys.argv[0]).name in ("pushforward", "pushforward.exe") and "fit" in sys.argv[1:2]:
        return shlex.join(["pushforward", *(word for word in sys.argv[1:] if word != "--resume")])
    spec = dict(ensemble.spec or {})
    data = spec.pop("data", "ARRAY.npy")
    words = ["pushforward", "fit", *(data if isinstance(data, list | tuple) else [data]), "--model", model]
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
