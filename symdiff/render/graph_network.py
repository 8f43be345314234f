"""Tape -> the layers of a network, where the formula is one: products of a variable with activations, in a chain.

    Network ::= input layer, Layer ...
    Layer   ::= weights, biases, function        # a = function(W @ x + b)

The layers are found on the tape: a product of a variable (or its transpose) with what the layer before has made, sums
with variables, and a function of one argument. What comes behind the last layer is the loss.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from symdiff.einstein import UNIT, Spec, familiar
from symdiff.errors import UnsupportedError
from symdiff.expr import Call, Expr, Name, is_constant
from symdiff.render.context import Sheet
from symdiff.shapes import Size
from symdiff.tape import Step, Tape

_FUNCTIONS = frozenset(
    "sigmoid tanh relu softplus gelu silu softmax exp sin cos erf atan maximum apply identity".split()
)
"""Functions of a layer; a square, a logarithm or a sum belongs to the loss."""


@dataclass(frozen=True)
class Layer:
    """One layer of neurons.

    name      of the activations on the tape
    size      number of neurons
    weights   variable that makes it from the layer before; None for the input
    biases    variables that are added
    step      the step of its function; None for a linear layer
    """

    name: str
    size: Size
    weights: str | None = None
    biases: tuple[str, ...] = ()
    step: Step | None = None


@dataclass(frozen=True)
class _Product:
    """A step that multiplies a variable by something else: from `inner` numbers to `outer`."""

    step: Step
    weights: str
    by: str
    inner: Size
    outer: Size


def network(sheet: Sheet) -> tuple[Layer, ...]:
    """The layers, the input first. Raises UnsupportedError where the formula is no layered network, and says why."""
    return _Finder(sheet).layers()


class _Finder:
    def __init__(self, sheet: Sheet) -> None:
        self.tape: Tape = sheet.people
        self.variables = {given.name for given in self.tape.inputs if not given.constant}
        self.inputs = {given.name for given in self.tape.inputs}
        self.base: dict[str, str] = {}  # of a transpose, what it is the transpose of
        self.users: dict[str, list[Step]] = {}
        for step in self.tape.primal:
            call = step.expr
            turned = isinstance(call, Call) and call.op == "contract" and familiar(call.options[0]).kind == "transpose"
            if turned:
                self.base[step.name] = self.of(step.operands[0])
                continue
            for name in dict.fromkeys(self.of(name) for name in step.operands):
                self.users.setdefault(name, []).append(step)

    def of(self, name: str) -> str:
        """What a name is, transposes left aside."""
        return self.base.get(name, name)

    def layers(self) -> tuple[Layer, ...]:
        products = [found for step in self.tape.primal for found in self._product(step)]
        if not products:
            raise _no_network("there is no product of a matrix of variables with its input")
        first = products[0]
        found = [Layer(first.by, first.inner)]
        rest = list(products)
        while True:
            here = found[-1].name
            following = [product for product in rest if product.by == here]
            if len(following) > 1:
                both = " and ".join(f"({product.step.label})" for product in following[:2])
                raise _no_network(f"'{here}' goes into more than one product, {both}")
            if not following:
                break
            rest.remove(following[0])
            found.append(self._layer(following[0]))
        if rest:
            raise _no_network(f"the product in step ({rest[0].step.label}) is not behind the layers before it")
        return tuple(found)

    def _product(self, step: Step) -> Iterator[_Product]:
        """The product that a step is; nothing for another step."""
        call = step.expr
        if not isinstance(call, Call) or call.op != "contract" or len(call.args) != 2:
            return
        names = [self.of(arg.id) for arg in call.args if isinstance(arg, Name)]
        if len(names) != 2 or names[0] == names[1]:
            return
        place = self._weights_place(names, step)
        if place is None:
            return
        spec: Spec = call.options[0]
        own, other = spec.operands[place], spec.operands[1 - place]
        inner = [i for i in own if i in other and i not in spec.output and i != UNIT]
        outer = [i for i in own if i in spec.output and i not in other and i != UNIT]
        if len(inner) > 1 or len(outer) > 1 or not (inner or outer):
            return
        sizes = spec.index_sizes([self.tape.shapes[arg.id] for arg in call.args if isinstance(arg, Name)])
        yield _Product(
            step, names[place], names[1 - place], sizes[inner[0]] if inner else 1, sizes[outer[0]] if outer else 1
        )

    def _weights_place(self, names: list[str], step: Step) -> int | None:
        """Which of two factors is the weights; None where none is a variable."""
        places = [k for k, name in enumerate(names) if name in self.variables]
        if len(places) < 2:
            return places[0] if places else None
        ranks = [sum(size != 1 for size in self.tape.shapes[name]) for name in names]
        if ranks[0] == ranks[1]:
            raise _no_network(
                f"step ({step.label}) multiplies the variables '{names[0]}' and '{names[1]}': declare the one that "
                "holds the data const"
            )
        return 0 if ranks[0] > ranks[1] else 1

    def _layer(self, product: _Product) -> Layer:
        """The layer that a product begins: sums with variables, then a function."""
        name, biases, function = product.step.name, [], None
        while True:
            users = self.users.get(name, [])
            if len(users) != 1:
                break
            call = users[0].expr
            bias = self._bias(call, name)
            if bias is not None:
                biases.append(bias)
            elif self._is_function(call):
                function = users[0]
            else:
                break
            name = users[0].name
            if function is not None:
                break
        return Layer(name, product.outer, product.weights, tuple(biases), function)

    def _bias(self, call: Expr, name: str) -> str | None:
        """The variable that is added."""
        if not isinstance(call, Call) or call.op != "add":
            return None
        others = [self.of(arg.id) for arg in call.args if isinstance(arg, Name) and self.of(arg.id) != name]
        return others[0] if len(others) == 1 and others[0] in self.variables else None

    def _is_function(self, call: Expr) -> bool:
        if not isinstance(call, Call) or call.op not in _FUNCTIONS:
            return False
        return sum(isinstance(arg, Name) for arg in call.args) == 1 and all(
            isinstance(arg, Name) or is_constant(arg) for arg in call.args
        )


def _no_network(why: str) -> UnsupportedError:
    return UnsupportedError(
        f"the formula is not a network of layers, each made from the one before: {why}; without the scheme its "
        "computation graph can be drawn"
    )


__all__ = ["Layer", "network"]
