"""Seeds: every use of the run's seed has a key of its own, at one place."""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path

import pytest
import torch

import pushforward as pf
from pushforward.randomness import Draws, Purpose, seed_for, uniform_from

SOURCE = Path(pf.__file__).parent
TREES = [ast.parse(path.read_text()) for path in sorted(SOURCE.rglob("*.py")) if path.name != "randomness.py"]


def purposes(tree: ast.AST) -> set[str]:
    """Names of the purposes that a module uses."""
    return {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "Purpose"
    }


@pytest.mark.parametrize("index", [0, 1, 12])
def test_purposes_have_distinct_keys_and_seeds(index):
    assert len(set(Purpose)) == len(Purpose.__members__)
    seeds = {seed_for(0, index, purpose) for purpose in Purpose}
    assert len(seeds) == len(Purpose)


def test_each_purpose_belongs_to_one_module():
    # Batches are drawn by the sources of data and, the first one, where the model is prepared.
    users = Counter(name for tree in TREES for name in purposes(tree) if name != "BATCH")
    assert users == dict.fromkeys(Purpose.__members__.keys() - {"BATCH"}, 1), "a purpose is unused, or used twice"


def test_the_last_key_of_a_seed_is_a_purpose():
    for tree in TREES:
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in ("seed_for", "draws"):
                keys = [ast.unparse(key) for key in node.args]
                assert len(keys) < 2 or keys[-1].startswith("Purpose."), f"{ast.unparse(node)} has no purpose"


def test_numbers_of_a_sample_are_uniform_and_do_not_depend_on_the_others():
    x = torch.randint(2, (500, 20), generator=torch.Generator().manual_seed(0)).float()
    u = uniform_from(x, 4)
    assert u.shape == (4, 500, 20)
    assert 0 <= u.min() < u.max() < 1
    assert u.mean() == pytest.approx(0.5, abs=0.01)
    assert u.std() == pytest.approx(12**-0.5, abs=0.005)
    columns = u.transpose(0, 1).flatten(1)
    assert (torch.corrcoef(columns.T) - torch.eye(80)).abs().max() < 0.2
    assert torch.equal(uniform_from(x[[7, 3]], 4), u[:, [7, 3]])


def test_numbers_that_samples_share_do_not_depend_on_the_number_of_processes():
    whole = Draws(0, 32)
    parts = [Draws(0, 16, rank=rank, processes=2) for rank in (0, 1)]
    together = torch.cat([part.shared(4).stratified() for part in parts])
    assert torch.equal(whole.shared(4).stratified(), together)
    assert torch.equal((together * 8).long().sort().values, torch.arange(8)), "one in each stratum"
    assert torch.equal(whole.normal(2), torch.cat([part.normal(2) for part in parts])), "of the same generator"
