"""Commands that judge: `validate` a run, `judge` samples of any code, `compare` families."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pushforward.errors import DataError, UsageError
from pushforward.existing import check_data, check_run
from pushforward.options import (
    Assignments,
    Data,
    Device,
    Run,
    Seed,
    assigned,
    built_in,
    given,
    pair_with,
    read_data,
    read_like,
    simulator_options,
)
from pushforward.reading_options import reads_data

if TYPE_CHECKING:
    from pushforward.emulator import Emulator
    from pushforward.ensembles import Ensemble, EnsemblePair

__all__ = ["compare", "judge", "validate"]

Further = Annotated[
    list[str] | None, typer.Option(metavar="NAME", help="Additional statistics: lattice, showers, or from a package.")
]
Tolerance = Annotated[
    list[str] | None,
    typer.Option(
        metavar="STATISTIC=SIZE", help="Largest difference that does not matter, such as power_spectrum=2%; repeatable."
    ),
]


@reads_data
def validate(
    run: Run,
    data: Annotated[
        list[str] | None, typer.Argument(help="Data to judge against; default the run's test split.")
    ] = None,
    other: Annotated[
        str | None,
        typer.Option("--and", metavar="DATA", help="Second ensemble to judge a translator against; DATA is the first."),
    ] = None,
    samples: Annotated[int | None, typer.Option(help="Samples to draw for the judgement.", min=2)] = None,
    statistics: Further = None,
    tolerance: Tolerance = None,
    seed: Seed = 0,
    device: Device = "auto",
    *,
    reading: dict[str, Any],
) -> None:
    """Judge a run: every statistic with its floor, on the terminal and in RUN/report.html and RUN/report.json."""
    check_run(run)
    check_data([*(data or []), *([] if other is None else [other])], built_in())
    from pushforward.emulator import Emulator

    emulator = Emulator.load(run, device=device)
    ensemble = _evaluation_data(emulator, data, other, reading)

    from pushforward.validation import validate

    report = validate(
        emulator, ensemble, samples=samples, seed=seed, out=run, statistics=statistics or (),
        tolerances=assigned(tolerance, "--tolerance"), command=shlex.join(["pushforward", *sys.argv[1:]]),
    )  # fmt: skip
    _show(report, run, "report")


@reads_data
def judge(
    samples: Annotated[str, typer.Argument(help="File of samples of any code.")],
    data: Annotated[str, typer.Argument(help="Members that the code has not seen: a file, a glob, a directory.")],
    out: Annotated[Path, typer.Option(help="Directory for report.html and report.json.")],
    train: Annotated[str | None, typer.Option(help="Members that the code was trained on.")] = None,
    statistics: Further = None,
    tolerance: Tolerance = None,
    seed: Seed = 0,
    *,
    reading: dict[str, Any],
) -> None:
    """Judge samples of any code against unseen data, with the page of `validate`. Conditions are those of DATA.

    Samples of conditional data belong to the members of DATA row by row or, if the file of samples holds conditions, to
    those at the nearest conditions.
    """
    check_data([samples, data, *([] if train is None else [train])], built_in())
    from pushforward.validation import judge

    common = {name: value for name, value in reading.items() if name not in ("condition", "crop")}
    made = _with_own_conditions(samples, common, reading)
    unseen = read_data([data], **reading)
    cropped = {**common, **given(crop=reading.get("crop"))}
    trained = None if train is None else _with_own_conditions(train, cropped, reading)
    report = judge(
        made, unseen, train=trained, name=Path(samples).name, out=out, seed=seed, statistics=statistics or (),
        tolerances=assigned(tolerance, "--tolerance"), command=shlex.join(["pushforward", *sys.argv[1:]]),
    )  # fmt: skip
    _show(report, out, "report")


def _with_own_conditions(file: str, options: dict[str, Any], reading: dict[str, Any]) -> Ensemble:
    """Members of a file, with its own conditions where those of DATA are columns or datasets that it has, too."""
    names = reading.get("condition") or []
    own = {"condition": names} if names and _has_conditions(file, names) else {}
    return read_data([file], **options, **own)


def _has_conditions(file: str, names: list[str]) -> bool:
    """Whether a file, folder or glob has all of these conditions, as columns, datasets or in the names of its files."""
    from pushforward.ensembles.formats import find_files, open_file
    from pushforward.ensembles.paths import IN_PATHS
    from pushforward.ensembles.reading import listed

    if any(Path(name).exists() or any(letter in name for letter in "*?[") for name in names):
        return False
    try:
        contents = [open_file(path) for path in find_files(file)]
    except DataError:
        return False  # a built-in set, or a file of which the reader says what is wrong
    columns = [column for name in names if name != IN_PATHS for column in listed(name)]
    if IN_PATHS in names and len(contents) == 1:
        return False  # parameters in paths are those in which several files differ
    return all(each.column(column) is not None for each in contents for column in columns)


@reads_data
def compare(
    data: Data,
    models: Annotated[str, typer.Option(help="Families to compare, separated by commas.")],
    out: Annotated[Path, typer.Option(help="Directory of the comparison.")],
    other: Annotated[
        str | None, typer.Option("--and", metavar="DATA", help="Second ensemble, for models between two.")
    ] = None,
    budget: Annotated[str, typer.Option(help="Training time per family: 90s, 10m.")] = "5m",
    assignments: Assignments = None,
    samples: Annotated[int | None, typer.Option(help="Samples to draw per family.", min=2)] = None,
    seed: Seed = 0,
    device: Device = "auto",
    precision: Annotated[str, typer.Option(help="auto, 32, bf16.")] = "auto",
    *,
    reading: dict[str, Any],
) -> None:
    """Train several families on the same data for the same time, and judge them by the same statistics."""
    from pushforward.models import find

    names = [name.strip() for name in models.split(",") if name.strip()]
    if not names:
        raise UsageError("--models is empty; give families separated by commas, such as ddpm,flow-matching")
    for name in names:
        find(name)
    check_data([*data, *([] if other is None else [other])], built_in())
    simulator, settings = simulator_options(data, assigned(assignments), names)
    ensemble = read_data(data, **reading, **simulator)
    source = ensemble if other is None else pair_with(ensemble, other, reading)

    from pushforward.validation import compare

    comparison = compare(
        source, names, budget=budget, out=out, samples=samples, seed=seed, settings=settings, device=device,
        precision=precision,
    )  # fmt: skip
    _show(comparison, out, "compare")
    if not comparison.ranking:
        raise UsageError("no model could be judged; the table says why")


def _evaluation_data(
    emulator: Emulator, data: list[str] | None, other: str | None, reading: dict[str, Any]
) -> Ensemble | EnsemblePair | None:
    """The ensembles named on the command line; of a translator, those not named are read again from its training data.

    Raises:
        UsageError: if a second ensemble is given to a run that learned from one.
    """
    first = read_like(emulator.space, data, reading, emulator.config.get("data")) if data else None
    if "translator" not in emulator.abilities:
        if other is not None:
            raise UsageError(f"{emulator.name} learned from one ensemble; leave --and out")
        return first
    from pushforward.validation.translation import completed_pair
    from pushforward.validation.true_pairs_report import are_true_pairs

    if other is None and (first is None or are_true_pairs(emulator, first)):
        return first
    of_b = emulator.preprocessing.towards("b")[1].space
    return completed_pair(emulator, first, None if other is None else read_like(of_b, [other], reading))


def _show(report: Any, out: Path, name: str) -> None:
    """Print the table, as wide as the terminal or as `print` shows it, and the path of the page."""
    from rich.console import Console

    if sys.stdout.isatty():
        Console().print(report.table())
    else:
        print(report)
    print(f"\n{out / f'{name}.html'}\n{out / f'{name}.json'}")
