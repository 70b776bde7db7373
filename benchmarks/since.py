"""Processor time of public actions in this tree beside an earlier commit.

    python -m benchmarks.since COMMIT [--only maps/vae]

Every measured action is a call that both trees have: batches of a large .npy, training steps, samples, densities and
`validate` of several families, on vectors and on maps. Each tree runs in a process of its own with one thread, and
the two take turns, A B B A ..., in several pairs of processes, since the layout of a process in memory alone moves its
times by a few per cent. Times are of the processor, and of each process the shortest, so that what else runs on the
machine counts little. A ratio is the median over pairs; its error is the standard error of the median.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.timing import report

ROOT = Path(__file__).resolve().parent.parent
LIMIT = 1.03

FAMILIES = {
    "two-moons": ("ddpm", "flow-matching", "pfgm++", "vae", "wgan-gp", "realnvp", "cnf"),
    "maps": ("ddpm", "flow-matching", "pfgm++", "vae", "wgan-gp"),
}
CASES: list[tuple[str, ...]] = [(), *((data, family) for data, families in FAMILIES.items() for family in families)]
"""Families on data; the empty case is the batches of a large file."""
VALIDATED = ("flow-matching", "realnvp")
STEPS = {"two-moons": 30, "maps": 4}
SAMPLES = {"two-moons": 2048, "maps": 32}
FEW_STEPS = {"ddpm", "flow-matching", "pfgm++"}
"""Families whose samples take many calls of a network; their samples of maps are drawn in ten steps."""
DENSITIES = {"realnvp": 20_000, "cnf": 512, "flow-matching": 64}
"""Points at which the densities of vectors are evaluated, by family."""
MEMBERS, SIDE, BATCHES = 1200, 256, 20
"""Size of the large .npy, 315 MB, above the limit up to which files are held in memory; batches in one measurement."""
LARGE = (f".npy, {MEMBERS} maps of {SIDE} x {SIDE}", "")
SHORTEST, LONG = 0.1, 2.0
"""Seconds: shorter actions are repeated within a measurement, longer ones are measured once in a process."""


def write_maps(path: Path, members: int, side: int) -> None:
    """Log-normal maps with a steep spectrum, of one seed."""
    rng = np.random.default_rng(0)
    k = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None])
    fields = np.fft.irfft2(np.fft.rfft2(rng.normal(size=(16, side, side))) * (k + 0.01) ** -1.2, s=(side, side))
    fields *= 0.5 / fields.std((1, 2), keepdims=True)
    maps = np.lib.format.open_memmap(path, "w+", "float32", (members, side, side))
    for row in maps:
        shifted = np.roll(fields[rng.integers(16)], rng.integers(side, size=2), (0, 1))
        row[:] = np.exp(shifted + 0.1 * rng.normal())


class Case:
    """A family trained on data, and the actions that are timed."""

    def __init__(self, data: str, family: str, folder: Path, run: Path) -> None:
        import pushforward as pf

        self.data, self.family, self.run = data, family, run
        self.read: Any = data if data != "maps" else pf.read(folder / "maps.npy", periodic=True, isotropic=True)
        self.emulator = self._fit(20 if data != "maps" else 4)
        x = self.emulator.sample(max(DENSITIES.values()), seed=1) if family in DENSITIES and data != "maps" else None
        steps = {"steps": 10} if data == "maps" and family in FEW_STEPS else {}
        self.actions: dict[str, Callable[[], object]] = {
            "steps": self._fit,
            "sample": lambda: self.emulator.sample(SAMPLES[data], seed=0, **steps),
        }
        if x is not None:
            self.actions["log_prob"] = lambda: self.emulator.log_prob(x[: DENSITIES[family]])
        if family in VALIDATED:
            self.actions["validate"] = lambda: pf.validate(self.emulator, samples=256, progress=False)

    def _fit(self, steps: int = 0) -> Any:
        import pushforward as pf

        with tempfile.TemporaryDirectory(dir=self.run) as out:
            count = steps or STEPS[self.data]
            return pf.fit(self.read, self.family, steps=count, out=out, device="cpu", precision="32", progress=False)


class Stream:
    """Batches of a large file, in network units."""

    def __init__(self, folder: Path) -> None:
        import pushforward as pf

        maps = pf.read(folder / "large.npy", periodic=True, isotropic=True).train
        preprocessing = pf.Preprocessing.fit(maps)
        try:
            from pushforward.ensembles.batching import Shard, Streamed
        except ImportError:  # the earlier commit may have these classes under their former names
            batches = import_module("pushforward.training.batches")
            Streamed, Shard = batches.Members, batches.Part
        source = Streamed(maps, preprocessing, Shard(8), seed=0)
        self.actions: dict[str, Callable[[], object]] = {"batches": lambda: [source(n + 1) for n in range(BATCHES)]}


class Worker:
    """A process that imports the package of one tree and times actions on request."""

    def __init__(self, tree: Path, case: Sequence[str], folder: Path) -> None:
        environment = os.environ | {"PYTHONPATH": f"{tree / 'src'}:{ROOT}", "OMP_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.since", "--worker", str(tree), str(folder), *case],
            env=environment,
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.actions: list[str] = self._answer()

    def seconds(self, action: str, calls: int) -> float:
        """Processor time per call of an action."""
        assert self.process.stdin is not None
        print(json.dumps([action, calls]), file=self.process.stdin, flush=True)
        return self._answer()

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()

    def _answer(self) -> Any:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"the process of {self.process.args} ended with status {self.process.wait()}")
        return json.loads(line)


def serve(tree: Path, folder: Path, case: Sequence[str]) -> None:
    """Answer the requests of `Worker` on standard input."""
    import pushforward as pf

    if not Path(pf.__file__).is_relative_to(tree):
        raise RuntimeError(f"{pf.__file__} was imported, not the package of {tree}")
    with tempfile.TemporaryDirectory() as run:
        actions = (Case(*case, folder, Path(run)) if case else Stream(folder)).actions
        print(json.dumps(list(actions)), flush=True)
        for line in sys.stdin:
            action, calls = json.loads(line)
            start = time.process_time()
            for _ in range(calls):
                actions[action]()
            print(json.dumps((time.process_time() - start) / calls), flush=True)


@contextmanager
def workers(trees: Sequence[Path], case: Sequence[str], folder: Path) -> Iterator[list[Worker]]:
    with ExitStack() as stack:
        made = [Worker(tree, case, folder) for tree in trees]
        for each in made:
            stack.callback(each.close)
        yield made


def compare(case: Sequence[str], old: Path, folder: Path, pairs: int, turns: int) -> list[dict[str, object]]:
    """A row per action of a case."""
    shortest: dict[str, list[tuple[float, float]]] = {}
    for pair in range(pairs):
        # The process that starts first has the warmer caches of files.
        trees = (old, ROOT) if pair % 2 else (ROOT, old)
        with workers(trees, case, folder) as both:
            for action in both[0].actions:
                first = max(each.seconds(action, 1) for each in both)
                seconds: list[list[float]] = [[], []]
                for turn in range(turns if first < LONG else 1):
                    for number in (0, 1) if turn % 2 else (1, 0):
                        seconds[number].append(both[number].seconds(action, max(1, round(SHORTEST / first))))
                before, now = (min(seconds[trees.index(tree)]) for tree in (old, ROOT))
                shortest.setdefault(action, []).append((before, now))
    return [row(case, action, np.array(times)) for action, times in shortest.items()]


def row(case: Sequence[str], action: str, times: np.ndarray) -> dict[str, object]:
    """A row of the table, from the times before and now of each pair of processes, shape (pairs, 2)."""
    ratios = times[:, 1] / times[:, 0]
    error = np.std(ratios, ddof=1) * np.sqrt(np.pi / 2 / len(ratios)) if len(ratios) > 1 else np.nan
    before, now = 1e3 * np.median(times, 0)
    data, model = case or LARGE
    line = {"data": data, "model": model, "action": action, "before (ms)": float(before), "now (ms)": float(now)}
    line["now / before"] = f"{np.median(ratios):.3f} ± {error:.3f}"
    print(*line.values(), sep="  ", flush=True)
    return line


def called(case: Sequence[str]) -> str:
    """Name of a case on the command line."""
    return "/".join(case) or "batches"


def kept() -> list[dict[str, object]]:
    """Rows of the latest page."""
    path = ROOT / "benchmarks" / "results" / "since.json"
    return json.loads(path.read_text())[-1]["rows"] if path.exists() else []


@contextmanager
def tree_of(commit: str) -> Iterator[Path]:
    """A worktree of a commit, removed afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "tree"
        git = ["git", "-C", str(ROOT), "worktree"]
        subprocess.run([*git, "add", "--detach", str(tree), commit], check=True, capture_output=True)
        try:
            yield tree
        finally:
            subprocess.run([*git, "remove", "--force", str(tree)], check=True)


def main(arguments: Sequence[str] = ()) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("commit", nargs="?", default="14a9062", help="the earlier state")
    parser.add_argument("--pairs", type=int, default=3, help="pairs of processes")
    parser.add_argument("--turns", type=int, default=3, help="measurements of each action in each process")
    parser.add_argument("--only", default="", help="measure cases named like maps/ddpm again, keep the page's others")
    parser.add_argument("--worker", nargs="*", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.worker:
        tree, folder, *case = options.worker
        return serve(Path(tree), Path(folder), case)
    cases = [case for case in CASES if options.only in called(case)]
    with tree_of(options.commit) as old, tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_maps(folder / "maps.npy", 200, 32)
        if () in cases:
            write_maps(folder / "large.npy", MEMBERS, SIDE)
        rows = [row for case in cases for row in compare(case, old, folder, options.pairs, options.turns)]
    measured = {(row["data"], row["model"], row["action"]): row for row in [*(kept() if options.only else []), *rows]}
    missing = [called(case) for case in CASES if not any((case or LARGE) == key[:2] for key in measured)]
    report(
        "since",
        f"Processor time since commit {options.commit}",
        list(measured.values()),
        notes=[
            f"Target: no ratio above {LIMIT}.",
            f"Processor time on one thread, the shortest of at least {options.turns} measurements in a process (one of "
            f"actions above {LONG:g} s); medians over {options.pairs} pairs of processes.",
            f"steps: `fit` of {STEPS['two-moons']} steps ({STEPS['maps']} on maps), beginning and end included; "
            f"sample: {SAMPLES['two-moons']} vectors, or {SAMPLES['maps']} maps of 32 x 32; "
            f"batches: {BATCHES} of 8 maps, read, augmented and in network units.",
            *([f"Not measured yet: {', '.join(missing)}."] if missing else []),
        ],
    )
    return None


if __name__ == "__main__":
    main(sys.argv[1:])
