"""The command `infer`: the posterior of parameters given an observation."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from pushforward.errors import UsageError
from pushforward.existing import check_data, check_run
from pushforward.options import Device, Output, Run, priors, read_like, sampled_at
from pushforward.reading_options import reads_data

__all__ = ["infer"]


@reads_data
def infer(
    run: Run,
    observation: Annotated[str, typer.Argument(help="What was observed: a sample, or one row of conditions.")],
    output: Output,
    count: Annotated[int, typer.Option("-n", "--count", help="Posterior samples to draw.", min=1)] = 4000,
    prior: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=LOW:HIGH|NAME=MEAN+-SD", help="Prior of a parameter; repeatable."),
    ] = None,
    of: Annotated[
        str | None, typer.Option(metavar="samples|conditions", help="What to infer, where the model could do either.")
    ] = None,
    tempered: Annotated[
        bool,
        typer.Option("--tempered", help="Take the likelihood to the power that the run's validation members ask for."),
    ] = False,
    seed: Annotated[
        int | None, typer.Option(help="Seed of every random number; a fresh one by default.", min=0)
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(metavar="FIGURE", help="File of a corner figure to write: .png, .pdf or .svg.")
    ] = None,
    device: Device = "auto",
    *,
    reading: dict[str, Any],
) -> None:
    """Sample the posterior of parameters given an observation."""
    check_run(run)
    check_data([observation], ())
    from pushforward.emulator import Emulator
    from pushforward.ensembles import check_output, write
    from pushforward.inference import infer, inferred
    from pushforward.inference.observations import plain_array
    from pushforward.simulate import Simulated
    from pushforward.spaces import Vector
    from pushforward.validation.gather import home_ensemble
    from pushforward.validation.progress import progress_bar

    check_output(output)
    if plot is not None:
        check_output(plot, (".png", ".pdf", ".svg"))
    chosen, emulator = priors(prior), Emulator.load(run, device=device)
    observed: Any = observation
    if inferred(emulator, of) == "conditions":
        array = None if reading else plain_array(observation)
        record = emulator.config.get("data")
        observed = read_like(emulator.space, [observation], reading, record).tensor() if array is None else array
    elif emulator.condition_space.field is not None:
        observed, _ = sampled_at([observation])
    home = home_ensemble(emulator) if tempered else None
    if tempered and home is None:
        raise UsageError("the data of this run are not in a file, so their validation members cannot be read again")
    with progress_bar(sys.stderr.isatty()) as watch:
        posterior = infer(
            emulator, observed, count, prior=chosen, of=of, tempered=home, seed=seed,
            watch=lambda share: watch("sampling the posterior", share),
        )  # fmt: skip
    write(Simulated(posterior.samples.numpy(), Vector(len(posterior.names), posterior.names)), output)
    print(f"{posterior}\n{count} posterior samples in {output}, of seed {posterior.seed}")
    if plot is not None:
        posterior.plot().savefig(plot, dpi=160)
        print(f"corner figure in {plot}")
