"""`fit`: from an ensemble to an emulator.

All input is checked before long work starts, and becomes a `Plan` of plain values. The plan is carried out in this
process, in processes started by torchrun, or in processes started here.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from pushforward.arguments import checked
from pushforward.emulator import Emulator
from pushforward.ensembles.batching import Shard
from pushforward.errors import UsageError
from pushforward.models import Model
from pushforward.models.contract import check_instance
from pushforward.models.model import Completion
from pushforward.plugins import blamed_on
from pushforward.randomness import Purpose, seed_for
from pushforward.runs.devices import choose_device, choose_precision, laid_out, make_fabric, started_outside
from pushforward.runs.directory import (
    CHECKPOINT,
    CONFIG,
    METRICS,
    WEIGHTS,
    check_directory,
    check_same,
    check_space_left,
    fresh_directory,
    locked,
    open_directory,
)
from pushforward.runs.files import save_yaml
from pushforward.runs.teacher import Teacher
from pushforward.runs.weights import write_weights
from pushforward.tensors import keep_freed_memory
from pushforward.training.advice import advice
from pushforward.training.averaging import PowerAverage
from pushforward.training.checkpoints import State, load_checkpoint
from pushforward.training.dry_run import dry_run
from pushforward.training.durations import parse_duration
from pushforward.training.first_members import first_members, member_count
from pushforward.training.held_out import HeldOut, check_held_out
from pushforward.training.interrupt import Interrupted, Stopped
from pushforward.training.loop import Loop
from pushforward.training.optimisers import Optimisers
from pushforward.training.plan import UNITS, Length, Plan, resolve_task, wanted_length
from pushforward.training.prefetch import supply
from pushforward.training.processes import spread
from pushforward.training.progress import display
from pushforward.training.recipe import recipe
from pushforward.training.trackers import JsonLines, Tracker, find_tracker, open_tracker

if TYPE_CHECKING:
    from lightning_fabric import Fabric

__all__ = ["fit"]

DEFAULT_BUDGET = "10m"
Watched = tuple[str | Tracker | None, Mapping[str, Any] | None]
"""A tracker and its options."""
_PRECISION_NAMES = {"32-true": "float32", "bf16-mixed": "bfloat16 and float32"}


@checked(steps=1, devices=1)
def fit(
    data: Any,
    model: str | type[Model] = "flow-matching",
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
    tracker_options: Mapping[str, Any] | None = None,
) -> Emulator:
    """Train a model on an ensemble or another source.

    >>> fit("two-moons", "realnvp", budget="30s", settings={"learning_rate": 1e-3})  # doctest: +SKIP

    Arguments:
        data: an `Ensemble`, trained on its ``train`` split, or anything that `read` accepts; an `EnsemblePair`; or
            an `Energy`.
        model: name of a family (see `models.REGISTRY`), or a class of your own (see `models.model`).
        steps: number of training steps; alternative to ``budget``.
        budget: training time (``"90s"``, ``"10m"``, ``"1h30m"``, seconds), including the last save. Ten minutes unless
            ``steps`` or ``budget`` is given. In a resumed run it includes the time used before.
        out: the run directory; None creates a new one, ``runs/<data>-<model>``.
        resume: continue the run in ``out`` from its last checkpoint, or start it if the directory is empty.
        seed: of all random numbers.
        device: ``"auto"``, ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ``"mps"``.
        devices: number of processes, one per device, each with its part of every batch. Not needed under torchrun.
        precision: ``"auto"``, ``"32"``, ``"bf16"``; auto uses bfloat16 for fields if the processor supports it.
        settings: hyperparameters of the model and of the loop (`TrainingSettings`) by name; values may be strings.
        progress: report on standard error how the data were read and how training proceeds.
        tracker: ``"tensorboard"``, ``"mlflow"``, ``"wandb"`` or an object with the methods of `Tracker`, in addition to
            the run's own ``metrics.jsonl``.
        tracker_options: of a tracker that is given by name (see `trackers`): ``{"project": "maps"}``.

    Returns:
        The emulator with averaged weights, as `Emulator.load` reads it from the run directory.

    Raises:
        UsageError: for an unknown model or setting, a missing device, a directory that cannot be used.
        DataError: for data that cannot be trained on.
        TrainingError: if the loss is not finite, or the run to resume differs from the requested one.
        Interrupted: a `KeyboardInterrupt`, on SIGINT or SIGTERM, after everything is saved.
    """
    length = wanted_length(steps, budget)
    chosen = choose_device(device)
    if resume and out is None:
        raise UsageError("resume needs the directory of the run; give it as out (--out)")
    if isinstance(tracker, str):
        find_tracker(tracker, tracker_options)
    elif tracker_options:
        raise UsageError("options of a tracker go with its name: give tracker='wandb', 'mlflow' or 'tensorboard'")
    if out is not None:
        check_directory(Path(out), resume=resume)
    task = resolve_task(model, data, settings)
    if task.of_loop.keep == "best":
        check_held_out(task.source, task.kind)
    space = task.source.space
    preferred = task.kind.training_defaults_for(space).get("precision")
    plan = Plan(
        task=task,
        length=length,
        out=Path(out) if out is not None else fresh_directory(task.source.name, task.family),
        resume=resume,
        seed=seed,
        device=chosen,
        precision=choose_precision(precision, chosen, space, preferred),
        progress=progress,
    )
    watched = (tracker, tracker_options)
    fabric = make_fabric(chosen, devices, plan.precision)
    batch_size = task.of_loop.batch_size
    if batch_size % fabric.world_size:
        raise UsageError(
            f"a batch of {batch_size} cannot be divided among {fabric.world_size} processes; give a batch_size that is"
            f" a multiple of {fabric.world_size}"
        )
    if fabric.world_size > 1 and not started_outside():
        return _in_processes(fabric, plan, watched)
    fabric.launch()
    return _carry_out(fabric, plan, watched)


def _in_processes(fabric: Fabric, plan: Plan, tracker: Watched) -> Emulator:
    sent = replace(plan, task=replace(plan.task, source=plan.task.source.portable()))
    spread(fabric, partial(_work, plan=sent, tracker=tracker), plan.out)
    return Emulator.load(plan.out, device=str(plan.device))


def _work(fabric: Fabric, plan: Plan, tracker: Watched) -> None:
    try:
        _carry_out(fabric, plan, tracker)
    except Interrupted as stop:
        raise Stopped(str(stop)) from None


def _carry_out(fabric: Fabric, plan: Plan, tracker: Watched) -> Emulator:
    """Carry out a plan as one of its processes; the first one holds the run directory."""
    with ExitStack() as held:
        return _train(fabric, plan, tracker, held)


def _train(fabric: Fabric, plan: Plan, tracker: Watched, held: ExitStack) -> Emulator:
    if plan.device.type == "cpu":
        keep_freed_memory()
    task, source, of_loop = plan.task, plan.task.source, plan.task.of_loop
    shown = display(plan.progress and fabric.is_global_zero)
    shown.notes([*source.describe(), *source.notes])
    source.check()
    preprocessing: Any = source.preprocessing(of_loop.model_dump(include={*UNITS}))
    task = replace(task, of_model=task.kind.fitted(task.of_model, preprocessing))
    plan = replace(plan, task=task)
    model = _built(plan, preprocessing)
    run, before = _directory(fabric, plan, held)
    length = plan.length or _length_of(before)
    config = recipe(
        model=task.family,
        source=source,
        preprocessing=preprocessing,
        settings=(task.of_model, of_loop),
        given=task.given,
        length=length.to_dict(),
        run=run,
        seed=plan.seed,
        device=plan.device.type,
        devices=fabric.world_size,
        precision=plan.precision,
    )
    if before is not None:
        check_same(run, before, config)
    if isinstance(source, Teacher):
        source.watch = shown.making
    state = _state(fabric, plan, preprocessing, model)
    if before is not None and (run / CHECKPOINT).exists():
        load_checkpoint(run / CHECKPOINT, state)
    held_out = None
    if of_loop.keep == "best":
        held_out = HeldOut(source, preprocessing, state, of_loop.batch_size, plan.seed, fabric)
    rows = source.condition_rows()
    trackers = _trackers(run, tracker, config, state) if fabric.is_global_zero else []
    shown.notes(
        [
            *preprocessing.describe(),
            *_about(plan, state, fabric, length, run),
            *([] if held_out is None else [held_out.describe()]),
            *advice(task, preprocessing, state.model),
        ]
    )
    shard = Shard(of_loop.batch_size, fabric.global_rank, fabric.world_size)
    batches, ready = source.batches(preprocessing, shard, plan.seed, augmented=of_loop.augment, device=fabric.device)
    first = state.course.batches + 1
    loop = Loop(
        fabric=fabric,
        run=run,
        state=state,
        settings=of_loop,
        length=length,
        seed=plan.seed,
        shard=shard,
        batches=supply(batches, first, fabric.device, state.model.collate, ready=ready),
        save_weights=lambda: write_weights(run / WEIGHTS, state.kept(), preprocessing, rows),
        completion=partial(_completion, plan, state),
        trackers=trackers,
        display=shown,
        held_out=held_out,
    )
    try:
        loop.train()
    finally:
        for each in trackers:
            each.close()
    state.model.load_state_dict(state.kept())
    if _complete(fabric, plan, state) and fabric.is_global_zero:
        write_weights(run / WEIGHTS, state.model.state_dict(), preprocessing, rows)
    return Emulator(
        state.model,
        preprocessing,
        name=task.family,
        config=config,
        rows=rows,
        run=run,
        energy=getattr(source, "energy", None),
        device=fabric.device,
    )


def _directory(fabric: Fabric, plan: Plan, held: ExitStack) -> tuple[Path, dict[str, Any] | None]:
    """The run directory and the configuration in it, opened and locked by the first process for all."""
    answer: tuple[Path, dict[str, Any] | None, str | None] = plan.out, None, None
    if fabric.is_global_zero:
        try:
            check_directory(plan.out, resume=plan.resume)
            held.enter_context(locked(plan.out))
            answer = plan.out, open_directory(plan.out, resume=plan.resume), None
        except UsageError as problem:
            answer = plan.out, None, str(problem)
    run, before, problem_text = fabric.broadcast(answer)
    if problem_text is not None:
        raise UsageError(problem_text)
    return run, before


def _length_of(before: Mapping[str, Any] | None) -> Length:
    """The length of the resumed run, or the default."""
    if before is not None and before.get("steps") is not None:
        return Length(steps=int(before["steps"]))
    return Length(seconds=parse_duration((before or {}).get("budget") or DEFAULT_BUDGET))


def _built(plan: Plan, preprocessing: Any) -> Model:
    """The model at the start, which follows from the seed; before there is a run directory, since it may be refused."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_for(plan.seed, 0, Purpose.WEIGHTS))
        with blamed_on(plan.task.kind, "in its constructor"):
            model = plan.task.kind(plan.task.source.space, preprocessing.condition_space, plan.task.of_model)
        check_instance(model)
    return model


def _state(fabric: Fabric, plan: Plan, preprocessing: Any, model: Model) -> State:
    """A run at its beginning, the same in every process: it follows from the seed and the first joined batch."""
    settings = plan.task.of_loop
    laid_out(model, plan.task.source.space)
    model.to(fabric.device).train()
    with blamed_on(type(model), "in prepare"):
        model.prepare(first_members(plan, preprocessing, fabric.device, model.prepared_by))
    dry_run(model, first_members(plan, preprocessing, fabric.device))
    if fabric.world_size > 1:
        for tensor in [*model.state_dict().values(), *preprocessing.state_dict().values()]:
            first = tensor.to(fabric.device).contiguous()
            torch.distributed.broadcast(first, src=0)
            tensor.copy_(first)
    # The order matters: the optimisers move the parameters into shared storages, which the average relies on.
    optimisers = Optimisers(model, settings, fabric)
    return State(model, optimisers, PowerAverage(list(model.parameters()), settings.average), preprocessing)


def _completion(plan: Plan, state: State) -> Completion | None:
    with blamed_on(type(state.model), "in completion"):
        return state.model.completion(_seen(plan, state), member_count(plan.task.source))


def _seen(plan: Plan, state: State) -> int:
    """Number of samples that were trained on."""
    return state.course.batches * plan.task.of_loop.batch_size


def _complete(fabric: Fabric, plan: Plan, state: State) -> bool:
    """Do what the trained model needs; whether there was anything."""
    model, completion = state.model.eval(), _completion(plan, state)
    if completion is None:
        return False
    shown = display(plan.progress and fabric.is_global_zero)
    shown.notes([completion.line])
    try:
        with blamed_on(type(model), "in complete"):
            members = first_members(plan, state.preprocessing, fabric.device, completion.members)
            model.complete(members, _seen(plan, state), shown.making)
    except KeyboardInterrupt:
        raise Interrupted(
            f"stopped while {completion.line}; everything else is saved; to continue, give the same command with --out"
            f" {plan.out} --resume (resume=True)"
        ) from None
    finally:
        shown.close()
    return True


def _trackers(run: Path, tracker: Watched, config: dict[str, Any], state: State) -> list[Tracker]:
    """Open the trackers and write the configuration of the run, after all checks."""
    check_space_left(run, sum(p.numel() * p.element_size() for p in state.model.parameters()))
    chosen, options = tracker
    others = [] if chosen is None else [open_tracker(chosen, run, options)]
    save_yaml(run / CONFIG, config)
    trackers = [JsonLines(run / METRICS, after=state.course.step), *others]
    for each in trackers:
        each.log_parameters(config)
    return trackers


def _about(plan: Plan, state: State, fabric: Fabric, length: Length, run: Path) -> list[str]:
    """Lines that say what is trained, where and for how long."""
    count = sum(p.numel() for p in state.model.parameters())
    where = f"{fabric.world_size} processes on {plan.device.type}" if fabric.world_size > 1 else plan.device.type
    lines = [
        f"{plan.task.family}: {count:,} parameters, {_PRECISION_NAMES[plan.precision]} on {where}",
        f"batches of {plan.task.of_loop.batch_size}, for {length}, in {run}",
    ]
    if plan.resume:
        step = state.course.step
        lines.append(f"resumed at step {step}" if step else f"there is no checkpoint in {run} yet: it begins at step 0")
    return lines
