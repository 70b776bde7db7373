"""Pages on a phone and on paper, and names that hold markup."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from dataclasses import replace

import numpy as np
import pytest
from markupsafe import Markup

import pushforward as pf
from pushforward.spaces import Field, Vector
from pushforward.validation.comparison import Comparison
from pushforward.validation.model_result import ModelResult

MARKUP = "<b onclick='x()'>&amp"
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
# Overflow of a frame as wide as a phone: what is cut at its right, and what scrolls without a word.
PROBE = """
const boxes = [...document.querySelectorAll('iframe')].map(frame => {
  const page = frame.contentDocument, view = frame.contentWindow, style = (e, part) => view.getComputedStyle(e, part);
  const scrolls = e => ['auto', 'scroll'].includes(style(e).overflowX);
  const inside = e => { while ((e = e.parentElement)) if (scrolls(e)) return true; return false; };
  const all = [...page.querySelectorAll('body *')];
  const name = e => e.tagName + '.' + e.className;
  const rows = [...page.querySelectorAll('.tiles, .strip')].map(e => [e.children.length,
    style(e).gridTemplateColumns.split(' ').length]);
  return {
    beyond: page.documentElement.scrollWidth - view.innerWidth,
    cut: all.filter(e => e.getBoundingClientRect().right > view.innerWidth + 1 && !inside(e)).map(name),
    silent: all.filter(e => scrolls(e) && e.tagName != 'PRE' && e.scrollWidth > e.clientWidth + 1
      && !style(e, '::before').content.includes('scroll')).map(name),
    ragged: rows.filter(([count, columns]) => count > columns && count % columns),
  };
});
document.body.innerHTML = '<pre>' + JSON.stringify(boxes) + '</pre>';
"""


def maps():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(160, 1, 12, 12)).astype(np.float32)
    space = Field(1, (12, 12), periodic=True, box=25.0)
    real = pf.Ensemble.from_array(x, space=space, name="maps")
    return pf.judge(x[:80] + 1, real.subset(np.arange(80, 160)), train=real, progress=False)


def catalogue():
    x = np.random.default_rng(0).lognormal(0, 2, (200, 3)).astype(np.float32)
    names = (MARKUP, "a_rather_long_name_of_a_column", "c")
    real = pf.Ensemble.from_array(x[100:], space=Vector(3, names), name=f"stars {MARKUP}")
    return pf.judge(pf.Ensemble.from_array(x[:100], name=MARKUP), real, progress=False)


@pytest.fixture(scope="module")
def pages():
    reports = {"maps": maps(), "catalogue": catalogue()}
    judged = [
        replace(ModelResult(model), report=reports["catalogue"].to_dict() | {"model": model})
        for model in ("flow-matching", "autoregressive", MARKUP)
    ]
    failed = ModelResult("ddpm", failure=f"it ran out of memory {MARKUP}")
    reports["comparison"] = Comparison(f"stars {MARKUP}", 60.0, 0, (*judged, failed))
    return {name: report.html() for name, report in reports.items()}


@pytest.mark.skipif(BROWSER is None, reason="needs Chromium")
def test_nothing_is_cut_on_a_phone(pages, tmp_path):
    frames = "".join(f'<iframe width=400 height=800 srcdoc="{html.escape(page)}"></iframe>' for page in pages.values())
    (tmp_path / "phone.html").write_text(
        f"<!doctype html><body>{frames}<script>onload = () => {{{PROBE}}}</script>", encoding="utf-8"
    )
    words = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom"]
    shown = subprocess.run(
        [BROWSER, *words, (tmp_path / "phone.html").as_uri()], capture_output=True, text=True, timeout=120, check=True
    ).stdout
    found = json.loads(html.unescape(re.search("<pre>(.*)</pre>", shown)[1]))
    for name, box in zip(pages, found, strict=True):
        assert box["beyond"] <= 0, name
        assert not box["cut"], name
        assert not box["silent"], f"{name}: what is wider than the screen says that it scrolls"
        assert not box["ragged"], name


def test_every_table_fits_or_scrolls(pages):
    for name, page in pages.items():
        assert '<meta name="viewport" content="width=device-width, initial-scale=1">' in page
        narrow = page[page.index("@media (max-width: 44rem)") : page.index("@media print")]
        assert "scroll sideways" in narrow
        tables = [match.start() for match in re.finditer("<table", page)]
        assert tables, name
        for start in tables:
            scrolls = '<div class="rows">' in page[start - 60 : start]
            assert scrolls or page.startswith('<table class="verdicts">', start), name


def test_settings_stay_closed_on_paper(pages):
    for name, page in pages.items():
        on_paper = page[page.index("@media print") : page.index("</style>")]
        assert "break-inside: avoid" in on_paper
        assert "details" not in on_paper, name
        assert "<details open" not in page, name


def test_markup_in_names_is_shown_and_not_obeyed(pages):
    for name in ("catalogue", "comparison"):
        assert "<b onclick" not in pages[name]
        assert str(Markup.escape(MARKUP)) in pages[name]
