"""Style of all figures: colours that a colour-blind reader and a printer can distinguish, and encoded images.

The palette is that of Okabe and Ito (2008). Real data are near black, generated samples blue, floors grey.
"""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = [
    "FIELD_MAP",
    "FLOOR",
    "GENERATED",
    "MODELS",
    "REAL",
    "VERDICTS",
    "Picture",
    "encode",
    "encode_cells",
    "styled",
]

REAL, GENERATED, FLOOR = "#222222", "#0072b2", "#c9cdd2"
VERDICTS = {"at the floor": "#009e73", "close": "#d98a00", "off": "#c6401a", "no floor known": "#6b7280"}
MODELS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7f3c8d", "#8c564b")
FIELD_MAP = "inferno"

_STYLE: dict[str, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9,
    "mathtext.fontset": "dejavusans",
    "axes.edgecolor": "#8a9099",
    "axes.labelcolor": "#222222",
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 9,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.axisbelow": True,
    "xtick.color": "#4b5159",
    "ytick.color": "#4b5159",
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "lines.linewidth": 1.6,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
    "svg.fonttype": "path",
    "svg.hashsalt": "pushforward",
    "figure.constrained_layout.use": True,
}


@dataclass(frozen=True)
class Picture:
    """A figure ready for a page: its image as a data URI, what it shows and what to look for.

    Attributes:
        source: ``data:image/...``. alt: text for a reader who cannot see it.
        wide: whether it needs the whole width of the page.
    """

    title: str
    source: str
    caption: str
    alt: str
    wide: bool = False


@contextmanager
def styled() -> Iterator[None]:
    """Draw in the style of this package, on no screen, and leave the caller's matplotlib as it was."""
    import matplotlib

    with matplotlib.rc_context(_STYLE):  # type: ignore[arg-type]
        yield


def encode(figure: Figure) -> str:
    """A figure as an SVG data URI, the same bytes for the same figure."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    # Coordinates of paths to a hundredth of a point are as good on any screen, and halve the page.
    text = re.sub(r' d="[^"]*"', lambda path: re.sub(r"(\.\d{2})\d+", r"\1", path.group()), buffer.getvalue())
    text = text[text.index("<svg") :]
    return "data:image/svg+xml;base64," + base64.b64encode(text.encode()).decode()


def encode_cells(cells: np.ndarray, low: float, high: float, colours: str = FIELD_MAP) -> str:
    """A two-dimensional array as a PNG data URI, one pixel a cell (or a square of them), on the scale low to high."""
    import matplotlib
    from matplotlib import image

    scaled = np.clip((cells - low) / (high - low if high > low else 1.0), 0, 1)
    repeat = max(1, -(-64 // max(scaled.shape)))
    scaled = scaled.repeat(repeat, axis=0).repeat(repeat, axis=1)
    pixels = (matplotlib.colormaps[colours](scaled)[..., :3] * 255).round().astype(np.uint8)
    buffer = io.BytesIO()
    image.imsave(buffer, pixels, format="png")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
