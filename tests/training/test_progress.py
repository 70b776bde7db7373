import io

from rich.console import Console

from pushforward.training.progress import Bar, Lines, Silent, display


def test_a_terminal_gets_a_bar_with_losses_speed_and_time_left():
    text = io.StringIO()
    bar = Bar(Console(file=text, force_terminal=True, width=140))
    bar.notes(["maps: 60 members [8, 8]"])
    bar.show(10, 0.25, {"critic": 0.5, "generator": -1.25}, 1234.0, 75.0, ["covers 3 of 10"])
    bar.close()
    shown = text.getvalue()
    assert "maps: 60 members [8, 8]" in shown
    for part in (
        "25 %",
        "step 10",
        "critic 0.5",
        "generator -1.25",
        "covers 3 of 10",
        "1234 samples/s",
        "1 min 15 s left",
    ):
        assert part in shown


def test_elsewhere_lines_come_now_and_then_and_at_the_end():
    text = io.StringIO()
    lines = Lines(Console(file=text, width=120), every=1000)
    for step in range(1, 11):
        lines.show(step, step / 10, {"model": 0.5}, 10.0, 1.0)
    assert text.getvalue().splitlines() == ["100%  step 10  loss 0.5  10 samples/s"]


def test_silence_can_be_asked_for(capsys):
    assert isinstance(display(False), Silent)
    display(False).notes(["nothing"])
    assert capsys.readouterr() == ("", "")
