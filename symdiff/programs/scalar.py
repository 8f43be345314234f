"""A number that remembers how it was made: reverse mode one node at a time, for learning and for small programs.

    Scalar ::= data, grad, how it was made   # an op of the table over Scalars and plain floats
    Sweep  ::= the nodes of a result, last made first, each just before it sends its adjoint to its operands

The rules and the numbers are those of the tape: a value comes from the op table's NumPy spelling, and what a node
sends is the same folded expression `upstream * partial` that a trace shows. So the state before any step of a sweep is
the state that `formula(...).gradient().trace(...).before(...)` reports. Nothing here recurses.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from inspect import getmembers, isfunction
from typing import Any, NoReturn

import numpy as np

from symdiff.errors import SymdiffError
from symdiff.expr import ZERO_NUMBER, Call, Expr, Name, Number, bottom_up, call, is_constant, substitute
from symdiff.ops import TABLE, Spelling, helpers
from symdiff.ops.core import ATOM, NEG, OPERAND_NAMES
from symdiff.ops.evaluate import constant_value, fold, is_zero
from symdiff.programs.operand import Condition, Operand, as_float, value_of
from symdiff.tape import Namer

_UPSTREAM, _VALUE = "upstream", "v"  # names in the rules, beside the operands' x, y and z
_CLOCK = itertools.count(1)  # the order in which nodes are made is the order of the steps


@dataclass(frozen=True, slots=True)
class _Rule:
    """What a node sends to the operand at `place`: an expression, and a function that computes it."""

    place: int
    sent: Expr
    function: Callable[..., Any]
    constants: tuple[Any, ...]


class Scalar(Operand):
    """A real number with its derivative.

    >>> x = Scalar(3.0, "x")
    >>> y = x*x + x.exp()
    >>> y.backward()
    >>> x.grad == 2*x.data + y.data - 9.0
    True

    data   its value, a float; may be changed, which changes nothing that was made of it before
    grad   the derivative of what `backward` was called on by this number; 0.0 at first. Every sweep *adds* to it, as
           in PyTorch: call `zero_grad`, or set it to 0.0, before the next one
    label  a name for people, or None

    All operators, the ops of the table as methods (`x.exp()`) and `symdiff.functions` work on it. A program may branch
    on a comparison, which has a value here (a program that is traced may not). Raises SymdiffError where `data` is not
    one real number.
    """

    __slots__ = ("_reached", "data", "grad", "label", "number", "op", "operands")
    __hash__ = object.__hash__  # a node is the same node, whatever its value

    def __init__(self, data: Any, label: str | None = None) -> None:
        value = data if type(data) is float else NotImplemented if isinstance(data, str) else as_float(data)
        if value is NotImplemented:
            raise SymdiffError(f"a Scalar holds one real number, not {type(data).__name__}")
        self._set(value, label, None, ())

    def _set(self, value: float, label: str | None, op: str | None, operands: tuple[Any, ...]) -> None:
        self.data: float = value
        self.grad: float = 0.0
        self.label = label
        self.op, self.operands = op, operands
        self.number = next(_CLOCK)
        self._reached: bool | None = None  # whether an adjoint came along branches that were taken; None: none came

    # -- forward -----------------------------------------------------------------------------------------------------

    def _apply(self, op: str, args: tuple[Any, ...]) -> Scalar:
        made = Scalar.__new__(Scalar)
        if op == "where":
            args = (bool(args[0]), *args[1:])
            chosen = args[1] if args[0] else args[2]
            value = chosen.data if isinstance(chosen, Scalar) else chosen
        else:
            values = [arg.data if isinstance(arg, Scalar) else arg for arg in args]
            value = value_of(op, values, exponent=not isinstance(args[-1], Scalar))
        made._set(value, None, op, args)
        return made

    def _truth(self, condition: Condition) -> bool:
        return bool(value_of(condition.op, [a.data if isinstance(a, Scalar) else a for a in condition.args]))

    def named(self, label: str) -> Scalar:
        """This number under a name; where it has one already, a new node that copies it (a step `z1 = x`)."""
        node = self if self.label is None else self._apply("identity", (self,))
        node.label = label
        return node

    # -- reverse -----------------------------------------------------------------------------------------------------

    def backward(self, *, only: bool = False) -> None:
        """Add the derivative of this number by every number that it was made from to their `grad`.

        With `only`, this node alone takes its step: it sends its `grad` as it stands to its operands. Set `grad` of the
        last node to 1.0, call it from the last node to the first, and you have done the whole sweep by hand.
        """
        if only:
            _send(self, _sends(self), self.grad, self._reached is not False)
            return
        for _ in self.sweep():
            pass

    def sweep(self) -> Sweep:
        """The reverse sweep from this number, one node at a time; nothing is sent until it is asked for the next."""
        return Sweep(self)

    def zero_grad(self) -> None:
        """Set `grad` of this number and of every number that it was made from to 0.0."""
        for node in _made_from(self, _scalars):
            node.grad, node._reached = 0.0, None

    def _receive(self, sent: float, counts: bool) -> None:
        self.grad += sent
        self._reached = bool(self._reached) or counts

    # -- what differs from a symbol ----------------------------------------------------------------------------------

    def __bool__(self) -> bool:
        return self.data != 0.0

    def __float__(self) -> float:
        self._no_float()

    __int__ = __complex__ = __index__ = __float__  # type: ignore[assignment]  # none of them returns

    def _no_float(self) -> NoReturn:
        self._refuse(
            "a float made of a Scalar would lose its derivative (float(x), a function of math, an array of floats)",
            "x.exp() or symdiff.functions.exp(x) for math.exp(x), and x.data where only the value is meant",
        )

    def __repr__(self) -> str:
        label = "" if self.label is None else f", label={self.label!r}"
        return f"Scalar({self.data!r}, grad={self.grad!r}{label})"


class Sweep(Iterator[Scalar]):
    """A reverse sweep that stops before every step.

    Iterating gives each node that sends something, the last made first, when its adjoint is complete and it has not yet
    sent it on; asking for the next one makes it send. So inside a loop `node.grad` is complete, other nodes' `grad` is
    what has arrived so far, and `pending` is what is still missing:

    >>> x = Scalar(2.0, "x")
    >>> y = (x*x).named("y")
    >>> z = (y*x).named("z")
    >>> sweep = z.sweep()
    >>> for node in sweep:
    ...     print(node.label, x.grad, sweep.pending["x"])
    z 0.0 ['z_bar*y', 'y_bar*x', 'y_bar*x']
    y 4.0 ['y_bar*x', 'y_bar*x']
    >>> x.grad
    12.0

    A sweep carries adjoints of its own, so a second one through the same nodes is right too: it adds to `grad`. Nodes
    that are reached only through the side of a `where` that was not taken receive exactly 0.
    """

    def __init__(self, output: Scalar) -> None:
        sends: dict[int, tuple[tuple[Scalar, _Rule], ...]] = {}

        def operands(node: Scalar) -> list[Scalar]:
            sends[node.number] = _sends(node)
            return [operand for operand, _ in sends[node.number]]

        self._output = output
        self._nodes: list[
            Scalar
        ] = []  # those that the result is differentiated by, in the order in which they were made
        self._sends: dict[int, tuple[tuple[Scalar, _Rule], ...]] = {}
        for node in sorted(_made_from(output, operands), key=lambda node: node.number):
            kept = tuple(send for send in sends[node.number] if send[0].number in self._sends)
            if kept or node.op is None or node is output:  # sign(x) depends on nothing, so nothing is sent to it
                self._nodes.append(node)
                self._sends[node.number] = kept
        self._order = [node for node in reversed(self._nodes) if self._sends[node.number]]
        self._names: dict[int, str] | None = None
        self._place = -1  # of the node given last
        self._adjoints = {output.number: 1.0}
        self._reached = {output.number}
        output._receive(1.0, True)

    def __next__(self) -> Scalar:
        if 0 <= self._place < len(self._order):
            self._step(self._order[self._place])
        self._place = min(self._place + 1, len(self._order))
        if self._place == len(self._order):
            raise StopIteration
        return self._order[self._place]

    def _step(self, node: Scalar) -> None:
        adjoint, reached = self._adjoints[node.number], node.number in self._reached
        for operand, sent, counts in _send(node, self._sends[node.number], adjoint, reached):
            before = self._adjoints.get(operand.number)
            self._adjoints[operand.number] = sent if before is None else before + sent
            if counts:
                self._reached.add(operand.number)

    def name(self, node: Scalar) -> str:
        """The node's label; one without is called v3 where it is the third operation behind the result."""
        if self._names is None:
            nodes = sorted(_made_from(self._output, _scalars), key=lambda node: node.number)
            namer, steps = Namer(()), itertools.count(1)
            self._names = {each.number: namer.fresh(each.label) for each in nodes if each.label is not None}
            for each in nodes:
                n = next(steps) if each.op is not None else None
                if each.label is None:
                    self._names[each.number] = namer.fresh("x" if n is None else f"v{n}")
        if node.number not in self._names:
            raise SymdiffError(f"{node!r} is not part of this sweep: the result does not depend on it")
        return self._names[node.number]

    @property
    def adjoints(self) -> dict[str, float]:
        """What has arrived so far, by name; nodes that have received nothing are left out."""
        return {self.name(node): self._adjoints[node.number] for node in self._nodes if node.number in self._adjoints}

    @property
    def pending(self) -> dict[str, list[str]]:
        """Name -> the contributions that are still missing, in the order in which they will come.

        Of a `where` the side that was not taken will send 0.
        """
        found: dict[str, list[str]] = {}
        for node in self._order[max(self._place, 0) :]:
            bars = self._in_names(node)
            for operand, rule in self._sends[node.number]:
                cut = node.op == "where" and not _taken(node, rule)
                sent = ZERO_NUMBER if cut else substitute(rule.sent, bars)
                found.setdefault(self.name(operand), []).append(_text(sent))
        return found

    def _in_names(self, node: Scalar) -> dict[str, Expr]:
        name = self.name(node)
        table: dict[str, Expr] = {_UPSTREAM: Name(f"{name}_bar"), _VALUE: Name(name)}
        for place, arg in zip(OPERAND_NAMES, node.operands, strict=False):
            if isinstance(arg, Scalar):
                table[place] = Name(self.name(arg))
        return table


# -- rules -----------------------------------------------------------------------------------------------------------


def _made_from(output: Scalar, operands: Callable[[Scalar], list[Scalar]]) -> list[Scalar]:
    """`output` and everything behind it, each once."""
    found, work = {output.number: output}, [output]
    while work:
        for operand in operands(work.pop()):
            if operand.number not in found:
                found[operand.number] = operand
                work.append(operand)
    return list(found.values())


def _scalars(node: Scalar) -> list[Scalar]:
    return [arg for arg in node.operands if isinstance(arg, Scalar)]


def _sends(node: Scalar) -> tuple[tuple[Scalar, _Rule], ...]:
    """The operands that a node sends something to, each with the rule."""
    if node.op is None:
        return ()
    constants = tuple([None if isinstance(arg, Scalar) else float(arg).hex() for arg in node.operands])
    return tuple((node.operands[rule.place], rule) for rule in _rules(node.op, constants))


def _taken(node: Scalar, rule: _Rule) -> bool:
    """Whether the condition of a `where` chose this operand."""
    return bool(node.operands[0]) == (rule.place == 1)


def _send(
    node: Scalar, sends: tuple[tuple[Scalar, _Rule], ...], upstream: float, reached: bool
) -> list[tuple[Scalar, float, bool]]:
    """One step: add to the operands' `grad`; (operand, what it received, whether it came along branches taken)."""
    given = [np.float64(arg.data if isinstance(arg, Scalar) else arg) for arg in node.operands]
    given += [np.float64(0.0)] * (len(OPERAND_NAMES) - len(given))
    made = []
    with np.errstate(all="ignore"):
        for operand, rule in sends:
            counts = reached and (node.op != "where" or _taken(node, rule))
            sent = 0.0
            if counts:
                sent = float(rule.function(rule.constants, np.float64(upstream), *given, np.float64(node.data)))
            operand._receive(sent, counts)
            made.append((operand, sent, counts))
    return made


@lru_cache(maxsize=4096)
def _rules(op: str, constants: tuple[str | None, ...]) -> tuple[_Rule, ...]:
    """What an op sends to each operand that is a Scalar, where it is not the constant 0.

    `constants` are the operands that are numbers, in hexadecimal, which tells 0.0 from -0.0: folded into the rule, as
    the reverse sweep of a tape does.
    """
    numbers = [None if text is None else Number(float.fromhex(text)) for text in constants]
    known = {place: number for place, number in zip(OPERAND_NAMES, numbers, strict=False) if number is not None}
    found = []
    for place, (number, partial) in enumerate(zip(numbers, TABLE[op].partials, strict=True)):
        if number is not None or partial is None:
            continue
        local = fold(substitute(partial, known))
        if not is_zero(local):
            sent = fold(call("mul", Name(_UPSTREAM), local))
            text, literals = _python(sent)
            found.append(_Rule(place, sent, _function(text), literals))
    return tuple(found)


def _python(expr: Expr) -> tuple[str, tuple[Any, ...]]:
    """The expression in the table's NumPy spellings, and its constants, which the text calls k[0], k[1], ..."""
    constants: list[Any] = []

    def leaf(part: Name | Number) -> str:
        if isinstance(part, Name):
            return part.id
        constants.append(np.float64(part.value))
        return f"k[{len(constants) - 1}]"

    text = bottom_up(expr, leaf, lambda each, args: f"({_spelling(each, 'python').text.format(*args)})")
    return text, tuple(constants)


@lru_cache(maxsize=1024)
def _function(text: str) -> Callable[..., Any]:
    names = ", ".join(("k", _UPSTREAM, *OPERAND_NAMES, _VALUE))
    function: Callable[..., Any] = eval(f"lambda {names}: {text}", {"np": np, **_HELPERS})  # the table's text
    return function


_HELPERS = dict(getmembers(helpers, isfunction))


def _spelling(each: Call, language: str) -> Spelling:
    """How the op is written; a power with a small whole exponent has a spelling of its own."""
    entry = TABLE[each.op]
    special = entry.literal_exponents.get(language)
    own = special(constant_value(each.args[-1])) if special is not None and is_constant(each.args[-1]) else None
    found: Spelling = own or getattr(entry, language)
    return found


def _text(expr: Expr) -> str:
    """The expression as a trace shows it."""

    def leaf(part: Name | Number) -> tuple[str, int]:
        if isinstance(part, Name):
            return part.id, ATOM
        whole = part.value.is_integer() and abs(part.value) < 1e15 and not (part.value == 0.0 and part.negative)
        text = part.symbol or (str(int(part.value)) if whole else repr(part.value))
        return text, NEG if part.negative else ATOM

    def node(each: Call, args: list[tuple[str, int]]) -> tuple[str, int]:
        spelling = _spelling(each, "text")
        pieces = [
            f"({t})" if strength < place else t for (t, strength), place in zip(args, spelling.places, strict=False)
        ]
        return spelling.text.format(*pieces), spelling.strength

    return bottom_up(expr, leaf, node)[0]


__all__ = ["Scalar", "Sweep"]
