"""Command line: one command per verb, each a few lines over the Python function of the same name.

Heavy modules are imported only when a command needs them, so that ``pushforward --help`` is fast. A `UsageError`
becomes one sentence on standard error and exit status 2.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
import typer.core

from pushforward.cli_inference import infer
from pushforward.cli_judging import compare, judge, validate
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
    configured,
    extra_options,
    given,
    named_source,
    pair_with,
    read_data,
    read_like,
    sampled_at,
    simulator_options,
)
from pushforward.reading_options import READING, reads_data

if TYPE_CHECKING:
    from types import FrameType

    import numpy as np

__all__ = ["app", "main"]


class _Commands(typer.core.TyperGroup):
    """The commands; what an interrupt has to say is printed, and the exit status is that of a shell for Ctrl-C."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as stop:
            print(f"pushforward: {stop}" if str(stop) else "interrupted", file=sys.stderr)
            sys.exit(130)


app = typer.Typer(
    name="pushforward",
    cls=_Commands,
    help="Generative models for physics: train any family on an ensemble, and judge it as a physicist would.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


_KEPT = {"compare": "the models that it had finished are kept, and the same command goes on with the others"}


class Terminated(BaseException):
    """The process was asked to end, and is not training: training saves before it stops."""


def _terminated(number: int, frame: FrameType | None) -> None:
    raise Terminated


def main() -> None:
    """Run the command line; a user error ends in one sentence and exit status 2."""
    here = threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGTERM, _terminated) if here else None
    # A user of the command line has no use for the line of code that a warning comes from.
    warnings.formatwarning = lambda message, *_: f"pushforward: warning: {' '.join(str(message).split())}\n"
    try:
        app(standalone_mode=True)
    except UsageError as error:
        _stop(str(error))
    except Terminated:
        command = next((word for word in sys.argv[1:] if not word.startswith("-")), "pushforward")
        kept = _KEPT.get(command, "what it had not finished is not written")
        print(f"pushforward: {command} was stopped by SIGTERM; {kept}", file=sys.stderr)
        sys.exit(128 + signal.SIGTERM)
    except BrokenPipeError:
        os._exit(0)
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        _stop(f"the operating system refused: {error.strerror or error}{where}")
    finally:
        if here:
            signal.signal(signal.SIGTERM, before if before is not None else signal.SIG_DFL)


def _stop(sentence: str) -> None:
    print(f"pushforward: {' '.join(sentence.split())}", file=sys.stderr)
    sys.exit(2)


@app.command()
@reads_data
def fit(
    data: Data,
    other: Annotated[
        str | None, typer.Option("--and", metavar="DATA", help="Second ensemble, for a model between two.")
    ] = None,
    origin: Annotated[
        str | None, typer.Option("--from", metavar="energy", help="Learn the built-in energy DATA instead of samples.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="Family (see `models`); default flow-matching.")] = None,
    steps: Annotated[int | None, typer.Option(help="Train for this many steps.", min=1)] = None,
    budget: Annotated[str | None, typer.Option(help="Train for this long: 90s, 10m, 1h30m.")] = None,
    assignments: Assignments = None,
    config: Annotated[Path | None, typer.Option(help="YAML file of these options and settings.")] = None,
    out: Annotated[Path | None, typer.Option(help="Run directory; default a new one under runs/.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue the run in --out.")] = False,
    seed: Annotated[int | None, typer.Option(help="Seed of all random numbers.", min=0)] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu, cuda, mps.")] = None,
    devices: Annotated[int | None, typer.Option(help="Number of processes, one per device.", min=1)] = None,
    precision: Annotated[str | None, typer.Option(help="auto, 32, bf16.")] = None,
    tracker: Annotated[str | None, typer.Option(help="Told of the run too: tensorboard, mlflow, wandb.")] = None,
    tracker_options: Annotated[
        list[str] | None,
        typer.Option("--tracker-set", metavar="KEY=VALUE", help="An option of the tracker: project=maps; repeatable."),
    ] = None,
    *,
    reading: dict[str, Any],
) -> None:
    """Train a model on an ensemble; the run directory holds everything needed to repeat and to use it."""
    options = given(
        model=model, steps=steps, budget=budget, out=out, seed=seed, device=device, devices=devices,
        precision=precision, tracker=tracker, tracker_options=assigned(tracker_options, "--tracker-set") or None,
        **reading, **{"and": other, "from": origin},
    )  # fmt: skip
    options, settings = configured(config, options, assigned(assignments))
    if options.get("steps") and options.get("budget"):
        raise UsageError("both --steps and --budget were given; give one of them")

    from pushforward.models import find

    name = options.pop("model", "flow-matching")
    find(name)
    if origin is None:
        check_data(data, built_in())
    if other is not None:
        check_data([other], built_in())
    reading = {k: options.pop(k) for k in READING if k in options}
    other, origin = options.pop("and", None), options.pop("from", None)
    if origin is not None:
        source: Any = named_source(data, origin, reading, other, settings)
    else:
        simulator, settings = simulator_options(data, settings, [name])
        source = read_data(data, **reading, **simulator)
    if other is not None:
        source = pair_with(source, other, reading)

    from pushforward.training import fit as train

    emulator = train(source, name, resume=resume, settings=settings, **options)
    if emulator.run is not None and int(os.environ.get("RANK", os.environ.get("LOCAL_RANK", "0"))) == 0:
        print(f"\n{emulator.run} is trained; to judge it:\n  pushforward validate {emulator.run}")


@app.command()
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


@app.command()
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


app.command()(validate)
app.command()(judge)
app.command()(compare)
app.command()(infer)


@app.command()
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


@app.command()
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


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def simulate(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Built-in simulator (see `datasets`).")],
    count: Annotated[int, typer.Option("-n", "--count", help="Number of members.", min=1)],
    output: Output,
    seed: Seed = 0,
) -> None:
    """Write a built-in ensemble to a file. Options of the simulator follow as --NAME VALUE."""
    from pushforward.ensembles import check_output, write
    from pushforward.simulate import simulate as run

    check_output(output)
    simulated = run(name, count, seed=seed, **extra_options(context.args))
    write(simulated, output)
    print(f"{count} members of {name} in {output}")


@app.command()
def models(
    name: Annotated[str | None, typer.Argument(help="Family whose settings to list.")] = None,
) -> None:
    """List the families, one line each; or the settings of one family, with defaults and meaning."""
    from pushforward.models.registry import find, registered

    if name is not None:
        find(name)
        from pushforward.catalogue import describe_family

        print(describe_family(name))
        return
    for name, entry in registered().items():
        if entry.problem:
            print(f"{name:<18} {entry.summary}")
            continue
        learns = ", ".join((*entry.spaces, *(("field given a field",) if entry.load().takes_field else ())))
        print(f"{name:<18} {entry.summary} [{learns}] {entry.paper}")


@app.command()
def datasets() -> None:
    """List the built-in ensembles, one line each."""
    from pushforward.simulate.registry import registered

    for name, entry in registered().items():
        print(f"{name:<18} {entry.summary}")


@app.callback(invoke_without_command=True)
def _version(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    if version:
        from pushforward import __version__

        print(__version__)
        raise typer.Exit


def _save_column(path: Path, name: str, values: np.ndarray) -> None:
    """Write one column of numbers as .npy or .csv, atomically."""
    import numpy as np

    partial = path.with_name(f".{path.name}.partial{path.suffix}")
    if path.suffix == ".npy":
        np.save(partial, values)
    else:
        np.savetxt(partial, values, header=name, comments="", fmt="%.9g")
    os.replace(partial, path)
