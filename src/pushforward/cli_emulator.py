"""Commands that use a trained model: `sample`, `score`, `translate`, `evolve`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pushforward.errors import UsageError
from pushforward.existing import check_data, check_run
from pushforward.options import (
    Assignments,
    Data,
    Device,
    Output,
    Run,
    Seed,
    assigned,
    built_in,
    read_data,
    read_like,
    sampled_at,
)
from pushforward.reading_options import reads_data

if TYPE_CHECKING:
    import numpy as np

__all__ = ["evolve", "sample", "score", "translate"]


def sample(
    run: Run,
    output: Output,
    count: Annotated[int | None, typer.Option("-n", "--count", help="Samples to draw.", min=1)] = None,
    condition: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE|FILE", help="Value of a parameter, or file of condition fields; repeatable."),
    ] = None,
    assignments: Assignments = None,
    seed: Annotated[int | None, typer.Option(help="Seed of all random numbers; default a new one.", min=0)] = None,
    device: Device = "auto",
) -> None:
    """Draw samples from a run, in the units of the data."""
    check_run(run)
    from pushforward import __version__
    from pushforward.emulator import Emulator
    from pushforward.ensembles import check_output, write
    from pushforward.simulate import Simulated

    check_output(output)
    emulator = Emulator.load(run, device=device)
    chosen, fields = sampled_at(condition)
    count = count or fields
    if count is None:
        raise UsageError("the number of samples is missing: give -n COUNT")
    samples, rows = emulator.sample_with_conditions(count, chosen or None, seed=seed, **assigned(assignments))
    names = tuple(parameter.name for parameter in emulator.parameters)
    classes = {parameter.name: parameter.classes for parameter in emulator.parameters if parameter.classes}
    origin = {"model": emulator.name, "seed": emulator.seed, "version": f"pushforward {__version__}"}
    data = emulator.config.get("data") or {}
    units, box_unit = tuple(data.get("units") or ()), str(data.get("box_unit") or "")
    write(
        Simulated(
            samples.numpy(),
            emulator.space,
            conditions=rows,
            names=names,
            classes=classes,
            units=units,
            box_unit=box_unit,
            origin=origin,
        ),
        output,
    )
    print(f"{count} samples of {emulator.name} in {output}, of seed {emulator.seed}")


@reads_data
def score(
    run: Run,
    data: Data,
    output: Output,
    device: Device = "auto",
    *,
    reading: dict[str, Any],
) -> None:
    """Write the log-density of every member, or a bound from below of models that have one, in nats."""
    check_run(run)
    check_data(data, built_in())
    import numpy as np

    from pushforward.emulator import Emulator
    from pushforward.ensembles import check_output

    check_output(output, endings=(".npy", ".csv"))
    emulator = Emulator.load(run, device=device)
    bounded = "bounded" in emulator.abilities
    emulator.require("bounded" if bounded else "density")
    ensemble = read_like(emulator.space, data, reading, emulator.config.get("data"))
    x, given = ensemble.take_given(np.arange(len(ensemble)))
    found = emulator.log_prob_bound(x, condition=given) if bounded else emulator.log_prob(x, given)
    log_prob, what = found.double().numpy(), "bound of the " * bounded + "log-density"
    _save_column(output, "log_prob_bound" if bounded else "log_prob", log_prob)
    finite = log_prob[np.isfinite(log_prob)]
    mean = finite.mean() if len(finite) else float("nan")
    error = finite.std(ddof=1) / np.sqrt(len(finite)) if len(finite) > 1 else float("nan")
    none = len(log_prob) - len(finite)
    others = f"; {none} have none, with values missing or that no sample can take" * (none > 0)
    print(f"mean {what} {mean:.4f} +- {error:.4f} nats over {len(finite)} members, in {output}{others}")


def translate(
    run: Run,
    file: Annotated[str, typer.Argument(help="Samples of the other ensemble.")],
    to: Annotated[str, typer.Option(help="Target ensemble, a or b.")],
    output: Output,
    assignments: Assignments = None,
    seed: Seed = 0,
    device: Device = "auto",
) -> None:
    """Translate samples between two ensembles, with a model trained on both."""
    check_run(run)
    from pushforward.emulator import Emulator
    from pushforward.ensembles import check_output, write
    from pushforward.simulate import Simulated

    if to not in ("a", "b"):
        raise UsageError(f"--to must be a or b, one of the two ensembles of the run, not {to!r}")
    check_output(output)
    emulator = Emulator.load(run, device=device)
    emulator.require("translator")
    start, goal = (each.space for each in emulator.preprocessing.towards(to))
    members = read_like(start, [file], {}).tensor()
    translated = emulator.translate(members, to, seed=seed, **assigned(assignments))
    write(Simulated(translated.numpy(), goal), output)
    print(f"{len(translated)} samples translated to {to}, in {output}")


def evolve(
    run: Run,
    initial: Annotated[str, typer.Argument(help="Trajectories whose first states are the initial states (.h5).")],
    output: Output,
    times: Annotated[
        str | None, typer.Option(help="Output times, separated by commas; default those of the run.")
    ] = None,
    uncorrected: Annotated[bool, typer.Option("--uncorrected", help="Omit the learnt correction.")] = False,
    device: Device = "auto",
) -> None:
    """Evolve initial states in time, with a model trained on trajectories."""
    check_run(run)
    import numpy as np

    from pushforward.emulator import Emulator
    from pushforward.ensembles import check_output, write
    from pushforward.evolution import evolved_space
    from pushforward.simulate import Simulated

    check_output(output, endings=(".h5", ".hdf5"))
    emulator = Emulator.load(run, device=device)
    emulator.require("evolver")
    states = read_data([initial])
    space = evolved_space(states.space, emulator.space, times)
    rows = states.condition_rows(np.arange(len(states)))
    moved = emulator.evolve(
        states.tensor()[:, 0], space.times, rows if emulator.parameters else None,
        physics="uncorrected" if uncorrected else "corrected",
    )  # fmt: skip
    names = tuple(parameter.name for parameter in states.parameters)
    write(Simulated(moved.numpy(), space, conditions=rows, names=names), output)
    print(f"{len(moved)} evolved from {space.times[0]:g} to {space.times[-1]:g}, in {output}")


def _save_column(path: Path, name: str, values: np.ndarray) -> None:
    """Write one column of numbers as .npy or .csv, atomically."""
    import numpy as np

    partial = path.with_name(f".{path.name}.partial{path.suffix}")
    if path.suffix == ".npy":
        np.save(partial, values)
    else:
        np.savetxt(partial, values, header=name, comments="", fmt="%.9g")
    os.replace(partial, path)
