"""Gain from a second core: steps of four families on maps of the cosmic web, by threads and by processes."""

from __future__ import annotations

from benchmarks.command_line_runs import WAYS, training_cost
from benchmarks.timing import report

MODELS = ("flow-matching", "realnvp", "wgan-gp", "vae")
STEPS = 120


def main() -> None:
    rows = []
    for model in MODELS:
        cost = {
            way: training_cost("cosmic-web", "--model", model, threads=threads, processes=processes, steps=STEPS)[0]
            for way, (threads, processes) in WAYS.items()
        }
        alone = cost["one thread"]
        rows.append(
            {
                "model": model,
                **{f"{way} (ms a step)": 1e3 * seconds for way, seconds in cost.items()},
                "faster by": ", ".join(f"{alone / seconds:.2f}" for seconds in list(cost.values())[1:]),
            }
        )
    report(
        "cores",
        "Training on two cores",
        rows,
        notes=[
            f"`pushforward fit cosmic-web`, defaults, of {STEPS} steps the last five sixths. Without `--devices` a run "
            "is one process with as many threads as there are cores; with `--devices 2` each of two has half a batch.",
            "Batches are made in a thread of their own, beside all of these.",
        ],
    )


if __name__ == "__main__":
    main()
