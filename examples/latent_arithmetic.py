"""Arithmetic of averaged codes on handwritten digits (after Bishop and Bishop 2024, figures 17.9 and 17.10).

    python examples/latent_arithmetic.py [FIGURE] [--runs FOLDER]

A GAN learns digits without their labels. Its samples are sorted by a classifier of real digits and by their slant.
Then, for two digits A and B,

    right-leaning A - left-leaning A + left-leaning B,

each the mean code of such samples, should be the code of a right-leaning B. Middle of the left square: its sample;
around it those of the same code with noise. Right: the same arithmetic on the means of the pixels, with the same noise
there. Printed, over all pairs of digits: by how much the slant changes, relative to the difference between such samples
of B, the fraction of results still classified as B, the change of the ink in its standard deviations, and the contrast
of the result without noise, the standard deviation of its pixels in units of that of samples of B. Some minutes on one
core. The run is kept in FOLDER, and one that was stopped goes on.
"""

from __future__ import annotations

import argparse
from itertools import permutations
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import torch
from matplotlib.figure import SubFigure
from sklearn.svm import SVC
from torch import Tensor

import pushforward as pf
from pushforward.emulator import Emulator

STEPS, SAMPLES, LEAST, NOISE = 1200, 4000, 10, 0.25
SETTINGS = {"latent_bits": 0, "latent_dim": 32, "width": 16, "critic_width": 16, "batch_size": 64}
PAIR = (0, 6)


class Groups:
    """Codes and samples of a digit that leans left or right: the outer thirds by slant.

    Arguments:
        codes: (samples, latent).
        x: their samples, (samples, 1, 8, 8).
        digits: of the samples, as classified.
    """

    def __init__(self, codes: Tensor, x: Tensor, digits: Tensor) -> None:
        self.codes, self.x = codes, x
        lean = slant(x)
        self.rows: dict[tuple[int, str], Tensor] = {}
        for digit in range(10):
            (own,) = torch.where(digits == digit)
            if len(own) < 3 * LEAST:
                continue
            ordered = own[lean[own].argsort()]
            third = len(own) // 3
            self.rows[digit, "left"], self.rows[digit, "right"] = ordered[:third], ordered[-third:]

    @property
    def digits(self) -> list[int]:
        return sorted({digit for digit, _ in self.rows})

    def arithmetic(self, of: Tensor, a: int, b: int) -> Tensor:
        """Right-leaning a - left-leaning a + left-leaning b, of the means of codes or of samples."""
        mean = {name: of[rows].mean(0) for name, rows in self.rows.items()}
        return mean[a, "right"] - mean[a, "left"] + mean[b, "left"]


def slant(x: Tensor) -> Tensor:
    """Columns that the ink moves to the right per row upwards: the regression of columns on rows, weighted by ink."""
    ink = x[:, 0].clamp(min=0)
    ink = ink / ink.sum((1, 2), keepdim=True).clamp(min=1e-6)
    place = torch.arange(x.shape[-1], dtype=x.dtype)
    row, column = place.flip(0)[:, None], place[None, :]
    centre_row, centre_column = (ink * row).sum((1, 2)), (ink * column).sum((1, 2))
    row, column = row - centre_row[:, None, None], column - centre_column[:, None, None]
    return (ink * row * column).sum((1, 2)) / (ink * row.square()).sum((1, 2)).clamp(min=1e-6)


def classifier() -> SVC:
    """Of real digits."""
    data = pf.read("digits")
    rows = range(len(data))
    return SVC(gamma=0.001).fit(data.take(rows).reshape(len(data), -1), data.conditions[:, 0])


def classified(judge: SVC, x: Tensor) -> Tensor:
    return torch.from_numpy(judge.predict(x.flatten(1).numpy())).long()


def noisy(centre: Tensor, scale: Tensor | float, count: int) -> Tensor:
    """A code or picture itself, then versions with Gaussian noise."""
    noise = torch.randn(count - 1, *centre.shape, generator=torch.Generator().manual_seed(0))
    return torch.cat([centre[None], centre + NOISE * scale * noise])


def consequences(judge: SVC, groups: Groups, made: Tensor, b: int) -> tuple[float, ...]:
    """Of an arithmetic's results: relative change of slant, fraction classified as b, change of ink, contrast."""
    x, rows = groups.x, groups.rows
    left, right = (x[rows[b, name]] for name in ("left", "right"))
    gained = (slant(made).mean() - slant(left).mean()) / (slant(right).mean() - slant(left).mean())
    ink = (made.sum((1, 2, 3)).mean() - left.sum((1, 2, 3)).mean()) / left.sum((1, 2, 3)).std()
    contrast = made[0].std() / torch.cat([left, right]).flatten(1).std(1).mean()
    kept = (classified(judge, made) == b).float().mean()
    return float(gained), float(kept), float(ink.abs()), float(contrast)


def results(emulator: Emulator, groups: Groups, a: int, b: int, count: int) -> tuple[Tensor, Tensor]:
    """Samples of the arithmetic of codes, and the arithmetic of pixels, each with noise on all but the first."""
    of_codes = emulator.decode(noisy(groups.arithmetic(groups.codes, a, b), 1.0, count))
    of_pixels = noisy(groups.arithmetic(groups.x, a, b), groups.x.std(), count)
    return of_codes, of_pixels


def square(canvas: SubFigure, x: Tensor, title: str) -> None:
    """The first picture in the middle of a square, the others around it."""
    order = [1, 2, 3, 4, 0, 5, 6, 7, 8]
    for axes, which in zip(canvas.subplots(3, 3).flat, order, strict=True):
        show(axes, x[which])
        for spine in axes.spines.values():
            spine.set(visible=which == 0, color="#d55e00", lw=2)
    canvas.suptitle(title, fontsize=11)


def show(axes: plt.Axes, picture: Tensor) -> None:
    axes.imshow(picture[0], cmap="gray_r", vmin=0, vmax=16)
    axes.set(xticks=[], yticks=[])


def main(figure: str, runs: Path) -> None:
    out = runs / "digits"
    digits = pf.read("digits")
    data = digits.take(range(len(digits)))  # without labels
    emulator = pf.fit(data, "r3gan", steps=STEPS, out=out, resume=out.exists(), settings=SETTINGS, precision="32")
    judge = classifier()
    codes = torch.randn(SAMPLES, emulator.model.generator.latent, generator=torch.Generator().manual_seed(1))
    x = emulator.decode(codes)
    groups = Groups(codes, x, classified(judge, x))
    print("digits with enough samples:", groups.digits)
    found: dict[str, list[tuple[float, ...]]] = {"codes": [], "pixels": []}
    for a, b in permutations(groups.digits, 2):
        for name, made in zip(found, results(emulator, groups, a, b, 100), strict=True):
            found[name].append(consequences(judge, groups, made, b))
    for name, each in found.items():
        gained, kept, ink, contrast = torch.tensor(each).mean(0).tolist()
        print(f"{name}: slant {gained:.2f}, still B {kept:.2f}, ink {ink:.2f}, contrast {contrast:.2f}")

    a, b = PAIR if set(PAIR) <= set(groups.digits) else groups.digits[:2]
    canvas = plt.figure(figsize=(9, 4.6), layout="constrained")
    parts = canvas.subfigures(1, 3, width_ratios=(1.2, 3, 3))
    terms = [(a, "right"), (a, "left"), (b, "left")]
    for axes, (digit, name), sign in zip(parts[0].subplots(3, 1), terms, ("", "− ", "+ "), strict=True):
        show(axes, emulator.decode(codes[groups.rows[digit, name]].mean(0)[None])[0])
        axes.set_title(f"{sign}{digit}, leaning {name}", fontsize=10)
    for part, made, name in zip(parts[1:], results(emulator, groups, a, b, 9), found, strict=True):
        square(part, made, f"arithmetic of {name}")
    canvas.savefig(figure, dpi=110)
    print(f"wrote {figure}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("figure", nargs="?", default="docs/images/latent_arithmetic.png")
    parser.add_argument(
        "--runs", type=Path, default=Path("runs/examples/latent_arithmetic"), help="where runs are kept"
    )
    options = parser.parse_args()
    main(options.figure, options.runs)
