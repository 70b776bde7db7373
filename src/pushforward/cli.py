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

from pushforward.cli_emulator import evolve, sample, score, translate
from pushforward.cli_inference import infer
from pushforward.cli_judging import compare, judge, validate
from pushforward.errors import UsageError
from pushforward.existing import check_data
from pushforward.options import (
    Assignments,
    Data,
    Output,
    Seed,
    assigned,
    built_in,
    configured,
    extra_options,
    given,
    named_source,
    pair_with,
    read_data,
    simulator_options,
)
from pushforward.reading_options import READING, reads_data

if TYPE_CHECKING:
    from types import FrameType


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


app.command()(sample)
app.command()(score)
app.command()(validate)
app.command()(judge)
app.command()(compare)
app.command()(infer)
app.command()(translate)
app.command()(evolve)


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
