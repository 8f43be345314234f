"""Drawings as PDF: through pdflatex where TeX has TikZ, else the SVG through Typst, a Python package."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable

from symdiff.errors import BuildError
from symdiff.render.pdf import by_typst, pdf

_ADVICE = (
    "a graph as PDF needs pdflatex with TikZ (Debian, Ubuntu: apt-get install texlive-latex-recommended "
    "texlive-pictures lmodern) or the Python package typst (python -m pip install 'symdiff-codegen[pdf]'); as SVG it "
    "needs nothing: --format svg"
)
_PAGE = '#set document(date: none)\n#set page(width: auto, height: auto, margin: 0pt)\n#image("graph.svg")\n'
_FONTS = '"New Computer Modern", "New Computer Modern Math"'  # that Typst carries


def graph_pdf(tikz: Callable[[], str], svg: Callable[[], str]) -> bytes:
    """The PDF of a drawing, which is written in the language that there is a program for.

    Raises BuildError where there is neither, or where TeX refuses the text.
    """
    missing = "no pdflatex was found"
    try:
        return pdf(tikz(), "tex")
    except BuildError as error:
        if "no pdflatex" not in error.message and "tikz.sty" not in error.message:
            raise
        missing = "TeX has no TikZ" if "tikz.sty" in error.message else missing
    if importlib.util.find_spec("typst") is None:
        raise BuildError(f"{missing}, and no Python package typst: {_ADVICE}")
    return by_typst(_PAGE, "drawing", graph=flat(svg()))


def flat(svg: str) -> str:
    """The SVG in its light colours, without custom properties and media queries, which hardly any program but a browser
    reads.
    """
    style = svg.partition("<style>")[2].partition("</style>")[0]
    light = style.partition("@media")[0]
    colours = dict(re.findall(r"--([a-z-]+): var\(--[a-z-]+, (#[0-9a-f]{6})\)", light))
    rules = re.sub(r"@media[^{]*\{\s*\.symdiff-graph \{[^}]*\}\s*\}", "", style)
    rules = re.sub(r"--[a-z-]+: var\([^)]*\);", "", rules)
    rules = re.sub(r"var\(--([a-z-]+)\)", lambda match: colours[match[1]], rules)
    rules = re.sub(r"font-family: [^;]*;", f"font-family: {_FONTS};", rules)
    return svg.replace(style, rules)


__all__ = ["flat", "graph_pdf"]
