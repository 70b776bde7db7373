"""Bits per dimension of handwritten digits: 8 x 8 cells of 17 grey levels, as scikit-learn carries them.

The 1797 digits are split by the package's own rule (seed 0) into training, validation and test members. Every family is
trained without labels for each of several numbers of steps, the validation members choose among these, and the test
members score the choice once. `autoregressive` has exact probabilities. Flows see grey levels spread over their cells,
so that the figure is a bound from above, the mean density over 8 places in the cell, weighted if these are drawn from
a learned density ("variational"); for the VAE it is the importance-weighted bound of 256 codes. A baseline: the entropy
of each cell by itself (with one count added).

    python -m benchmarks digits_bits
    python -m benchmarks.digits_bits glow          # this alone, without a table
"""

from __future__ import annotations

import math
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

import pushforward as pf
from benchmarks.flow_peers import count
from benchmarks.stored_results import measure_once
from benchmarks.timing import report
from pushforward.ensembles import builtin

STEPS = (150, 300, 600)
LEVELS, CELLS = 17, 64
FAMILIES: dict[str, dict[str, Any]] = {
    "autoregressive": {"width": 64, "depth": 3},
    "glow": {"couplings": 4, "width": 48},
    "tarflow": {"width": 64, "depth": 2, "transforms": 4},
    "nsf": {"width": 48},
    "realnvp": {"width": 48},
    "vae": {"width": 48},
    "nsf, variational": {"width": 48, "dequantisation": "variational"},
    "glow, variational": {"couplings": 4, "width": 48, "dequantisation": "variational"},
}


def main() -> None:
    rows: list[dict[str, Any]] = [{"family": "cells by themselves", "test bits per dimension": f"{independent():.3f}"}]
    for family, settings in FAMILIES.items():
        runs = [cell(family, steps) for steps in STEPS]
        best = min(runs, key=lambda run: run["validation"])
        rows.append(
            {
                "family": family,
                "test bits per dimension": f"{best['test']:.3f} ± {best['error']:.3f}",
                "validation": f"{best['validation']:.3f}",
                "training": f"{best['train']:.3f}",
                "steps": best["steps"],
                "parameters": best["parameters"],
                "what it is": "exact" if family == "autoregressive" else "bound",
                "settings": ", ".join(f"{key}={value}" for key, value in settings.items()),
            }
        )
    columns = list(rows[1])
    rows = [{column: row.get(column, "") for column in columns} for row in rows]
    parts = splits()
    notes = [
        "digits 8 x 8 with 17 grey levels, " + ", ".join(f"{len(part)} {name}" for name, part in parts.items()),
        "bits per dimension: -log2 P / 64, mean over members with its standard error",
        f"trained for {', '.join(map(str, STEPS))} steps each; the validation members choose",
    ]
    report("digits_bits", "Handwritten digits in bits per dimension", rows, notes=notes)


def splits() -> dict[str, Any]:
    data = builtin.simulate("digits", labels=False)
    return {"training": data.train, "validation": data.validation, "test": data.test}


def independent() -> float:
    """Bits per dimension of a product of each cell's own distribution."""
    parts = splits()
    train, test = (parts[name].tensor().numpy().reshape(-1, CELLS).astype(int) for name in ("training", "test"))
    counts = np.stack([np.bincount(train[:, cell], minlength=LEVELS) for cell in range(CELLS)]) + 1.0
    logs = np.log2(counts / counts.sum(1, keepdims=True))
    return -float(logs[np.arange(CELLS), test].mean())


def cell(family: str, steps: int) -> dict[str, Any]:
    settings = FAMILIES[family]
    return measure_once(
        "digits_bits", f"{family}, {steps}", {"settings": settings}, lambda: measured(family, steps, settings)
    )


def measured(family: str, steps: int, settings: dict[str, Any]) -> dict[str, Any]:
    parts = splits()
    with tempfile.TemporaryDirectory() as folder:
        emulator = pf.fit(
            builtin.simulate("digits", labels=False), family.partition(",")[0], steps=steps, settings=settings,
            out=Path(folder) / "run", device="cpu", progress=False, seed=0,
        )  # fmt: skip
    bits = {}
    for name, part in parts.items():
        x = part.tensor()[:400]
        log_prob = emulator.log_prob(x) if "density" in emulator.abilities else emulator.log_prob_bound(x, 256, seed=0)
        bits[name] = -log_prob.double().numpy() / (CELLS * math.log(2))
    test = bits["test"]
    return {
        "steps": steps,
        "parameters": count(emulator.model),
        "train": float(bits["training"].mean()),
        "validation": float(bits["validation"].mean()),
        "test": float(test.mean()),
        "error": float(test.std(ddof=1) / np.sqrt(len(test))),
    }


torch.set_num_threads(1)
if __name__ == "__main__":
    for wanted in sys.argv[1:]:
        for number in STEPS:
            cell(wanted, number)
