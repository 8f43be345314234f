"""The scheme of a network: layers of neurons as circles, sizes under them, the names of weights between them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from symdiff.errors import UnsupportedError
from symdiff.render.context import Sheet
from symdiff.render.environment import render
from symdiff.render.graph_dot import words_html
from symdiff.render.graph_labels import Labels
from symdiff.render.graph_model import Symbols
from symdiff.render.graph_network import Layer, network
from symdiff.render.graph_scene import Text
from symdiff.render.graph_svg import number, words_context
from symdiff.render.graph_tikz import picture, texts_tikz
from symdiff.render.graph_words import Words, joined, text
from symdiff.shapes import size_value
from symdiff.trace import Trace

MOST_NEURONS, _SHOWN = 8, 3  # of a layer; of a larger one that many, dots, and the last
_MOST_LAYERS = 40
_RADIUS, _APART, _COLUMN, _MARGIN = 12.0, 36.0, 170.0, 28.0
_HEAD, _FOOT = 66.0, 62.0
_FILLS = {"input": "#e6f0fb", "hidden": "#f8fafc", "output": "#fdf1d8"}
_NAME, _NOTE, _SMALL = 15.0, 12.0, 11.0


@dataclass(frozen=True)
class Column:
    """A layer with its place: the middles of its neurons, of the dots for those left out, and its texts."""

    kind: str
    neurons: tuple[tuple[float, float], ...]
    dots: tuple[tuple[float, float], ...]
    texts: tuple[Text, ...]


@dataclass(frozen=True)
class Scheme:
    """The drawing."""

    title: str
    description: str
    width: float
    height: float
    columns: tuple[Column, ...]
    links: tuple[tuple[tuple[float, float], tuple[float, float]], ...]
    texts: tuple[Text, ...]


def scheme(sheet: Sheet, trace: Trace | None) -> Scheme:
    """The scheme of the network that a formula is; sizes are numbers where there is a trace.

    Raises UnsupportedError for a formula that is no layered network.
    """
    layers = network(sheet)
    if len(layers) > _MOST_LAYERS:
        raise UnsupportedError(
            f"the network has {len(layers)} layers, and a scheme of more than {_MOST_LAYERS} is no help"
        )
    return _Drawer(sheet, trace, layers).scheme()


class _Drawer:
    def __init__(self, sheet: Sheet, trace: Trace | None, layers: tuple[Layer, ...]) -> None:
        self.sheet, self.trace, self.layers, self.symbols = sheet, trace, layers, Symbols(sheet)
        tape = sheet.people
        nodes = frozenset([given.name for given in tape.inputs] + [step.name for step in tape.primal])
        self.labels = Labels(self.symbols.words, tape.shapes, nodes)
        self.words = [self._words(layer) for layer in layers]
        self.between = [self._between(layer) for layer in layers[1:]]
        counts = [self._count(layer) for layer in layers]
        tallest = max(count if count <= MOST_NEURONS else _SHOWN + 2 for count in counts)
        self.middle = _HEAD + _RADIUS + _APART * (max(tallest, 2) - 1) / 2
        self.height = 2 * self.middle - _HEAD + _FOOT

    def scheme(self) -> Scheme:
        x = _MARGIN + max(_RADIUS, self._half(0))
        columns = [self._column(0, x)]
        links, texts = [], []
        for k, (weights, note) in enumerate(self.between, 1):
            wide = max(weights.width(_NOTE), note.width(_SMALL))
            step = max(_COLUMN, self._half(k - 1) + self._half(k) + wide + 16)
            texts += [
                Text(weights, x + step / 2, _HEAD - 32, _NOTE, "name"),
                Text(note, x + step / 2, _HEAD - 15, _SMALL, "note"),
            ]
            x += step
            columns.append(self._column(k, x))
            links += list(_links(columns[-2], columns[-1]))
        width = x + max(_RADIUS, self._half(len(columns) - 1)) + _MARGIN
        sizes = ", ".join(words[1].plain for words in self.words)
        description = f"Network of {len(self.layers)} layers with {sizes} neurons, from the input at the left."
        title = f"{self.sheet.name}: network"
        return Scheme(title, description, width, self.height, tuple(columns), tuple(links), tuple(texts))

    def _count(self, layer: Layer) -> int:
        """Neurons of a layer; a number beyond those shown where it is not known."""
        if isinstance(layer.size, int):
            return layer.size
        return MOST_NEURONS + 1 if self.trace is None else size_value(layer.size, self.trace.sizes)

    def _words(self, layer: Layer) -> tuple[Words, Words, Words | None]:
        """The name of a layer, its size, and its function."""
        known = self.symbols.size(layer.size)
        if self.trace is not None and not isinstance(layer.size, int):
            known = joined((known, text(" = ", "="), text(str(self._count(layer)), str(self._count(layer)))))
        function = None if layer.step is None else self.labels(layer.step)
        return self.symbols.words[layer.name], known, function

    def _between(self, layer: Layer) -> tuple[Words, Words]:
        """The names of weights and biases, and their shapes."""
        names = [layer.weights or "", *layer.biases]
        comma = text(", ", ",\\ ")
        words = joined([part for name in names for part in (comma, self.symbols.words[name])][1:])
        shapes = [self.symbols.shape(self.sheet.people.shapes[name]) for name in names]
        shown = [shape for shape in shapes if shape.runs] or [text("1", "1")]
        return words, joined([part for shape in shown for part in (comma, shape)][1:])

    def _half(self, k: int) -> float:
        name, known, function = self.words[k]
        words = [name.width(_NAME), known.width(_NOTE), function.width(_NOTE) if function is not None else 0.0]
        return max(words) / 2

    def _column(self, k: int, x: float) -> Column:
        count = self._count(self.layers[k])
        places = count if count <= MOST_NEURONS else _SHOWN + 2
        top = self.middle - _APART * (places - 1) / 2
        every = [(x, top + _APART * place) for place in range(places)]
        dots: tuple[tuple[float, float], ...] = ()
        if count > MOST_NEURONS:
            _, y = every.pop(_SHOWN)
            dots = ((x, y - 7), (x, y), (x, y + 7))
        name, known, function = self.words[k]
        foot = self.height - _FOOT + 26
        texts = [Text(name, x, _HEAD - 32, _NAME, "symbol"), Text(known, x, foot, _NOTE, "note")]
        if function is not None:
            texts.append(Text(function, x, foot + 19, _NOTE, "op"))
        kind = "input" if k == 0 else "output" if k == len(self.layers) - 1 else "hidden"
        return Column(kind, tuple(every), dots, tuple(texts))


def _links(left: Column, right: Column) -> Iterator[tuple[tuple[float, float], tuple[float, float]]]:
    """A line from every neuron to every neuron of the next layer, from circle to circle."""
    for a in left.neurons:
        for b in right.neurons:
            dx, dy = b[0] - a[0], b[1] - a[1]
            share = _RADIUS / (dx * dx + dy * dy) ** 0.5
            yield (a[0] + share * dx, a[1] + share * dy), (b[0] - share * dx, b[1] - share * dy)


# -- languages ---------------------------------------------------------------------------------------------------------


def scheme_svg(drawing: Scheme) -> str:
    """SVG, with the classes and colours of a computation graph's."""
    columns = [
        {
            "kind": column.kind,
            "neurons": [{"x": number(x), "y": number(y)} for x, y in column.neurons],
            "dots": [{"x": number(x), "y": number(y)} for x, y in column.dots],
            "texts": [words_context(each) for each in column.texts],
        }
        for column in drawing.columns
    ]
    links = "".join(f"M{number(a)} {number(b)}L{number(c)} {number(d)}" for (a, b), (c, d) in drawing.links)
    return render(
        "svg",
        "scheme.svg.j2",
        title=drawing.title,
        description=drawing.description,
        width=number(drawing.width),
        height=number(drawing.height),
        radius=number(_RADIUS),
        columns=columns,
        links=links,
        texts=[words_context(each) for each in drawing.texts],
    )


def scheme_tikz(drawing: Scheme, fragment: bool = False) -> str:
    """TikZ, as a document or as a fragment."""
    lines = [
        rf"\draw[link] ({number(a)},{number(b)}) -- ({number(c)},{number(d)});" for (a, b), (c, d) in drawing.links
    ]
    for column in drawing.columns:
        style = {"input": "neuron, input", "output": "neuron, output"}.get(column.kind, "neuron")
        lines += [
            rf"\draw[{style}] ({number(x)},{number(y)}) circle [radius={number(_RADIUS)}];" for x, y in column.neurons
        ]
        lines += [rf"\fill[black!60] ({number(x)},{number(y)}) circle [radius=1.6];" for x, y in column.dots]
        lines += texts_tikz(column.texts)
    lines += texts_tikz(drawing.texts)
    return picture(lines, drawing.width, drawing.height, drawing.title, fragment)


def scheme_dot(drawing: Scheme) -> str:
    """DOT: a cluster for each layer."""
    columns, neurons = [], []
    for k, column in enumerate(drawing.columns):
        nodes = [{"id": f"l{k}_{place}", "dots": False} for place in range(len(column.neurons))]
        neurons.append([str(node["id"]) for node in nodes])
        if column.dots:
            nodes.insert(_SHOWN, {"id": f"l{k}_dots", "dots": True})
        label = "<BR/>".join(words_html(each.words) for each in column.texts)
        columns.append({"id": f"cluster_{k}", "label": label, "nodes": nodes, "fill": _FILLS[column.kind]})
    edges = [f"{a} -> {b}" for left, right in pairwise(neurons) for a in left for b in right]
    return render("dot", "scheme.dot.j2", title=drawing.title, columns=columns, edges=edges)


__all__ = ["Scheme", "scheme", "scheme_dot", "scheme_svg", "scheme_tikz"]
