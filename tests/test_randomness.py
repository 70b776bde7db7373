"""Seeds: every use of the run's seed has a key of its own, at one place."""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path

import pytest

import pushforward as pf
from pushforward.randomness import Purpose, seed_for

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
