"""Training from a file that does not fit: how much memory stays resident, and how long the loop waits for data.

Writes 15,000 maps of 256 x 256 in float32 (3.9 GB) and fits a small model to them in a process of its own. Resident
memory is that of the process and its children, ten times a second; waiting is read from the run's own metrics. How many
maps a second one thread reads, augments and brings to network units says how fast a model could be before it waits.

Floors: memory cannot be below what the libraries and the model's activations take, which the same fit to a hundred of
the maps, held in memory, shows; waiting cannot be below zero.

    python -m benchmarks.large_file --budget 90s
"""

from __future__ import annotations

import argparse
import contextlib
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import psutil
import torch

import pushforward as pf
from benchmarks.timing import report
from pushforward.ensembles.batching import Shard, Streamed

MEMBERS, SIDE, CHUNK, BATCH = 15_000, 256, 250, 8

FIT = f"""
import sys
import pushforward as pf
data, out, budget = sys.argv[1:]
maps = pf.read(data, periodic=True, isotropic=True)
pf.fit(maps, "flow-matching", budget=budget, out=out, device="cpu", settings={{"width": 8, "batch_size": {BATCH}}})
"""


def write(path: Path, members: int) -> None:
    """Log-normal maps as a .npy file, written in chunks: each is one of 16 correlated fields, shifted and rescaled."""
    rng = np.random.default_rng(0)
    k = np.hypot(*np.meshgrid(np.fft.fftfreq(SIDE), np.fft.rfftfreq(SIDE), indexing="ij"))
    noise = np.fft.rfft2(rng.normal(size=(16, SIDE, SIDE)))
    fields = np.fft.irfft2(noise * (k + 0.01) ** -1.2, s=(SIDE, SIDE)).astype(np.float32)
    fields -= fields.mean((1, 2), keepdims=True)
    fields /= 2 * fields.std((1, 2), keepdims=True)
    header = {"descr": "<f4", "fortran_order": False, "shape": (members, SIDE, SIDE)}
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for start in range(0, members, CHUNK):
            for _ in range(min(CHUNK, members - start)):
                shifted = np.roll(fields[rng.integers(len(fields))], rng.integers(SIDE, size=2), (0, 1))
                file.write(np.exp(shifted + 0.1 * rng.normal()).astype("<f4").tobytes())


def fit(data: Path, out: Path, budget: str) -> float:
    """Train in a process of its own; its largest resident memory, children included, in bytes."""
    process = subprocess.Popen([sys.executable, "-c", FIT, str(data), str(out), budget])
    watched, peak = psutil.Process(process.pid), 0
    while process.poll() is None:
        with contextlib.suppress(psutil.NoSuchProcess):
            peak = max(peak, sum(each.memory_info().rss for each in [watched, *watched.children(recursive=True)]))
        time.sleep(0.1)
    if process.returncode:
        raise RuntimeError(f"training ended with status {process.returncode}")
    return peak


def course(out: Path) -> tuple[float, float]:
    """Part of the training time that the loop waited for data, and samples per second."""
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    spans = np.diff([0.0, *(line["seconds"] for line in lines)])
    waited, samples = (sum(spans * [line[key] for line in lines]) for key in ("waiting", "samples_per_second"))
    return float(waited / spans.sum()), float(samples / spans.sum())


def deliver(data: Path, steps: int = 100) -> float:
    """Maps a second that one thread makes ready for training, without a model to wait for."""
    torch.set_num_threads(1)
    maps = pf.read(data, periodic=True, isotropic=True).train
    batches = Streamed(maps, pf.Preprocessing.fit(maps), Shard(BATCH), seed=0)
    start = time.perf_counter()
    for step in range(1, steps + 1):
        batches(step)
    return steps * BATCH / (time.perf_counter() - start)


def main(arguments: Sequence[str] = ()) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--folder", type=Path, help="where to put the file; the folder for temporary files unless given"
    )
    parser.add_argument("--members", type=int, default=MEMBERS, help="maps in the large file")
    parser.add_argument("--budget", default="90s", help="training time on the large file")
    parser.add_argument("--keep", action="store_true", help="keep the file and the runs")
    options = parser.parse_args(arguments)
    folder = Path(tempfile.mkdtemp(prefix="large-file-", dir=options.folder))
    try:
        needed, free = 1.1 * options.members * SIDE**2 * 4, shutil.disk_usage(folder).free
        if free < needed:
            raise RuntimeError(f"{folder} has {free / 1e9:.1f} GB free; {needed / 1e9:.1f} GB are needed")
        rows = []
        for name, members, budget in (("few", 100, "30s"), ("many", options.members, options.budget)):
            data = folder / f"{name}.npy"
            write(data, members)
            peak = fit(data, folder / name, budget)
            waiting, rate = course(folder / name)
            rows.append(
                {
                    "maps": members,
                    "file (GB)": data.stat().st_size / 1e9,
                    "peak resident memory (GB)": peak / 1e9,
                    "time waiting for data (%)": 100 * waiting,
                    "trained on (maps/s)": rate,
                    "one thread delivers (maps/s)": deliver(data),
                    "training": budget,
                }
            )
        notes = [
            "Target: less than 2 GB resident with the large file, and no time worth naming spent waiting for data.",
            "Floor: the first row, the same fit to a hundred of the maps in memory.",
            f"Flow matching with a U-Net of width 8 and {BATCH} maps of 256 x 256 a step, on the CPU.",
        ]
        report("large_file", "Training from a file of 3.9 GB", rows, notes=notes)
    finally:
        if options.keep:
            print(f"kept in {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main(sys.argv[1:])
