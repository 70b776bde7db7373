"""Trains toys as a user's script would: alone, under torchrun, or with ``devices``. Called by `test_processes`."""

from __future__ import annotations

import json
import sys

import numpy as np
import toys

from pushforward.ensembles import Ensemble
from pushforward.errors import UsageError
from pushforward.training import fit

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


def main() -> None:
    """Fit every model in the JSON of the first argument, with the options there, into ``out/<model>``."""
    options = json.loads(sys.argv[1])
    out, models = options.pop("out"), options.pop("models")
    for model in models:
        try:
            fit(small_maps(), model, out=f"{out}/{model}", device="cpu", progress=False, **options)
        except UsageError as problem:
            print(f"{type(problem).__name__}: {problem}", file=sys.stderr)
            sys.exit(2)


if __name__ == "__main__":
    main()
