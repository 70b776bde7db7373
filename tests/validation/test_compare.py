"""The comparison: the same terms for all, failures as rows, and going on where it was stopped."""

import io
import json
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console
from stand_ins import blobs, conditional_maps

import pushforward as pf
import pushforward.training
from pushforward.errors import UsageError
from pushforward.validation import compare
from pushforward.validation.curves import Curve
from pushforward.validation.model_result import ModelResult
from pushforward.validation.overlays import curve_pictures
from pushforward.validation.report import geometric_mean


@pytest.fixture(scope="module")
def plane():
    return blobs(600)


@pytest.fixture(scope="module")
def compared(plane, tmp_path_factory):
    out = tmp_path_factory.mktemp("comparison")
    return compare(
        plane, ["realnvp", "vae"], budget=1, out=out, progress=False, settings={"vae.latent_dim": "nonsense"}
    ), out


def test_a_model_that_fails_is_a_row_that_says_why(compared):
    comparison, out = compared
    found = {row["model"]: row for row in json.loads((out / "compare.json").read_text())["models"]}
    assert found["vae"]["status"] == "failed"
    assert "nonsense" in found["vae"]["failure"]
    assert found["realnvp"]["status"] == "judged"
    assert found["realnvp"]["rank"] == 1
    assert found["realnvp"]["quality"] >= 1
    assert found["realnvp"]["milliseconds_per_sample"] > 0
    assert "nonsense" in (out / "compare.html").read_text()
    assert [entry.model for entry in comparison.failures] == ["vae"]
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(comparison.table())
    printed = console.export_text()
    assert "Best quality: realnvp" in printed
    assert "vae failed: " in printed


def test_recommendations_name_models_that_can_do_it(compared):
    comparison, _ = compared
    by_purpose = {r.purpose: r for r in comparison.recommendations}
    assert by_purpose["Best quality"].model == by_purpose["Density needed"].model == "realnvp"
    assert "log p" in by_purpose["Density needed"].sentence


def test_what_is_finished_is_kept(compared, plane, monkeypatch):
    comparison, out = compared

    def refuse(*args, **options):
        raise AssertionError("a finished model was trained again")

    monkeypatch.setattr(pushforward.training, "fit", refuse)
    again = compare(plane, ["realnvp"], budget=1, out=out, progress=False)
    assert again.ranking[0].report["verdicts"] == comparison.ranking[0].report["verdicts"]
    np.testing.assert_array_equal(again.ranking[0].generated, comparison.ranking[0].generated)


def test_mistakes_are_found_before_anything_is_trained(plane, tmp_path):
    with pytest.raises(UsageError, match="no model called 'ganz'"):
        compare(plane, ["realnvp", "ganz"], budget=1, out=tmp_path)
    with pytest.raises(UsageError, match="wings"):
        compare(plane, ["realnvp"], budget=1, out=tmp_path, settings={"wings": 2})
    with pytest.raises(UsageError, match="not compared"):
        compare(plane, ["realnvp"], budget=1, out=tmp_path, settings={"vae.width": 2})
    with pytest.raises(UsageError, match="no model was named"):
        compare(plane, [], budget=1, out=tmp_path)
    assert not list(tmp_path.iterdir())


def test_maps_are_shown_in_rows_at_the_same_conditions(tmp_path):
    comparison = compare(
        conditional_maps(160), ["wgan-gp"], budget=1, out=tmp_path, progress=False, settings={"width": 8}
    )
    assert not comparison.failures, comparison.failures
    page = comparison.html()
    assert page.count('alt="sample of real"') == page.count('alt="sample of wgan-gp"') == 8
    assert "slope = " in page


def test_a_ratio_below_one_is_no_merit():
    assert geometric_mean([0.5, 4.0]) == pytest.approx(2.0)
    assert geometric_mean([0.9, 0.8]) == 1.0


def test_a_comparison_draws_what_all_models_have(plane):
    def entry(model, *channels):
        curve = Curve(
            "marginals", "", "Marginal", "x", "density", np.arange(4.0), *np.ones((4, 4)), "ratio", *np.ones((4, 4)), ""
        )
        return ModelResult(model, report={"curves": [replace(curve, channel=each).to_dict() for each in channels]})

    colours = {"a": "red", "b": "blue"}
    titles = [each.title for each in curve_pictures([entry("a", "x", "y"), entry("b", "y", "z")], colours)]
    assert titles == ["Marginal: y"]
    assert len(curve_pictures([entry("a", "x"), entry("b", "z")], colours)) == 2


def test_no_heading_is_cut_on_a_terminal(plane, tmp_path):
    comparison = compare(plane, ["realnvp"], budget=1, out=tmp_path, progress=False)
    console = Console(file=io.StringIO(), width=80, color_system=None)
    console.print(comparison.table())
    assert "…" not in console.file.getvalue()


def test_translators_are_compared_in_both_directions(tmp_path):
    a, b = (pf.Ensemble.from_array(blobs(300).take(range(300)) + shift, name=f"at {shift}") for shift in (0, 3))
    comparison = compare(pf.EnsemblePair(a, b), ["cyclegan", "vae"], budget=1, out=tmp_path, samples=60, progress=False)
    (judged,) = comparison.ranking
    assert judged.model == "cyclegan"
    assert judged.milliseconds > 0
    assert {"to_b/marginals", "to_a/marginals"} <= {line["statistic"] for line in judged.report["verdicts"]}
    assert [each.title.rpartition(", ")[2] for each in judged.curves[:1]] == ["to b"]
    assert "learns from an ensemble, not from two ensembles" in comparison.failures[0].failure
    heads = comparison._leaderboard(short=True)[0]
    assert {"W₂→b", "W₂→a"} <= set(heads)
    again = compare(pf.EnsemblePair(a, b), ["cyclegan"], budget=1, out=tmp_path, samples=60, progress=False)
    assert again.ranking[0].report["verdicts"] == judged.report["verdicts"]
