import pytest

from pushforward.errors import UsageError
from pushforward.training.durations import parse_duration, say_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("10m", 600), ("1h30m", 5400), ("1h 5m 2.5s", 3902.5), ("0.5h", 1800), ("20", 20), (7.5, 7.5)],
)
def test_lengths_of_time_are_understood(text, seconds):
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "ten minutes", "10 minutes", "10x", "-5s", -1, "nan", "inf", "m10"])
def test_other_texts_are_refused_with_an_example_of_what_works(text):
    with pytest.raises(UsageError, match="write it like 90s, 10m"):
        parse_duration(text)


def test_lengths_of_time_are_told_to_people():
    assert [say_duration(s) for s in (9.5, 65, 120, 5430)] == ["9.5 s", "1 min 5 s", "2 min", "1 h 30 min"]
