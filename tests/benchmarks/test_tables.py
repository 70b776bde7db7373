"""Every benchmark writes its table with `benchmarks.timing.report`."""

import ast
from pathlib import Path

import pytest

FILES = sorted(Path(__file__).parents[2].joinpath("benchmarks").glob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_report_is_the_function_that_writes_tables(path):
    tree = ast.parse(path.read_text())
    imported = {
        alias.name: node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    for function in (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)):
        nodes = list(ast.walk(function))
        if any(isinstance(node, ast.Call) and ast.unparse(node.func) == "report" for node in nodes):
            assert imported.get("report") == "benchmarks.timing"
            hidden = [n for n in nodes if isinstance(n, ast.Name) and n.id == "report" and isinstance(n.ctx, ast.Store)]
            assert not hidden, f"{function.name} calls another value report"
