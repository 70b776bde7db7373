"""Conditions as rows of samples, and what is expected of them."""

from __future__ import annotations

import re

import pytest
import torch

from pushforward.conditions import Condition, ConditionSpace, refined
from pushforward.errors import UsageError
from pushforward.spaces import Field

FIELD = Field(2, (3, 2))
SPACES = [ConditionSpace(), ConditionSpace(3), ConditionSpace(0, FIELD), ConditionSpace(3, FIELD)]
spaces = pytest.mark.parametrize("space", SPACES, ids=str)


def drawn(space: ConditionSpace, count: int) -> Condition:
    numbers = torch.randn(count, space.numbers) if space.numbers else None
    return Condition(numbers, None if space.field is None else torch.randn(count, *space.field.shape))


@spaces
def test_a_space_is_true_if_samples_are_given_with_something(space):
    assert bool(space) == (space != ConditionSpace())


@pytest.mark.parametrize("space", SPACES[1:], ids=str)
def test_parts_in_a_row_are_the_whole(space):
    whole = drawn(space, 6)
    assert len(whole) == 6
    parts = [whole[:1], whole[torch.tensor([1, 2])], whole[torch.arange(6) > 2]]
    assert [len(part) for part in parts] == [1, 2, 3]
    assert torch.equal(Condition.cat(parts).flat(), whole.flat())
    assert whole.flat().shape == (6, space.numbers + (FIELD.size if space.field else 0))


@pytest.mark.parametrize("space", SPACES[1:], ids=str)
def test_what_is_withheld_is_nan_and_the_rest_as_before(space):
    whole, mask = drawn(space, 4), torch.tensor([True, False, False, True])
    before, after = whole.flat().clone(), whole.withheld(mask).flat()
    assert after[mask].isnan().all()
    assert torch.equal(after[~mask], before[~mask])
    assert torch.equal(whole.flat(), before), "the condition itself must stay"


@spaces
@pytest.mark.parametrize("other", SPACES, ids=str)
def test_a_condition_of_another_space_is_refused(space, other):
    assert space.numbers_of(None) is None
    condition = drawn(other, 2)
    if other == space:
        assert space.numbers_of(condition) is condition.numbers
    else:
        with pytest.raises(UsageError, match=f"expected {re.escape(str(space))}, got {re.escape(str(other))}"):
            space.numbers_of(condition)


def test_refining_repeats_cells():
    field = torch.arange(6.0).view(1, 1, 3, 2)
    fine = refined(field, (3, 6))
    assert torch.equal(fine[..., ::3], field)
    assert torch.equal(fine[..., 0::3], fine[..., 2::3])
