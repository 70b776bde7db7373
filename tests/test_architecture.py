"""The house: no import cycle, no module that grows without bound, no question of the kind of sample in passing."""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from importlib import import_module
from pathlib import Path

import pytest

import pushforward as pf
from pushforward.models import registry
from pushforward.training import plan

SOURCE = Path(pf.__file__).parent
FILES = sorted(SOURCE.rglob("*.py"))
KINDS = {"Vector", "Field", "Series", "Particles", "Trajectory"}
LONGEST = 400
BUILT_BY_NAME = {
    "lazy_names.py": "names that a package hands on lazily",
    "models/registry.py": "families",
    "simulate/run.py": "simulators",
    "ensembles/formats/recognise.py": "readers of files",
    "training/trackers.py": "trackers of other packages",
    "networks/custom.py": "networks of the user's own",
}
"""Modules that may import by a string, and what."""


def name_of(path: Path) -> str:
    parts = path.relative_to(SOURCE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


NAMES = {name_of(path) for path in FILES}


def imports(tree: ast.AST, *, inside: bool) -> Iterator[str]:
    """Modules of the package that a module imports, apart from those for type checkers.

    Arguments:
        inside: whether imports in functions count.
    """
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        if isinstance(node, ast.FunctionDef) and not inside:
            continue
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names if each.name in NAMES)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            full = (f"{node.module}.{each.name}" for each in node.names)
            yield from (each if each in NAMES else node.module for each in full if node.module in NAMES)
        else:
            yield from imports(node, inside=inside)


@pytest.mark.parametrize("inside", [False, True], ids=["at the top", "in functions too"])
def test_no_module_imports_itself_by_way_of_others(inside):
    trees = {name_of(path): ast.parse(path.read_text()) for path in FILES}
    graph = {name: set(imports(tree, inside=inside)) - {name} for name, tree in trees.items()}
    assert sum(map(len, graph.values())) > 1000
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as problem:
        pytest.fail("modules import one another: " + " -> ".join(reversed(problem.args[1])))


def test_no_import_through_a_string_evades_the_contract():
    calls = {
        str(path.relative_to(SOURCE))
        for path in FILES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in ("import_module", "__import__")
    }
    strange = {each for each in calls if each not in BUILT_BY_NAME}
    assert not strange, f"{sorted(strange)} import by a string; import at the top, downward"
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text())):
            text = node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""
            if text.startswith("pushforward.") and text.partition(":")[0] in NAMES:
                assert floor(text) <= floor(name_of(path)), f"{path} names {text}, which is above it, in a string"


def floor(module: str) -> int:
    """The storey of a module in the import contract, counted from below."""
    layers = tomllib.loads((SOURCE.parents[1] / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    rooms = [each.split(" | ") for each in reversed(layers[0]["layers"])]
    room = module.partition(":")[0].split(".")[1:2]
    return next((storey for storey, names in enumerate(rooms) if room and room[0] in names), len(rooms))


def test_no_file_is_longer_than_one_concept():
    lengths = {str(path.relative_to(SOURCE)): len(path.read_text().splitlines()) for path in FILES}
    longer = {name: length for name, length in lengths.items() if length > LONGEST}
    assert not longer, f"split what is longer than {LONGEST} lines: {longer}"


def test_the_kind_of_a_sample_is_asked_for_in_few_places():
    asked = []
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("isinstance", "issubclass"):
                named = {each.id for each in ast.walk(node.args[1]) if isinstance(each, ast.Name)}
            elif isinstance(node, ast.MatchClass):
                named = {ast.unparse(node.cls)}
            else:
                continue
            if named & KINDS:
                asked.append(f"{path.relative_to(SOURCE)}:{node.lineno}")
    assert len(asked) <= 15, f"register by the kind of sample (functools.singledispatch) in place of some of {asked}"


def test_fit_looks_a_family_up_once(tmp_path, monkeypatch):
    asked = []
    find = registry.find
    for module in (registry, plan):
        monkeypatch.setattr(module, "find", lambda name: asked.append(name) or find(name))
    pf.fit("two-moons", model="realnvp", steps=1, out=tmp_path / "run", progress=False)
    assert asked == ["realnvp"]


@pytest.mark.parametrize("family", ["gan", "wgan", "maf", "iaf", "nsf", "realnvp"])
def test_a_family_that_is_a_setting_or_a_chain_is_a_short_file(family):
    assert len((SOURCE / "models" / f"{family}.py").read_text().splitlines()) < 80


SCRIPTS = [path for room in ("benchmarks", "examples") for path in sorted((SOURCE.parents[1] / room).rglob("*.py"))]


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: str(path.relative_to(SOURCE.parents[1])))
def test_scripts_import_names_that_exist(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "pushforward":
            module = import_module(node.module)
            names = [each.name for each in node.names if f"{node.module}.{each.name}" not in NAMES]
            absent = [name for name in names if not hasattr(module, name)]
            assert not absent, f"{path} imports {absent[0]} from {node.module}, which has no such name"
