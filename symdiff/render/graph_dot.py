"""Graph -> DOT, the language of graphviz, which lays it out itself: `dot -Tsvg g.dot`.

Labels are graphviz's HTML-like labels; whatever comes from a user is escaped for them, and identifiers are our own.
"""

from __future__ import annotations

from symdiff.render.environment import render
from symdiff.render.graph_model import Figure, Graph, Node
from symdiff.render.graph_words import Run, Words

_VALUE, _ADJOINT, _SOFT = "#17693f", "#b3261e", "#667085"
_STYLES = {
    "input": ', fillcolor="#e6f0fb", color="#3b78b5"',
    "constant": ', fillcolor="#e6f0fb", color="#3b78b5", style="rounded,filled,dashed"',
    "output": ', fillcolor="#fdf1d8", color="#b07a18", penwidth=1.6',
    "step": "",
}


def dot(graph: Graph) -> str:
    """The graph as a DOT file, in ASCII."""
    ids = {node.key: f"n{k}" for k, node in enumerate(graph.nodes)}
    edges = [
        {"source": ids[edge.source], "target": ids[edge.target], "label": _beside(edge.value, edge.adjoint)}
        for edge in graph.edges
    ]
    nodes = [_node(node, ids) for node in graph.nodes]
    last = next(node for node in graph.nodes if node.key == graph.output)
    if last.value is not None:
        nodes.append({"id": "out", "label": " ", "hint": "output", "style": ', shape=plaintext, style="", width=0.1'})
        edges.append({"source": ids[last.key], "target": "out", "label": _beside(last.value, last.adjoint)})
    return render("dot", "graph.dot.j2", title=_comment(graph.title), nodes=nodes, edges=edges)


def escaped(letters: str) -> str:
    """Letters inside an HTML-like label."""
    found = letters.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")
    found = found.replace("[", "&#91;").replace("]", "&#93;")
    return found.encode("ascii", "xmlcharrefreplace").decode()


def quoted_text(letters: str) -> str:
    """Letters inside a quoted string of DOT."""
    return letters.replace("\\", "\\\\").replace('"', '\\"').encode("ascii", "xmlcharrefreplace").decode()


def _comment(title: str) -> str:
    return "".join(c if c.isascii() and c.isprintable() else " " for c in title)


def words_html(words: Words) -> str:
    """A piece of mathematics."""
    return "".join(map(_run, words.runs))


def _run(run: Run) -> str:
    shown = escaped(run.text)
    for tag, holds in (("I", run.italic), ("O", run.bar), ("SUB", run.level < 0), ("SUP", run.level > 0)):
        shown = f"<{tag}>{shown}</{tag}>" if holds else shown
    return shown


def figure_html(figure: Figure) -> str:
    """A number, a shape, or the rows of an array."""
    rows = "; ".join(", ".join(words_html(cell) for cell in row) for row in figure.rows)
    shown = f"&#91;{rows}&#93;" if figure.is_array else rows
    return (words_html(figure.prefix) if figure.prefix is not None else "") + shown


def _colored(shown: str, colour: str, size: int | None = None) -> str:
    points = f' POINT-SIZE="{size}"' if size is not None else ""
    return f'<FONT COLOR="{colour}"{points}>{shown}</FONT>'


def _table(lines: list[str]) -> str:
    """Lines below each other; graphviz lets a subscript run into the next line of a plain label."""
    rows = "".join(f"<TR><TD>{line}</TD></TR>" for line in lines)
    return f'<TABLE BORDER="0" CELLBORDER="0" CELLPADDING="1" CELLSPACING="0">{rows}</TABLE>'


def _beside(value: Figure | None, adjoint: Figure | None) -> str:
    parts = [_colored(figure_html(figure), colour)
             for figure, colour in ((value, _VALUE), (adjoint, _ADJOINT)) if figure is not None]  # fmt: skip
    return "<BR/>".join(parts)


def _node(node: Node, ids: dict[str, str]) -> dict[str, str]:
    lines = [_colored(f"({node.label})", _SOFT, 9)] if node.label else []
    lines.append(words_html(node.words))
    if node.symbol is not None:
        lines.append(_colored(words_html(node.symbol), _SOFT, 11))
    if node.kind != "output" and node.value is not None:
        lines.append(_colored(figure_html(node.value), _VALUE, 11))
    if node.kind != "output" and node.adjoint is not None:
        lines.append(_colored(figure_html(node.adjoint), _ADJOINT, 11))
    return {"id": ids[node.key], "label": _table(lines), "hint": quoted_text(node.hint), "style": _STYLES[node.kind]}


__all__ = ["dot", "escaped", "figure_html", "words_html"]
