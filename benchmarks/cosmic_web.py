"""Maps of the cosmic web: how good an emulator is after so many steps of training.

What `make demo` does, but by steps: the default model, 64 x 64 cells, conditional on Omega_m and sigma_8. How many
steps fit into its four minutes depends on the machine. All runs are limited to one thread and to AVX2, hence in
float32: processors with longer vectors or with bfloat16 take other roundings, and thus give other runs of equal seed.

    python -m benchmarks cosmic_web
    python -m benchmarks.cosmic_web measure 1      # the next run that is missing, without a table
    python -m benchmarks.cosmic_web runs/demo      # a run of one's own beside the table
"""

from __future__ import annotations

import json
import math
import sys
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

import pushforward as pf
from benchmarks.command_line_runs import fit_and_validate, run_of
from benchmarks.former_judgement import former_verdicts
from benchmarks.stored_results import measure_in_turn, measure_once, run_part
from benchmarks.timing import report
from pushforward.ensembles import builtin
from pushforward.validation.floor import match

RUNS = {2500: 3, 1000: 1}
"""Seeds, by steps."""
REAL = 3
"""Sets of other real maps that stand in for samples."""
LIMITS = {"OMP_NUM_THREADS": "1", "ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2"}

STATISTICS = (
    "power_spectrum",
    "one_point_pdf",
    "bispectrum",
    "peaks",
    "power_scatter",
    "power_correlation",
    "coverage",
    "classifier",
)
_KEPT = ("statistic", "label", "unit", "value", "verdict")
JUDGED = ("at the floor", "close", "off")
PAGE = "docs/benchmarks/cosmic_web.md"


def main(seconds: float = math.inf, *, table: bool = True) -> None:
    """Train what is not trained yet, beginning nothing after so many seconds."""
    if measure_in_turn(plan(), lambda run: judged(*run), seconds) and table:
        tabulate()


def plan() -> Iterator[tuple[int, int]]:
    """Steps and seed of every run."""
    return ((steps, seed) for steps, seeds in RUNS.items() for seed in range(seeds))


def judged(steps: int, seed: int) -> dict[str, Any]:
    """The report of a run."""
    options = ("--steps", str(steps), "--seed", str(seed))
    return fit_and_validate(_name(steps, seed), "cosmic-web", *options, environment=LIMITS)


def unmatched(steps: int, seed: int) -> dict[str, Any]:
    """The same without the match of P(k) and values after training (`pushforward.models.matched_flow`)."""
    emulator, conditions = pf.Emulator.load(run_of(_name(steps, seed))), builtin.simulate("cosmic-web").test.conditions
    assert conditions is not None
    return _judged(emulator.sample_at(conditions, seed=0, matched=False))


def real_maps(number: int) -> dict[str, Any]:
    """Training maps at nearly the same conditions in place of samples, in sets without a common map."""
    data = builtin.simulate("cosmic-web")
    rows = np.array_split(np.random.default_rng(0).permutation(len(data.train)), REAL)[number]
    every = np.arange(len(data.test))
    wanted, offered = data.test.condition_rows(every), data.train.condition_rows(rows)
    assert wanted is not None
    assert offered is not None
    _, chosen = match(wanted, offered)
    return _judged(data.train.tensor()[rows[chosen]])


def _judged(samples: Tensor) -> dict[str, Any]:
    data = builtin.simulate("cosmic-web")
    report = pf.judge(samples, data.test, train=data.train, progress=False)
    return {"verdicts": [{name: getattr(each, name) for name in _KEPT} for each in report.verdicts]}


def _name(steps: int, seed: int) -> str:
    return f"cosmic-web-{steps}-{seed}"


def tabulate() -> None:
    found = {steps: [judged(steps, seed) for seed in range(RUNS[steps])] for steps in sorted(RUNS)}
    most = max(found)
    floor = floors(found[most][0])
    apart = [
        measure_once("cosmic_web", f"unmatched {seed}", {"steps": most}, partial(unmatched, most, seed))
        for seed in range(RUNS[most])
    ]
    real = [measure_once("cosmic_web", f"real {n}", {}, partial(real_maps, n)) for n in range(REAL)]
    off = sorted({each["label"] for one in real for each in one["verdicts"] if each["verdict"] == "off"})
    report(
        "cosmic_web",
        "Emulators of the cosmic web by steps",
        [
            *({"steps": steps, **figures(each)} for steps, each in found.items()),
            {"steps": f"{most}, not matched", **figures(apart)},
            {"steps": "other real maps", **figures(real)},
            {"steps": "floor", **floor},
        ],
        notes=[
            "flow-matching with its default settings and batches of 8 maps, judged on the held-out maps; mean over "
            "seeds ± half their range where there are several: "
            + ", ".join(f"{RUNS[steps]} at {steps} steps" for steps in found),
            f"one thread, {', '.join(f'{key}={value}' for key, value in LIMITS.items() if key != 'OMP_NUM_THREADS')}",
            "not matched: without the match of P(k) and values to training maps after the flow, `--set matched=false`",
            f"other real maps: {REAL} sets of training maps at nearly the same conditions in place of samples, mean ± "
            "half their range; off: " + ", ".join(off),
            "the floor is what real maps give against other real maps, with its 95 % range",
        ],
        further={
            f"Each seed at {most} steps": [
                *({"seed": seed, **figures([each])} for seed, each in enumerate(found[most])),
                {"seed": "floor", **floor},
            ]
        },
    )


def figures(judged: list[dict[str, Any]]) -> dict[str, str]:
    """Each statistic, and the number of statistics at the floor, over runs that differ in their seed."""
    verdicts = [{each["statistic"]: each for each in one["verdicts"]} for one in judged]
    found = {_heading(verdicts[0][name]): [each[name]["value"] for each in verdicts] for name in STATISTICS}
    judgeable = sum(each["verdict"] in JUDGED for each in judged[0]["verdicts"])
    found[f"at the floor, of {judgeable}"] = [
        float(sum(each["verdict"] == "at the floor" for each in one["verdicts"])) for one in judged
    ]
    return {name: _over_seeds(values) for name, values in found.items()}


def floors(judged: dict[str, Any]) -> dict[str, str]:
    """The floor of each statistic with its range."""
    verdicts = {each["statistic"]: each for each in judged["verdicts"]}
    return {
        _heading(verdicts[name]): "{floor:.3g} ({floor_low:.3g} to {floor_high:.3g})".format(**verdicts[name])
        for name in STATISTICS
    }


def compare(run: Path) -> None:
    """Print a run beside the table, so that its reader sees what more steps would bring."""
    lines = (run / "metrics.jsonl").read_text().splitlines()
    steps = json.loads(lines[-1])["step"]
    mine = json.loads((run / "report.json").read_text())
    own = figures([mine])
    stored = json.loads(Path(__file__).with_name("results").joinpath("cosmic_web.json").read_text())[-1]["rows"]
    print(f"These are the results of {steps:,} steps. After other numbers of steps ({PAGE}):")
    for row in [{"steps": f"{steps:,} (here)", **own}, *stored]:
        values = "; ".join(f"{name} {row[name]}" for name in list(own)[:5] if name in row)
        print(f"  {row['steps']!s:>17}  {values}")
    for name, counts in [
        ("The judgement", Counter(each["verdict"] for each in mine["verdicts"])),
        ("The former judgement, by ranges of the floor alone", former_verdicts(mine["verdicts"])),
    ]:
        words = [f"{counts[word]} {word}" for word in JUDGED]
        print(f"{name}: of {sum(counts[word] for word in JUDGED)} statistics, {', '.join(words)}.")


def _heading(verdict: dict[str, Any]) -> str:
    return verdict["label"] + (f" ({verdict['unit']})" if verdict["unit"] else "")


def _over_seeds(values: list[float]) -> str:
    if len(values) == 1:
        return f"{values[0]:.3g}"
    return f"{np.mean(values):.3g} ± {np.ptp(values) / 2:.2g}"


if __name__ == "__main__":
    if len(sys.argv) > 1:
        if Path(sys.argv[1]).is_dir():
            compare(Path(sys.argv[1]))
        else:
            run_part(sys.argv[1:], main, tabulate)
    else:
        main()
