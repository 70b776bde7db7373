"""What the words of a benchmark's command line ask for."""

import pytest
from benchmarks.stored_results import run_part


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["table"], ["table"]),
        (["measure", "500"], [(500.0, False)]),
        (["measure"], [(float("inf"), False)]),
    ],
)
def test_a_part_of_a_benchmark_is_run(words, expected):
    done = []
    run_part(words, lambda seconds, *, table: done.append((seconds, table)), lambda: done.append("table"))
    assert done == expected
