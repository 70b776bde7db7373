"""Units, scales of lengths and axes of a report, and its numbers as they are written."""

import numpy as np
import pytest

from pushforward import judge, read
from pushforward.ensembles import Ensemble
from pushforward.ensembles.boxes import side_and_unit
from pushforward.errors import UsageError
from pushforward.spaces import Field, Particles, Series, Vector
from pushforward.validation.coordinate_axes import CoordinateAxis
from pushforward.validation.labels import power
from pushforward.validation.samples import vector_pictures
from pushforward.validation.vectors import worst_columns
from pushforward.validation.wording import with_error, with_range


def judged(x, space, **properties):
    """Report on half of some members beside the other half, which has these properties."""
    half = len(x) // 2
    real = Ensemble.from_array(x[half:], space=space, name="real").replaced(**properties)
    return judge(Ensemble.from_array(x[:half], space=space, name="made"), real, progress=False)


def normal(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


@pytest.fixture(scope="module")
def two_channels():
    x = normal(80, 2, 12, 12)
    x[:, 0], x[:, 1] = np.exp(2 * x[:, 0]), 10 + x[:, 1]
    return judged(x, Field(2, (12, 12), periodic=True, box=25.0), units=("Msun/kpc2", "K"), box_unit="kpc")


@pytest.fixture(scope="module")
def catalogue():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((600, 9)).astype(np.float32)
    x[:, 3] = np.where(rng.random(600) < 0.2, 0.0, 10 ** (1.5 * x[:, 3]))
    x[:, 4] = rng.poisson(4, 600)
    x[:, 5] = rng.uniform(0, 360, 600)
    x[:300, 2:6] *= [1.5, 300.0, 1.5, 1.5]  # the worst coordinates, among the samples only
    names = tuple("abcdefghi")
    return judged(x, Vector(9, names), units=("s", "m", "kg", "W", "", "deg", "", "", ""))


def labels(report, name):
    return [(curve.x_label, curve.y_label) for curve in report.curves if curve.name == name]


def test_curves_of_fields_have_the_units_of_their_channel(two_channels):
    assert labels(two_channels, "power_spectrum") == [
        ("k  [1/kpc]", "P(k)  [(Msun/kpc2)² kpc²]"),
        ("k  [1/kpc]", "P(k)  [K² kpc²]"),
    ]
    assert labels(two_channels, "bispectrum_squeezed")[1] == ("k  [1/kpc]", "k⁴ B(k)  [K³]")
    assert labels(two_channels, "minkowski_2")[0][1].endswith("[(1/kpc)²]")
    assert two_channels.to_dict()["units"] == ["Msun/kpc2", "K"]


def test_the_pdf_of_each_channel_is_drawn_over_its_own_values():
    x = normal(60, 2, 8, 8)
    x[:, 1] = 300 + 5 * x[:, 1]
    first, second = (
        curve for curve in judged(x, Field(2, (8, 8)), units=("K",)).curves if curve.name == "one_point_pdf"
    )
    assert abs(first.x.mean()) < 1
    assert abs(second.x.mean() - 300) < 5
    assert first.x_label == "value  [K]"
    assert first.y_label == "probability density  [1/K]"


def test_every_channel_is_shown_with_the_side_of_a_map(two_channels):
    page = two_channels.html()
    assert "Channel 1" in page
    assert "Channel 2" in page
    assert "25 kpc" in page
    card = two_channels.headline()[0]["label"]
    assert card == "Power spectrum to k = 0.75 1/kpc", "the card says how far its figure reaches"


def test_wavenumbers_without_a_box_are_per_cell():
    report = judged(normal(60, 1, 8, 8), Field(1, (8, 8)))
    assert labels(report, "power_spectrum") == [("k  [1/cell]", "P(k)  [cell²]")]
    assert "8 cells" in report.html()


def test_series_and_particles_have_units():
    times = np.sort(np.random.default_rng(0).uniform(0, 10, (60, 12)), axis=1)
    x = np.stack([times, normal(60, 12)], axis=2).astype(np.float32)
    report = judged(x, Series(1, 12, timed=True), units=("d", "mag"))
    assert labels(report, "values_over_time") == [("time  [d]", "value  [mag]")]
    assert labels(report, "structure_function") == [("τ  [d]", "S(τ)  [mag²]")]
    report = judged(x, Series(1, 12, timed=True, names=("magnitude",)), units=("d", "mag"))
    assert labels(report, "values_over_time") == [("time  [d]", "magnitude  [mag]")]
    report = judged(normal(120, 4, 2), Particles(4, 2), units=("nm",))
    assert labels(report, "distances") == [("distance of two particles  [nm]", "probability density  [1/nm]")]


def test_marginals_have_axes_of_their_own(catalogue):
    curves = {curve.channel: curve for curve in catalogue.curves if curve.name == "marginals"}
    assert {"c", "d", "e", "f"} <= set(curves), "the worst coordinates are drawn"
    assert curves["c"].x_label == "c  [kg]"
    assert curves["c"].y_label == "probability density  [1/kg]"
    assert [curves[name].log_x for name in "df"] == [True, False], "logarithmic over decades, not for an angle"
    assert set(np.diff(curves["e"].x)) == {1.0}, "counts have a bin each"
    for curve in curves.values():
        edges = np.log(curve.x) if curve.log_x else curve.x
        np.testing.assert_allclose(curve.real.sum() * np.diff(edges).mean(), 1, rtol=0.05)


def test_a_corner_says_how_many_coordinates_it_shows(catalogue):
    (picture,) = vector_pictures(catalogue.evaluation)
    assert picture.title == "6 of 9 coordinates"
    assert "differ most" in picture.caption
    assert {"c", "d", "e", "f"} <= {catalogue.space.names[column] for column in worst_columns(catalogue.evaluation, 6)}
    assert "Zeros lie at the lower end" in picture.caption
    assert dict(catalogue.facts)["coordinates"].startswith("a  [s], b  [m]")


def test_axes_are_logarithmic_over_decades_only():
    rng = np.random.default_rng(0)
    assert CoordinateAxis.of(10 ** rng.normal(0, 1, 500), "x").logarithmic
    assert not CoordinateAxis.of(rng.uniform(0, 360, 500), "x").logarithmic
    assert not CoordinateAxis.of(rng.normal(size=500), "x").logarithmic
    mostly_zero = np.where(rng.random(500) < 0.7, 0, 10 ** rng.normal(0, 1, 500))
    assert not CoordinateAxis.of(mostly_zero, "x").logarithmic
    assert CoordinateAxis.of(np.full(50, 3.0), "x").low < 3 < CoordinateAxis.of(np.full(50, 3.0), "x").high


def test_units_to_powers():
    assert [power("K", 2), power("Mpc/h", 2)] == ["K²", "(Mpc/h)²"]
    assert [power("K", -1), power("Mpc/h", -1)] == ["1/K", "1/(Mpc/h)"]
    assert power("", 2) == power("K", 0) == ""


def test_the_page_does_not_speak_of_gravity(two_channels):
    assert "ravity" not in two_channels.html()


def test_the_page_of_a_spin_model_does_not_speak_of_gravity():
    spins = np.sign(normal(120, 1, 8, 8))
    report = judged(spins, Field(1, (8, 8), periodic=True))
    assert "ravity" not in report.html()
    assert not any(v.verdict == "off" for v in report.verdicts if v.statistic in ("recall", "coverage"))


def test_a_middle_value_has_no_more_decimals_than_its_range():
    assert with_range(0.26043, -9.44, 8.29) == ("0.26", "(-9.44 to 8.29)")
    assert with_range(0.000114, -0.0357, 0.0384) == ("0.0001", "(-0.0357 to 0.0384)")
    assert with_range(-0.00001, -0.5, 0.5) == ("0.000", "(-0.500 to 0.500)")
    assert with_range(0.975, 0.927, 1.0)[0] == "0.975"


def test_a_zero_has_no_sign_and_a_huge_error_few_digits():
    assert with_error(-0.01, 1.6) == "0.0 ± 1.6"
    assert with_error(4.0, 41337709.0) == "4.0e+00 ± 4e+07"


def test_a_box_may_be_given_with_its_unit(tmp_path):
    assert side_and_unit("25 Mpc/h") == (25.0, "Mpc/h")
    assert side_and_unit("2.5e3kpc") == (2500.0, "kpc")
    with pytest.raises(UsageError, match="positive length"):
        side_and_unit("wide")
    np.save(tmp_path / "maps.npy", normal(20, 8, 8))
    maps = read(tmp_path / "maps.npy", box="25 Mpc/h")
    assert maps.space.box == 25.0
    assert maps.train.box_unit == "Mpc/h"
    assert read(**maps.spec).box_unit == "Mpc/h"
    assert read(tmp_path / "maps.npy", box="25").spec == read(tmp_path / "maps.npy", box=25.0).spec


def test_a_report_draws_itself(two_channels, catalogue, tmp_path):
    for report in (two_channels, catalogue):
        figure = report.plot()
        figure.savefig(tmp_path / "report.png")
        texts = [axes.get_xlabel() for axes in figure.axes]
        assert any("real data against real data" in text for text in texts)
        assert report.curves[0].x_label in texts
