"""`fit`: from an ensemble to an emulator.

Everything that can be refused is refused before long work starts. What is left is a `_Plan` of plain values, which is
carried out in this process, in processes that torchrun has started, or in processes that are started here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from pydantic import BaseModel

from pushforward.emulator import Emulator
from pushforward.ensembles import Ensemble, Preprocessing, read
from pushforward.errors import DataError, UsageError
from pushforward.models import REGISTRY, Batch, Model, Pupil, find, model_class
from pushforward.randomness import Draws, seed_for
from pushforward.spaces import condition_shape
from pushforward.tensors import keep_freed_memory
from pushforward.training.averaging import PowerAverage
from pushforward.training.batches import Members, Part, Source, examples
from pushforward.training.checkpoints import State, load_checkpoint
from pushforward.training.durations import parse_duration
from pushforward.training.files import save_yaml
from pushforward.training.hardware import choose_device, choose_precision, laid_out, make_fabric, started_outside
from pushforward.training.loop import Length, Loop
from pushforward.training.pairs import Paired
from pushforward.training.players import Players
from pushforward.training.processes import spread
from pushforward.training.progress import Display, display
from pushforward.training.recipe import recipe
from pushforward.training.runs import (
    CHECKPOINT,
    CONFIG,
    METRICS,
    WEIGHTS,
    check_directory,
    check_same,
    check_space_left,
    fresh_directory,
    open_directory,
)
from pushforward.training.second import Meets, introduce, second_ensemble
from pushforward.training.settings import TrainingSettings
from pushforward.training.teachers import Taught, resolve_taught
from pushforward.training.trackers import JsonLines, Tracker, find_tracker, open_tracker
from pushforward.training.weights import training_rows, write_weights

if TYPE_CHECKING:
    from lightning_fabric import Fabric

__all__ = ["fit"]

DEFAULT_BUDGET = "10m"
FEWEST_MEMBERS = 8
_INITIAL = 6
_PRECISION_NAMES = {"32-true": "float32", "bf16-mixed": "bfloat16 and float32"}


def fit(
    ensemble: Any,
    model: str = "flow-matching",
    *,
    steps: int | None = None,
    budget: str | float | None = None,
    out: str | Path | None = None,
    resume: bool = False,
    seed: int = 0,
    device: str = "auto",
    devices: int = 1,
    precision: str = "auto",
    settings: Mapping[str, Any] | None = None,
    progress: bool = True,
    tracker: str | Tracker | None = None,
) -> Emulator:
    """Train a model on an ensemble.

    >>> fit("two-moons", "realnvp", budget="30s", settings={"learning_rate": 1e-3})  # doctest: +SKIP

    Arguments:
        ensemble: an `Ensemble`, of which ``ensemble.train`` is trained on, or anything that `read` takes.
        model: name of a family (see `models.REGISTRY`).
        steps: how many steps to train; or
        budget: how long to train (``"90s"``, ``"10m"``, ``"1h30m"``, seconds), the last save included. Ten minutes
            unless ``steps`` or ``budget`` is given. A resumed run counts the time that it has had.
        out: the run directory; None makes a fresh one, ``runs/<data>-<model>``.
        resume: go on with the run in ``out`` from its last checkpoint, or start it if the directory is empty.
        seed: of every random number.
        device: ``"auto"``, ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ``"mps"``.
        devices: processes, one a device, each with its part of every batch. Under torchrun it need not be given.
        precision: ``"auto"``, ``"32"``, ``"bf16"``; auto takes bfloat16 for fields where the processor has it.
        settings: hyperparameters of the model and of the loop (`TrainingSettings`) by name; values may be strings.
        progress: whether to say on standard error what was recognised and how it goes.
        tracker: ``"tensorboard"``, ``"mlflow"``, ``"wandb"`` or an object with the methods of `Tracker`, told beside
            the run's own ``metrics.jsonl``.

    Returns:
        The emulator, with averaged weights, as `Emulator.load` would read it from the run directory.

    Raises:
        UsageError: for an unknown model or setting, a device that is not there, a directory that cannot be used.
        DataError: for data that cannot be trained on.
        TrainingError: if the loss is not finite, or the run to resume is another one.
        Interrupted: on SIGINT or SIGTERM, after everything has been saved.
    """
    length = _length(steps, budget)
    kind, entry = model_class(model), find(model)
    chosen = choose_device(device)
    if devices < 1:
        raise UsageError(f"devices is {devices}; give at least 1")
    if seed < 0:
        raise UsageError(f"seed is {seed}; give a whole number from 0")
    if resume and out is None:
        raise UsageError("say which run to resume: give its directory as out (--out)")
    if isinstance(tracker, str):
        find_tracker(tracker)
    if out is not None:
        check_directory(Path(out), resume=resume)
    ensemble = ensemble if isinstance(ensemble, Ensemble) else read(ensemble)
    space = ensemble.space
    if type(space).__name__.lower() not in entry.spaces:
        raise UsageError(f"{model} learns {' and '.join(entry.spaces)} data, not {type(space).__name__.lower()} data")
    if condition_shape(space) and not entry.given_fields:
        able = ", ".join(name for name, each in REGISTRY.items() if each.given_fields)
        raise UsageError(f"{model} cannot take a field as its condition; models that can are {able}")
    of_model, of_loop, taught = resolve_taught(model, ensemble, settings)
    plan = _Plan(
        model=model,
        settings=(of_model, of_loop),
        given=dict(settings or {}),
        taught=taught,
        length=length,
        out=Path(out) if out is not None else fresh_directory(ensemble.name, model),
        resume=resume,
        seed=seed,
        device=chosen,
        precision=choose_precision(precision, chosen, space, kind.training_defaults_for(space).get("precision")),
        progress=progress,
    )
    fabric = make_fabric(chosen, devices, plan.precision)
    if of_loop.batch_size % fabric.world_size:
        raise UsageError(
            f"a batch of {of_loop.batch_size} cannot be shared by {fabric.world_size} processes;"
            " give a batch_size that is a multiple"
        )
    if fabric.world_size > 1 and not started_outside():
        return _in_processes(fabric, plan, ensemble, tracker)
    fabric.launch()
    return _carry_out(fabric, plan, ensemble, tracker)


@dataclass(frozen=True)
class _Plan:
    """What is to be done, with every default filled in; the length is open for a run that is resumed."""

    model: str
    settings: tuple[BaseModel, TrainingSettings]
    given: dict[str, Any]
    taught: Taught | None
    length: Length | None
    out: Path
    resume: bool
    seed: int
    device: torch.device
    precision: str
    progress: bool


def _length(steps: int | None, budget: str | float | None) -> Length | None:
    if steps is not None and budget is not None:
        raise UsageError("steps and budget both say how long to train; give one of them")
    if steps is not None:
        if steps < 1:
            raise UsageError(f"steps is {steps}; give at least 1")
        return Length(steps=steps)
    if budget is None:
        return None
    seconds = parse_duration(budget)
    if seconds == 0:
        raise UsageError("the budget is 0; give the time to train for, such as 10m")
    return Length(seconds=seconds)


def _in_processes(fabric: Fabric, plan: _Plan, ensemble: Ensemble, tracker: str | Tracker | None) -> Emulator:
    # What is known exactly of an ensemble are functions, which cannot be sent, and are of no use there.
    sent = ensemble.replaced(exact=None)
    spread(fabric, partial(_work, plan=plan, ensemble=sent, tracker=tracker), plan.out)
    return Emulator.load(plan.out, device=str(plan.device))


def _work(fabric: Fabric, plan: _Plan, ensemble: Ensemble, tracker: str | Tracker | None) -> None:
    _carry_out(fabric, plan, ensemble, tracker)


def _carry_out(fabric: Fabric, plan: _Plan, ensemble: Ensemble, tracker: str | Tracker | None) -> Emulator:
    """Train as one of the processes of a plan."""
    if plan.device.type == "cpu":
        keep_freed_memory()
    shown = display(plan.progress and fabric.is_global_zero)
    shown.notes([f"{ensemble.name}: {len(ensemble)} members, {ensemble.space}", *ensemble.notes])
    ensemble.check()
    members = ensemble.train
    if len(members) < FEWEST_MEMBERS:
        raise DataError(
            f"{ensemble.name} has {len(members)} members to train on once a tenth each is held out for validation and"
            f" test; at least {FEWEST_MEMBERS} are needed"
        )
    of_loop = plan.settings[1]
    preprocessing = (
        plan.taught.trained.preprocessing
        if plan.taught
        else Preprocessing.fit(members, of_loop.transform, scale_by_condition=of_loop.scale_by_condition)
    )
    second = second_ensemble(plan.settings[0], ensemble)
    if second is not None:
        preprocessing.second = Preprocessing.fit(second.train, of_loop.transform)
    run, before = _directory(fabric, plan)
    length = plan.length or _length_of(before)
    config = recipe(
        model=plan.model,
        ensemble=ensemble,
        preprocessing=preprocessing,
        settings=plan.settings,
        given=plan.given,
        length={"steps": length.steps} if length.steps is not None else {"budget": length.seconds},
        run=run,
        seed=plan.seed,
        device=plan.device.type,
        devices=fabric.world_size,
        precision=plan.precision,
    )
    if plan.taught:
        config["teacher"] = plan.taught.to_dict()
    if before is not None:
        check_same(run, before, config)
    state = _state(fabric, plan, members, preprocessing)
    if second is not None and preprocessing.second is not None and isinstance(state.model, Meets):
        introduce(state.model, second, preprocessing.second, augmented=of_loop.augment)
    if before is not None and (run / CHECKPOINT).exists():
        load_checkpoint(run / CHECKPOINT, state)
    rows = training_rows(members)
    trackers = _trackers(run, tracker, config, state) if fabric.is_global_zero else []
    shown.notes([*preprocessing.describe(), *_about(plan, state, members, fabric, length, run)])
    part = Part(of_loop.batch_size, fabric.global_rank, fabric.world_size)
    first = state.course.step + 1
    loop = Loop(
        fabric=fabric,
        run=run,
        state=state,
        settings=of_loop,
        length=length,
        seed=plan.seed,
        part=part,
        batches=examples(
            members,
            preprocessing,
            part,
            plan.seed,
            first=first,
            augmented=of_loop.augment,
            device=fabric.device,
            coupling=state.model.coupling,
            paired=_paired(fabric, plan, state.model, part, shown),
        ),
        save_weights=lambda: write_weights(run / WEIGHTS, state.averaged(), preprocessing, rows),
        trackers=trackers,
        display=shown,
    )
    try:
        loop.train()
    finally:
        for each in trackers:
            each.close()
    state.model.load_state_dict(state.averaged())
    return Emulator(
        state.model, preprocessing, name=plan.model, config=config, rows=rows, run=run, device=fabric.device
    )


def _directory(fabric: Fabric, plan: _Plan) -> tuple[Path, dict[str, Any] | None]:
    """The run directory and the configuration in it, opened by the first process on behalf of all."""
    answer: tuple[Path, dict[str, Any] | None, str | None] = plan.out, None, None
    if fabric.is_global_zero:
        try:
            answer = plan.out, open_directory(plan.out, resume=plan.resume), None
        except UsageError as problem:
            answer = plan.out, None, str(problem)
    run, before, problem_text = fabric.broadcast(answer)
    if problem_text is not None:
        raise UsageError(problem_text)
    return run, before


def _length_of(before: Mapping[str, Any] | None) -> Length:
    """The length of the run that is resumed, or the default."""
    if before is not None and before.get("steps") is not None:
        return Length(steps=int(before["steps"]))
    return Length(seconds=parse_duration((before or {}).get("budget") or DEFAULT_BUDGET))


def _state(fabric: Fabric, plan: _Plan, members: Ensemble, preprocessing: Preprocessing) -> State:
    """A run at its beginning, the same in every process: it follows from the seed and the first joined batch."""
    space, settings = members.space, plan.settings[1]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_for(plan.seed, 0, _INITIAL))
        model = model_class(plan.model)(space, preprocessing.condition_dim, plan.settings[0])
    laid_out(model, space)
    model.to(fabric.device).train()
    joined = Members(members, preprocessing, Part(settings.batch_size), plan.seed, augmented=settings.augment)
    x, condition, _ = joined(step=1)
    condition = None if condition is None else condition.to(fabric.device)
    model.prepare(
        Batch(x.to(fabric.device), condition, Draws(seed_for(plan.seed, 0), settings.batch_size, device=fabric.device))
    )
    if plan.taught:
        teacher = plan.taught.trained.model.to(fabric.device)
        laid_out(teacher, space)
        cast(Pupil, model).learn_from(teacher)
    if fabric.world_size > 1:
        for tensor in [*model.state_dict().values(), *preprocessing.state_dict().values()]:
            first = tensor.to(fabric.device).contiguous()
            torch.distributed.broadcast(first, src=0)
            tensor.copy_(first)
    return State(
        model, Players(model, settings, fabric), PowerAverage(list(model.parameters()), settings.average), preprocessing
    )


def _paired(fabric: Fabric, plan: _Plan, model: Model, part: Part, shown: Display) -> Callable[[Source], Source] | None:
    """What makes the batches of a model that trains on pairs, out of those of the data."""
    if model.pairs is None:
        return None
    return partial(
        Paired,
        pairs=model.pairs,
        part=part,
        seed=plan.seed,
        device=fabric.device,
        autocast=fabric.autocast,
        watch=shown.making,
    )


def _trackers(run: Path, tracker: str | Tracker | None, config: dict[str, Any], state: State) -> list[Tracker]:
    """Open what will be told of the run, and write down its configuration, once nothing is left to be refused."""
    check_space_left(run, sum(p.numel() * p.element_size() for p in state.model.parameters()))
    others = [] if tracker is None else [open_tracker(tracker, run)]
    save_yaml(run / CONFIG, config)
    trackers = [JsonLines(run / METRICS, after=state.course.step), *others]
    for each in trackers:
        each.log_parameters(config)
    return trackers


def _about(plan: _Plan, state: State, members: Ensemble, fabric: Fabric, length: Length, run: Path) -> list[str]:
    """What will be trained, where and for how long, one line each."""
    count = sum(p.numel() for p in state.model.parameters())
    where = f"{fabric.world_size} processes on {plan.device.type}" if fabric.world_size > 1 else plan.device.type
    lines = [f"taught by the {plan.taught.trained.config['model']} in {plan.taught.run}"] if plan.taught else []
    lines += [
        f"{plan.model}: {count:,} parameters, {_PRECISION_NAMES[plan.precision]} on {where}",
        f"{len(members)} members to train on, {plan.settings[1].batch_size} a step, for {length}, in {run}",
    ]
    return [*lines, f"resumed at step {state.course.step}"] if state.course.step else lines
