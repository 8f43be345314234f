"""The drawings of a program: its computation graph, and the scheme of the network that it is."""

from __future__ import annotations

from symdiff.errors import UnsupportedError, quoted
from symdiff.render.context import Sheet
from symdiff.render.graph_dot import dot
from symdiff.render.graph_model import graph
from symdiff.render.graph_pdf import graph_pdf
from symdiff.render.graph_scene import scene
from symdiff.render.graph_scheme import scheme as network_scheme
from symdiff.render.graph_scheme import scheme_dot, scheme_svg, scheme_tikz
from symdiff.render.graph_svg import svg
from symdiff.render.graph_tikz import tikz
from symdiff.trace import Trace

FORMATS = ("svg", "tikz", "dot", "pdf")
LEVELS = ("step", "statement")


def drawing(
    sheet: Sheet,
    trace: Trace | None,
    form: str = "svg",
    *,
    scheme: bool = False,
    level: str = "step",
    fragment: bool = False,
) -> str | bytes:
    """The drawing in one language; numbers where there is a trace.

    Raises UnsupportedError for a language or a level that there is not, for a graph that nobody could read, and for the
    scheme of what is no network; BuildError for a PDF without TeX or Typst.
    """
    if form not in FORMATS:
        raise UnsupportedError(f"no graph in {quoted(str(form))}: {', '.join(FORMATS)}")
    if level not in LEVELS:
        raise UnsupportedError(f"no level {quoted(str(level))}: {', '.join(LEVELS)}")
    if fragment and form != "tikz":
        raise UnsupportedError(f"a fragment is TikZ, for a document of your own, and not {form}")
    if scheme:
        return _scheme(sheet, trace, form, fragment)
    found = graph(sheet, trace, level)
    if form == "dot":
        return dot(found)
    placed = scene(found)
    if form == "svg":
        return svg(placed)
    if form == "tikz":
        return tikz(placed, fragment)
    return graph_pdf(lambda: tikz(placed), lambda: svg(placed))


def _scheme(sheet: Sheet, trace: Trace | None, form: str, fragment: bool) -> str | bytes:
    found = network_scheme(sheet, trace)
    if form == "dot":
        return scheme_dot(found)
    if form == "svg":
        return scheme_svg(found)
    if form == "tikz":
        return scheme_tikz(found, fragment)
    return graph_pdf(lambda: scheme_tikz(found), lambda: scheme_svg(found))


__all__ = ["FORMATS", "LEVELS", "drawing"]
