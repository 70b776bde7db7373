"""Trains toys as a user's script would: alone, under torchrun, or with ``devices``. Used by `test_processes`."""

from __future__ import annotations

import json
import os
import sys

import numpy as np
import torch
import toys

from pushforward.ensembles import Ensemble, EnsemblePair, read
from pushforward.errors import UsageError
from pushforward.training import Interrupted, fit

toys.register()


def small_maps() -> Ensemble:
    """Periodic maps whose mean is their condition."""
    rng = np.random.default_rng(1)
    level = rng.uniform(1, 2, size=(60, 1)).astype(np.float32)
    return Ensemble.from_array(
        rng.normal(size=(60, 8, 8)) * 0.1 + level[:, :, None],
        conditions=level,
        names=["level"],
        periodic=True,
        isotropic=True,
        name="maps",
    )


# Plans are made among four members, so that they are the same however the batch is shared out.
BETWEEN = {"width": 4, "depth": 1, "pairs": 4, "batch_size": 16}


def cropped_pair() -> EnsemblePair:
    """Two ensembles of larger maps, of which members are cut at random places."""
    rng = np.random.default_rng(2)
    fields = (rng.normal(size=(4, 64, 48)).astype(np.float32) + mean for mean in (0, 1))
    return EnsemblePair(*(read(each, crop=8, space="field") for each in fields))


def train(out: str, models: list[str], **options) -> None:
    """Fit every model into ``out/<model>``; an error or an interruption ends the process with status 2."""
    for model in models:
        try:
            own = {**options, "settings": {**options["settings"], **BETWEEN}} if model == "between" else options
            data = cropped_pair() if model == "between" else small_maps()
            fit(data, model, out=f"{out}/{model}", device="cpu", progress=False, **own)
        except (UsageError, Interrupted) as problem:
            print(f"{type(problem).__name__}: {problem}", file=sys.stderr)
            sys.exit(2)


def forked(errors: str, options: dict) -> None:
    """Train as if this file had been started as a script, with standard error written to a file."""
    os.dup2(os.open(errors, os.O_WRONLY | os.O_CREAT), 2)
    os.environ["OMP_NUM_THREADS"] = "1"
    torch.set_num_threads(1)
    # Processes that are spawned from here import the script of their parent, which makes the toys known to them.
    script = sys.modules["__main__"]
    script.__spec__, script.__file__ = None, __file__
    train(**options)


if __name__ == "__main__":
    train(**json.loads(sys.argv[1]))
