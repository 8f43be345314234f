"""Our LaTeX read back as a tree: nothing is lost, and nothing unknown is passed over."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from symdiff import pipeline
from symdiff.errors import SymdiffError
from symdiff.render.document import read
from symdiff.render.document_model import (
    Bold,
    Cell,
    Code,
    Display,
    Document,
    Emph,
    Inline,
    ItemList,
    Math,
    Paragraph,
    Row,
    Section,
    Table,
    Text,
)
from symdiff.render.math_tree import UnknownMarkError, parse_math

ROOT = Path(__file__).resolve().parents[2]
ARTICLES = sorted((ROOT / "generated").glob("*/*.tex"), key=lambda path: path.name)
FORMULAS = {
    "scalars": "f = where(x > y, sin(x*y)**2, 1/x) + max(x, y)*sqrt(loss_value)",
    "arrays": "W: (3,n); x: n; y: 3\nz = W @ x\nr = tanh(z) - y\nsum(r**2)/2 + norm(W)",
}


def inline(parts: tuple[Inline, ...]) -> Iterator[Inline]:
    for part in parts:
        yield part
        if isinstance(part, Bold | Emph):
            yield from inline(part.parts)


def parts_of(document: Document) -> Iterator[Inline | Cell]:
    """Every word, formula and cell."""
    for block in document.blocks:
        if isinstance(block, Section):
            yield from inline(block.title)
        elif isinstance(block, Paragraph):
            yield from inline(block.heading + block.parts)
        elif isinstance(block, ItemList):
            for item in block.items:
                yield from inline(item)
        elif isinstance(block, Table):
            for row in (block.header, *block.rows):
                for each in row:
                    yield from inline(each)
        else:
            for line in block.rows:
                yield from line.cells


def letters(text: str) -> str:
    return re.sub(r"\\\\\*?\[\d+pt\]|[^A-Za-z0-9]", "", text)


def letters_of(tex: str) -> str:
    """Letters and digits of an article's body, without what only says how it looks."""
    body = re.search(r"\\begin\{document\}(.*)\\end\{document\}", tex, re.DOTALL)
    assert body is not None
    text = re.sub(r"\\begin\{flushleft\}.*?\\end\{flushleft\}", "", body[1], flags=re.DOTALL)
    text = re.sub(r"\\begin\{(longtable)\}\[c\]\{[^\n]*\}|\\begin\{(tabular)\}\{[^\n]*\}", "", text)
    text = re.sub(r"\\(begin|end)\{(align|alignat|longtable|tabular|center|itemize)\*?\}(\{\d\})?", "", text)
    text = re.sub(r"\\boxed\{\s*\\begin\{aligned\}(.*?)\\end\{aligned\}", r"\1", text, flags=re.DOTALL)
    text = re.sub(r"\\raisebox\{0pt\}\[\\dimexpr\\height\+3pt\\relax\]\[\\dimexpr\\depth\+3pt\\relax\]", "", text)
    text = re.sub(r"\\setlength\{[^}]*\}\{[^}]*\}|\\\\\*?\[\d+pt\]", "", text)
    silent = "begingroup endgroup allowdisplaybreaks sloppy displaystyle rlap tag textbf emph texttt allowbreak item"
    rules = "toprule midrule bottomrule endhead endfoot hline"
    text = re.sub(rf"\\({'|'.join((silent + ' ' + rules).split())})(?![A-Za-z])", "", text)
    text = re.sub(r"\\(sub)*section\*|\\paragraph\*", "", text)
    return letters(re.sub(r"(\{\d+)\\quad ", r"\1 ", text))


@pytest.mark.parametrize("path", ARTICLES, ids=lambda path: path.stem)
def test_every_letter_of_an_article_is_in_the_tree(path: Path) -> None:
    document = read(path.read_text("ascii"))
    found = []
    for block in document.blocks:
        if isinstance(block, Section):
            found.append(block.number)
        if isinstance(block, Display):
            found += [cell.latex if isinstance(cell, Cell) else cell for row in block.rows for cell in shown(row)]
            continue
        found += [part.latex if isinstance(part, Math) else part.text for part in parts_of(Document((block,)))
                  if isinstance(part, Math | Text | Code)]  # fmt: skip
    assert letters("".join(found)) == letters_of(path.read_text("ascii"))


def shown(row: Row) -> Iterator[Cell | str]:
    yield from row.cells
    yield row.tag or ""


@pytest.mark.parametrize("path", ARTICLES, ids=lambda path: path.stem)
def test_every_formula_of_an_article_is_understood(path: Path) -> None:
    document = read(path.read_text("ascii"))
    formulas = [part.latex for part in parts_of(document) if isinstance(part, Math | Cell)]
    assert len(formulas) > 50
    for latex in formulas:
        parse_math(latex)


@pytest.mark.parametrize("style", pipeline.STYLES)
@pytest.mark.parametrize("level", pipeline.LEVELS)
@pytest.mark.parametrize("key", FORMULAS)
def test_every_style_is_understood(key: str, style: str, level: str) -> None:
    program = pipeline.formula(FORMULAS[key]).gradient()
    try:
        tex = program.latex(style=style, level=level)  # type: ignore[arg-type]
    except SymdiffError:
        assert (key, style) == ("scalars", "matrix")
        return
    document = read(tex)
    assert document.title and document.blocks
    fragment = read(program.latex(style=style, level=level, fragment=True))  # type: ignore[arg-type]
    assert not fragment.title and len(fragment.blocks) >= 1


def test_an_example_in_detail() -> None:
    document = read((ROOT / "generated/scalar_e/scalar_e.tex").read_text("ascii"))
    assert document.title == (Code("scalar_e"),)
    sections = [block for block in document.blocks if isinstance(block, Section)]
    assert [section.number for section in sections] == ["1", "2", "3", "4", "5", "6"]
    assert sections[1].title == (Text("Forward sweep"),)
    displays = [block for block in document.blocks if isinstance(block, Display)]
    assert [display.boxed for display in displays].count(True) == 1
    reverse = next(display for display in displays if any(row.tag == "8'a" for row in display.rows))
    assert [cell.latex for cell in reverse.rows[1].cells] == [
        r"\bar{z}_{7}", r"= \bar{z}_{8} \cdot z_{3}", r"\quad", r"= 1 \cdot 3 = 3",
    ]  # fmt: skip
    local = next(block for block in document.blocks if isinstance(block, Table))
    assert local.columns == ("r", "l", "l", "l") and local.long
    assert local.header[1] == (Text("Gate"),)
    assert local.rows[2][1] == (Text("sum (distributor)"),) and local.joined[2:4] == (False, True)
    assert local.rows[0][2] == (Math(r"\partial z_{1} / \partial x = 1", display=True),)


def test_words_are_unescaped() -> None:
    source = (
        "\\paragraph*{A b.}\n50\\% of ``a\\_b'' \\& $x$ --\nit's\\textbf{ bold $y$}~c "
        "\\texttt{f\\allowbreak{}g}\n\nnext"
    )
    heading, second = read(source).blocks
    assert isinstance(heading, Paragraph) and heading.heading == (Text("A b."),)
    assert heading.parts == (
        Text("50% of \u201ca_b\u201d & "), Math("x"), Text(" \u2013 it\u2019s"), Bold((Text("bold "), Math("y"))),
        Text("\u00a0c "), Code("f\u200bg"),
    )  # fmt: skip
    assert second == Paragraph((Text("next"),))


def test_cells_of_something_inside_are_not_split() -> None:
    matrix = r"\begin{pmatrix} 1 & 2 \\ 3 & 4 \end{pmatrix}"
    lines = [rf"a &= {matrix} \tag{{1}} \\*", r"& \rlap{$\displaystyle b \text{if } c$} \\[4pt]", r"&= {d \& e}"]
    (display,) = read("\n".join([r"\begin{align*}", *lines, r"\end{align*}"])).blocks
    assert display == Display(
        "align",
        (
            Row((Cell("a"), Cell(r"= \begin{pmatrix} 1 & 2 \\ 3 & 4 \end{pmatrix}")), "1", joined=True),
            Row((Cell(""), Cell(r"b \text{if } c", spills=True)), gap=4.0),
            Row((Cell(""), Cell(r"= {d \& e}"))),
        ),
    )


@pytest.mark.parametrize(
    "source",
    [r"\newthing", r"\begin{figure}x\end{figure}", r"\input{/etc/passwd}", r"a & b", r"\begin{center}words\end{center}",
     r"\begin{tabular}{p{3cm}}a\\\end{tabular}", r"\textbf", r"$x"],
)  # fmt: skip
def test_unknown_text_is_an_error(source: str) -> None:
    with pytest.raises(UnknownMarkError, match=r"document\.py"):
        read(source)


@pytest.mark.parametrize(
    "latex",
    [r"\newthing", r"\href{a}{b}", r"\left x", r"\left( x", r"{x", r"x}", r"\begin{tikzpicture}\end{tikzpicture}", "x_",
     r"\not\approx", r"\text{\x}", "$", "~", r"\begin{cases} x \end{pmatrix}", r"\frac{1}", "\u00e9"],
)  # fmt: skip
def test_unknown_mathematics_is_an_error(latex: str) -> None:
    with pytest.raises(UnknownMarkError):
        parse_math(latex)


def test_what_no_page_can_show_is_refused() -> None:
    with pytest.raises(SymdiffError, match="nested"):
        parse_math("(" + r"\left(" * 200 + "x" + r"\right)" * 200 + ")")
