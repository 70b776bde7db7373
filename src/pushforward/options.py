"""Conversion of command-line words and configuration files to options and settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pushforward.errors import UsageError
from pushforward.reading_options import READING

if TYPE_CHECKING:
    from pushforward.ensembles import EnergySource, Ensemble, EnsemblePair
    from pushforward.spaces import Space

__all__ = [
    "Assignments",
    "Data",
    "Device",
    "Output",
    "Run",
    "Seed",
    "assigned",
    "built_in",
    "configured",
    "extra_options",
    "given",
    "like",
    "named_source",
    "options_of_b",
    "pair_with",
    "priors",
    "read_data",
    "read_like",
    "sampled_at",
    "simulator_options",
]

Data = Annotated[list[str], typer.Argument(help="A file, a glob, a directory, or a built-in name (see `datasets`).")]
Run = Annotated[Path, typer.Argument(help="Directory of a trained run.")]
Output = Annotated[Path, typer.Option("-o", "--output", help="File to write.")]
Seed = Annotated[int, typer.Option(help="Seed of all random numbers.", min=0)]
Assignments = Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="A setting; repeatable.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, mps.")]


def built_in() -> tuple[str, ...]:
    """Names of the built-in sets."""
    from pushforward.simulate.registry import registered

    return tuple(registered())


def like(space: Space, data: Sequence[str], reading: dict[str, Any]) -> dict[str, Any]:
    """Reading options for data given to a run: by default, members are of the kind of its samples."""
    from pushforward.spaces import space_to_dict

    if "space" in reading or "crop" in reading or any(each in built_in() for each in data):
        return reading
    kind = "timed-series" if getattr(space, "timed", False) else space_to_dict(space)["kind"]
    return {"space": kind, **reading}


def read_like(
    space: Space, data: list[str], reading: dict[str, Any], record: Mapping[str, Any] | None = None
) -> Ensemble:
    """The ensemble that a run is asked about: its columns are those of the run's samples, by name.

    Arguments:
        record: of the run's training data (``config["data"]``), whose treatment of missing values is that of these.

    Raises:
        UsageError: if it lacks one of them.
    """
    reading = _with_learnt_gaps(space, data, reading, record or {})
    wanted = getattr(space, "names", ())
    if not wanted or "columns" in reading or "field" in reading or any(each in built_in() for each in data):
        return read_data(data, **like(space, data, reading))
    # The other columns of a file may have gaps of their own.
    plain = {name: value for name, value in reading.items() if name not in ("missing", "mask")}
    ensemble = read_data(data, **like(space, data, plain), missing="keep")
    found = getattr(ensemble.space, "names", ())
    if wanted == found or not found:
        return read_data(data, **like(space, data, reading))
    absent = [name for name in wanted if name not in found]
    if absent:
        raise UsageError(
            f"{ensemble.name} has no column {absent[0]!r}, and the run learnt {', '.join(wanted)}; --columns names the "
            "columns to take for these, in order"
        )
    return read_data(data, **like(space, data, reading), columns=",".join(wanted))


def _with_learnt_gaps(
    space: Space, data: list[str], reading: dict[str, Any], record: Mapping[str, Any]
) -> dict[str, Any]:
    """Reading options with the treatment of missing values of a run; ``drop`` and ``keep`` override it."""
    asked, learnt = reading.get("missing"), record.get("missing")
    if asked in ("drop", "keep") or space.kind == "series" or any(each in built_in() for each in data):
        return reading
    if learnt is None and (asked is None or (record.get("spec") or {}).get("missing")):
        return reading
    return {**reading, "missing": learnt or {"missing": asked}}


def given(**options: Any) -> dict[str, Any]:
    """Options that were given, without those left out (None)."""
    return {name: value for name, value in options.items() if value is not None}


def _one_or_all(words: Any) -> Any:
    """A repeatable option, usually given once; the word ``none`` leaves out the conditions in the data."""
    if not isinstance(words, list):
        return words
    if words == ["none"]:
        return False
    return words[0] if len(words) == 1 else words or None


def read_data(data: list[str], **reading: Any) -> Ensemble:
    """Read the ensemble named on the command line."""
    from pushforward.ensembles import read

    reading = {**reading, **given(condition=_one_or_all(reading.pop("condition", None)))}
    return read(data[0] if len(data) == 1 else data, **reading)


def sampled_at(conditions: list[str] | None) -> tuple[dict[str, Any], int | None]:
    """Conditions from NAME=VALUE words, and fields from files as ``"field"``; and the number of fields."""
    words = conditions or []
    files = [word for word in words if Path(word).exists() or ("=" not in word and Path(word).suffix)]
    chosen = assigned([word for word in words if word not in files], option="--condition")
    if not files:
        return chosen, None
    from pushforward.ensembles.condition_sources import read_fields

    fields = read_fields(files)
    return {**chosen, "field": fields}, len(fields)


def priors(words: list[str] | None) -> dict[str, str]:
    """``["a=0:1", "b=3+-0.5"]`` as ``{"a": "0:1", "b": "3+-0.5"}``."""
    texts = {}
    for word in words or []:
        name, equals, text = word.partition("=")
        if not equals or not name.strip() or not text.strip():
            raise UsageError(f"--prior takes NAME=LOW:HIGH or NAME=MEAN+-DEVIATION, not {word!r}")
        texts[name.strip()] = text.strip()
    return texts


def assigned(pairs: list[str] | None, option: str = "--set") -> dict[str, Any]:
    """``["a=1", "b=x"]`` as ``{"a": 1, "b": "x"}``; values are read as YAML scalars and lists."""
    import yaml

    assigned: dict[str, Any] = {}
    for pair in pairs or []:
        key, equals, value = pair.partition("=")
        if not equals or not key.strip() or not value.strip():
            raise UsageError(f"{option} needs NAME=VALUE, not {pair!r}")
        if key.strip() in assigned:
            raise UsageError(f"{option} gives {key.strip()} twice; leave one of them out")
        try:
            assigned[key.strip()] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise UsageError(f"{option} {pair!r} has a value that cannot be read: {error}") from error
    return assigned


def configured(
    path: Path | None, options: dict[str, Any], settings: dict[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Options and settings of the command line, completed by those of a configuration file."""
    if path is None:
        return options, settings
    import yaml

    try:
        stored = yaml.safe_load(path.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UsageError(f"the configuration file {path} cannot be read: {error}") from error
    if not isinstance(stored, dict):
        raise UsageError(f"the configuration file {path} must hold names and values, such as 'model: ddpm'")
    stored_settings = stored.pop("settings", None) or {}
    known = {"model", "steps", "budget", "out", "seed", "device", "devices", "precision", "and", "from", *READING}
    known |= {"tracker", "tracker_options"}
    if unknown := sorted(set(stored) - known):
        raise UsageError(
            f"{path} has the unknown option {unknown[0]!r}; known are {', '.join(sorted(known))}, "
            f"and 'settings' for the names of --set"
        )
    if "steps" in options or "budget" in options:
        stored = {k: v for k, v in stored.items() if k not in ("steps", "budget")}
    return {**stored, **options}, {**stored_settings, **settings}


def simulator_options(
    data: list[str], settings: dict[str, Any], models: Sequence[str]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Divide settings into those of a built-in set's simulator (``data.noise``, or ``noise``) and the rest.

    Arguments:
        data: as given.
        settings: by name.
        models: families that the rest is for.

    Raises:
        UsageError: for a name shared by the simulator and a family, without the prefix ``data.`` or ``model.``.
    """
    from pushforward.models import find
    from pushforward.simulate import option_names
    from pushforward.simulate.registry import registered

    built_in = len(data) == 1 and data[0] in registered()
    known = set(option_names(data[0])) if built_in else set()
    own: dict[str, Any] = {}
    for text in list(settings):
        name = text.removeprefix("data.")
        if name == text and name in known:
            clash = next((each for each in models if name in find(each).load().Settings.model_fields), None)
            if clash is not None:
                raise UsageError(
                    f"{name!r} is a setting of {data[0]} and of {clash}; write data.{name} or model.{name}"
                )
        if name in known:
            own[name] = settings.pop(text)
        elif name != text:
            has = f"it has {', '.join(sorted(known))}" if known else "it has none"
            raise UsageError(f"{data[0]} has no setting called {name!r}; {has}")
    return own, settings


def options_of_b(other: Any, reading: dict[str, Any]) -> dict[str, Any]:
    """Reading options of the second of two ensembles: those of the first, unless a configuration file overrides them.

    Arguments:
        other: value of ``--and``, or a mapping with ``data`` and its own reading options.
        reading: options of the first ensemble.

    Raises:
        UsageError: for an unknown reading option.
    """
    if not isinstance(other, dict):
        return {**reading, "data": [str(each) for each in (other if isinstance(other, list) else [other])]}
    own = dict(other)
    data = own.pop("data", None)
    if data is None or (unknown := sorted(set(own) - set(READING))):
        what = "names no data" if data is None else f"has the unknown option {unknown[0]!r}"
        raise UsageError(f"'and' {what}; it takes data, {', '.join(READING)}")
    return {**reading, **own, "data": data if isinstance(data, list) else [str(data)]}


def pair_with(a: Ensemble, other: Any, reading: dict[str, Any]) -> EnsemblePair:
    """The pair of an ensemble and the one that ``--and`` names; equal columns are brought into the order of a.

    Arguments:
        other, reading: as of `options_of_b`.
    """
    from pushforward.ensembles import EnsemblePair

    options = options_of_b(other, reading)
    b = read_data(**options)
    wanted, found = (getattr(each.space, "names", ()) for each in (a, b))
    if wanted != found and set(wanted) == set(found) and "columns" not in options:
        b = read_data(**options, columns=",".join(wanted))
    return EnsemblePair(a, b)


def named_source(
    data: list[str], origin: str, reading: dict[str, Any], other: Any, settings: dict[str, Any]
) -> EnergySource:
    """Source of a built-in energy; its options are removed from the settings (``data.NAME``).

    Raises:
        UsageError: if the energy or an option is unknown, or options for reading samples were given.
    """
    from pushforward.energies import named_energy
    from pushforward.ensembles import EnergySource

    if origin != "energy":
        raise UsageError(f"--from must be energy, not {origin!r}; leave it out for samples")
    if reading or other is not None or len(data) != 1:
        raise UsageError("an energy is one name without members to read; leave out the options for reading files")
    own = {key.removeprefix("data."): settings.pop(key) for key in list(settings) if key.startswith("data.")}
    return EnergySource(named_energy(data[0], **own), spec={"name": data[0], **own})


def extra_options(arguments: list[str]) -> dict[str, Any]:
    """``["--noise", "0.2"]`` or ``["--noise=0.2"]`` as ``{"noise": 0.2}``."""
    pairs = []
    rest = list(arguments)
    while rest:
        name = rest.pop(0)
        if not name.startswith("--"):
            raise UsageError(f"{name!r} is not an option; a simulator's options are written --NAME VALUE")
        if "=" not in name:
            if not rest:
                raise UsageError(f"the option {name} lacks its value")
            name = f"{name}={rest.pop(0)}"
        key, _, value = name.removeprefix("--").partition("=")
        pairs.append(f"{key.replace('-', '_')}={value}")
    return assigned(pairs, option="the simulator's option")
