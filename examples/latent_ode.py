"""Forecasts of pendulums and of variable stars by a latent ODE, with uncertainty bands.

    python examples/latent_ode.py [BUDGET] [FIGURE]

Trains `latent-ode` on both built-in sets for a budget each (4m unless said), or takes the runs of an earlier call from
runs/. Shows of some unseen series the first 60 %, and draws what the model expects in the gaps and afterwards, beside
the truth, which it never saw.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

import pushforward as pf
from pushforward.simulate import simulate
from pushforward.simulate.light_curves import draw_stars, magnitudes
from pushforward.simulate.pendulum import draw_pendulums, swing

FIGURE = Path(__file__).parent.parent / "docs" / "images" / "latent_ode.png"
UNSEEN = 11
SETS = {
    "damped-pendulum": (draw_pendulums, swing, "time [s]", "angle [rad]"),
    "light-curve": (draw_stars, magnitudes, "time [days]", "magnitude [mag]"),
}


def trained(name: str, budget: str) -> pf.Emulator:
    run = Path("runs") / f"example-{name}"
    return pf.Emulator.load(run) if run.exists() else pf.fit(pf.read(name), "latent-ode", budget=budget, out=run)


def main() -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    budget = sys.argv[1] if len(sys.argv) > 1 else "4m"
    path = Path(sys.argv[2]) if len(sys.argv) > 2 else FIGURE
    plt.rcParams.update({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False})
    figure, panels = plt.subplots(2, 3, figsize=(11.5, 5.4), layout="constrained")
    for row, (name, (draw, law, time, value)) in enumerate(SETS.items()):
        emulator = trained(name, budget)
        unseen = simulate(name, 3, seed=UNSEEN)
        constants = draw(np.random.default_rng(UNSEEN), 3)  # of these very series: the first draws of that seed
        end = float(unseen.x[..., 0].max())
        hidden = unseen.x[..., 0] > 0.6 * end
        shown = unseen.x.copy()
        shown[..., 1:][hidden] = np.nan
        # beyond the end of all data, too: an equation of motion does not stop there
        times = np.linspace(float(unseen.x[..., 0].min()), 1.15 * end, 300)
        found = emulator.forecast(shown, times, draws=400)
        truth = law(constants, np.broadcast_to(times, (3, 300)))
        for number, axes in enumerate(panels[row]):
            axes.axvspan(0.6 * end, 1.15 * end, color="#f1f3f5", lw=0)
            axes.fill_between(
                times, found.low[number, :, 0], found.high[number, :, 0], color="#0072b2", alpha=0.25, lw=0,
                label="90 % band",
            )  # fmt: skip
            axes.plot(times, truth[number, :, 0], color="#222222", lw=0.9, ls=(0, (4, 2)), label="truth")
            axes.plot(times, found.mean[number, :, 0], color="#0072b2", lw=1.4, label="mean")
            at, values = unseen.x[number, :, 0], unseen.x[number, :, 1]
            axes.plot(at[~hidden[number]], values[~hidden[number]], "o", color="#222222", ms=3.2, label="shown")
            axes.plot(
                at[hidden[number]], values[hidden[number]], "o", mfc="white", mec="#222222", ms=3.2, mew=0.7,
                label="hidden",
            )  # fmt: skip
            axes.set_xlabel(time)
            if name == "light-curve":
                axes.invert_yaxis()  # bright stars have small magnitudes
        panels[row, 0].set_ylabel(value)
    handles, labels = panels[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(labels), frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130)
    print(path)


if __name__ == "__main__":
    main()
