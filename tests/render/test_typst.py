"""Typst: the same words and formulas as the LaTeX, in ASCII, and nothing of a formula as code."""

from __future__ import annotations

import io
import re
from pathlib import Path

import numpy as np
import pytest
from render.test_document import ARTICLES, parts_of

from symdiff import pipeline
from symdiff.render.document import read
from symdiff.render.document_model import Cell, Display, Math
from symdiff.render.math_tree import UnknownMarkError
from symdiff.render.typst import typst_source
from symdiff.render.typst_math import string, typst_math

SYSTEMS = ("two_layer", "graph_b", "matrix_graph", "relu_network", "scalar_e", "autoencoder")
DOTS = 40 / 25.4  # in a millimetre
WIDEST = ("gaussian_process", "kepler")  # lines that are as wide as the page, and wider


def article(name: str) -> str:
    path = next(path for path in ARTICLES if path.stem == name)
    return path.read_text("ascii")


def compiled(source: str, form: str = "pdf") -> list[bytes]:
    import typst

    made = typst.compile(source.encode("ascii"), format=form, ppi=40, ignore_system_fonts=True)
    return [made] if isinstance(made, bytes) else list(made)


@pytest.mark.parametrize(
    ("latex", "expected"),
    [
        (r"W_{1} \, x", r"attach(W, br: 1) #h(0.1667em) x"),
        (r"\frac{1}{x}", "frac(1, x)"),
        (r"\sqrt[3]{x}", "root(3, x)"),
        (r"\bar{x} + \overline{\mathit{ab}}", r'macron(x) \u{2b} overline(italic("ab"))'),
        (r"\mathbf{1}_{n}", r'attach(bold(upright(\u{31})), br: n)'),
        (r"\sum_{i=1}^{n} x", r"attach(\u{2211}, b: i \u{3d} 1, t: n) x"),
        (r"x[1{:}n]", r'x \u{5b} 1 class("normal", \u{3a}) n \u{5d}'),
        (r"\left(x\right)", r"lr(\u{28} x \u{29})"),
        (r"\Gamma(x), \gamma", r"upright(\u{393}) \u{28} x \u{29} \u{2c} \u{3b3}"),
        (r"\begin{pmatrix} 1 & 2 \\ 3 & 4 \end{pmatrix}",
         'mat(delim: #"(", row-gap: #0.55em, column-gap: #0.9em, inline(1), inline(2); inline(3), inline(4))'),
        (r"{} = x", r'"" \u{3d} x'),
    ],
)  # fmt: skip
def test_formulas(latex: str, expected: str) -> None:
    assert typst_math(latex) == expected


def test_a_right_side_keeps_the_room_of_its_relation() -> None:
    assert typst_math("= x", right_side=True) == r'"" \u{3d} x'
    assert typst_math(r"\text{scalar}", right_side=True) == '"scalar"'


def test_nothing_of_a_formula_is_code() -> None:
    hostile = '"]#read("/etc/passwd")\\u{41}\n\u00e9$'
    assert string(hostile) == r'"\"]#read(\"/etc/passwd\")\\u{41}\u{a}\u{e9}$"'
    text = hostile.replace("\\u{41}\n\u00e9$", "").replace("#", r"\#")
    source = typst_source(rf"a {text} $\text{{{text}}}$")
    assert source.count(r"#read(\"/etc/passwd\")") == 2
    code = re.sub(r'"(?:[^"\\]|\\.)*"', '""', source)
    assert "read" not in code and "passwd" not in code


@pytest.mark.parametrize("name", SYSTEMS)
def test_every_tag_and_section_is_there(name: str) -> None:
    tex, source = article(name), typst_source(article(name))
    assert source.isascii() and source.endswith("\n")
    tags = [row.tag for block in read(tex).blocks if isinstance(block, Display) for row in block.rows if row.tag]
    found = re.findall(r'^    tag: \$"\((\d+)"?(?:attach\("", tr: \\u\{2032\}\))?"?([a-z]*)\)"\$\.body', source, re.M)
    assert len(tags) == len(found) > 5
    assert [tag.replace("'", "") for tag in tags] == ["".join(parts) for parts in found]
    assert source.count("#heading-line(") == tex.count(r"\subsection*")
    assert source.count("boxed: true") == tex.count(r"\boxed") >= 1


def test_what_is_no_derivation_is_refused() -> None:
    with pytest.raises(UnknownMarkError):
        typst_source(r"\documentclass{article}\begin{document}\begin{tikzpicture}\end{tikzpicture}\end{document}")


@pytest.mark.peer("typst")
def test_typst_understands_every_formula() -> None:
    every = {part.latex for path in ARTICLES for part in parts_of(read(path.read_text("ascii")))
             if isinstance(part, Math | Cell)}  # fmt: skip
    body = "\n".join(f"${typst_math(latex)}$" for latex in sorted(every))
    (made,) = compiled(body)
    assert made.startswith(b"%PDF-")


@pytest.mark.peer("typst")
def test_names_that_are_code_elsewhere() -> None:
    text = (
        "x: (); set: (); let_: (); frac: (); h: (); alignment: (); read: ()\nset*let_ + frac**h*sin(alignment) + read*x"
    )
    (made,) = compiled(typst_source(pipeline.formula(text).gradient().latex(name="let_")))
    assert made.startswith(b"%PDF-")


@pytest.mark.peer("typst", "matplotlib")
@pytest.mark.parametrize("name", [*WIDEST, "autoencoder"])
def test_nothing_stands_in_the_margins(name: str) -> None:
    from matplotlib.image import imread

    pages = compiled(typst_source(article(name)), "png")
    assert len(pages) > 4
    for page in pages:
        dark = np.asarray(imread(io.BytesIO(page)))[..., :3].min(axis=2) < 0.7
        columns = np.flatnonzero(dark.any(axis=0))
        assert columns[0] >= 24 * DOTS and columns[-1] <= 186.5 * DOTS
        assert np.flatnonzero(dark.any(axis=1))[0] >= 24 * DOTS


@pytest.mark.peer("typst", "matplotlib")
def test_a_line_that_is_far_too_long_is_set_smaller() -> None:
    from matplotlib.image import imread

    line = " + ".join(f"v_{{{k}}}" for k in range(40))
    plain, tagged, spilling = rf"a &= {line}", rf"a &= {line} \tag{{1}}", rf"a &= \rlap{{$\displaystyle {line}$}}"
    sources = [rf"\begin{{align*}} {row} \end{{align*}}" for row in (plain, tagged, spilling)]
    sources.append(rf"\[ \boxed{{ \begin{{aligned}} {plain} \end{{aligned}} }} \]")
    for source in sources:
        (page,) = compiled(typst_source(source), "png")
        dark = np.asarray(imread(io.BytesIO(page)))[..., :3].min(axis=2) < 0.95
        assert 180 * DOTS < np.flatnonzero(dark.any(axis=0))[-1] <= 186.5 * DOTS


def test_the_template_asks_for_nothing_from_outside() -> None:
    template = Path(__file__).resolve().parents[2] / "templates/typst/derivation.typ.j2"
    assert not re.search(r"#?\b(import|include|read|image|json|csv|plugin)\b\s*[(\"]", template.read_text("ascii"))
