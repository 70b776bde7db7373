"""The first members of a run, with which a model is prepared, tried and completed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch

from pushforward.conditions import Condition
from pushforward.ensembles import Source
from pushforward.ensembles.batching import BatchSource, Shard
from pushforward.ensembles.source import OfEnsemble
from pushforward.randomness import Draws, Purpose, seed_for
from pushforward.runs.teacher import Teacher
from pushforward.training.plan import Plan

__all__ = ["first_members", "member_count"]


def member_count(source: Source) -> int:
    """Number of training members, or 0 for a source without any; for a teacher, of the ensemble that it is given."""
    data = source.data if isinstance(source, Teacher) else source
    return len(data.train) if isinstance(data, OfEnsemble) else 0


def first_members(plan: Plan, preprocessing: Any, device: torch.device, least: int = 0) -> Any:
    """The first batch, enlarged to at least ``least`` members or to all; the same in every process."""
    settings, source = plan.task.of_loop, plan.task.source
    whole = Shard(settings.batch_size)
    joined, _ = source.batches(preprocessing, whole, plan.seed, augmented=settings.augment, device=device)
    draws = Draws(seed_for(plan.seed, 0, Purpose.BATCH), settings.batch_size, device=device)
    batch = replace(joined(1).to(device), draws=draws)
    if not least:
        return batch
    return _with_values(_enlarged(batch, joined, min(least, member_count(source))), preprocessing)


def _enlarged(batch: Any, batches: BatchSource, least: int) -> Any:
    """The first batch, with members of the next ones up to at least ``least``."""
    count = -(-least // max(1, len(batch.x)))
    if count <= 1:
        return batch
    parts = [batch, *(batches(number).to(batch.x.device) for number in range(2, count + 1))]
    x = torch.cat([part.x for part in parts])
    given = None if batch.condition is None else Condition.cat([part.condition for part in parts])
    return replace(batch, x=x, condition=given)


def _with_values(batch: Any, preprocessing: Any) -> Any:
    """The batch, with its samples in the user's units where these do not depend on conditions."""
    if getattr(preprocessing, "needs_condition", True):
        return batch
    return replace(batch, values=preprocessing.inverse(batch.x.cpu()).float().to(batch.x.device))
