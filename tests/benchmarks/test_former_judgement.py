"""The former judgement of fields."""

from benchmarks.former_judgement import former_verdicts


def verdict(statistic, value, floor=1.0, low=0.5, high=2.0):
    return {"statistic": statistic, "value": value, "error": 0.1, "floor": floor, "floor_low": low, "floor_high": high}


def test_the_range_of_the_floor_decides_and_later_statistics_do_not_count():
    counts = former_verdicts(
        [
            verdict("power_spectrum", 0.1),
            verdict("power_scatter", 2.5),
            verdict("peaks", 3.5),
            verdict("minkowski", None),
            verdict("coverage", 0.4),
            verdict("condition_recovered/h", -3.0),
            verdict("condition_range/h", 1.9),
            verdict("power_amplitude", 9.0),
            verdict("memorisation", 9.0, floor=None),
        ]
    )
    assert counts == {"at the floor": 2, "close": 2, "off": 3}
