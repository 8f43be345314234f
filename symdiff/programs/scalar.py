"""A number that remembers how it was made: reverse mode one node at a time, for learning and for small programs.

    Scalar ::= data, grad, how it was made   # an op of the table over Scalars and plain floats
    Sweep  ::= the nodes of a result, last made first, each just before it sends its adjoint to its operands

The rules and the numbers are those of the tape: a value comes from the op table's NumPy spelling, and what a node
sends is the same folded expression `upstream * partial` that a trace shows. So the state before any step of a sweep is
the state that `formula(...).gradient().trace(...).before(...)` reports. Nothing here recurses.
"""

from __future__ import annotations

import itertools
import operator
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from inspect import getmembers, isfunction
from typing import Any, NoReturn

import numpy as np

from symdiff.errors import SymdiffError, UnsupportedError
from symdiff.expr import ZERO_NUMBER, Call, Expr, Name, Number, bottom_up, call, is_constant, substitute, walk
from symdiff.ops import COMPARE_OPS, TABLE, Spelling, helpers
from symdiff.ops.core import ATOM, NEG, OPERAND_NAMES
from symdiff.ops.evaluate import constant_value, fold, is_zero
from symdiff.programs.operand import Condition, Operand, as_float, value_of
from symdiff.tape import Namer

_UPSTREAM, _VALUE = "upstream", "v"  # names in the rules, beside the operands' x, y and z
_CLOCK = itertools.count(1)  # the order in which nodes are made is the order of the steps

# Ops that Python's floats compute as NumPy's do, to the last bit and without an error: by far the most frequent ones.
_VALUES: dict[str, Callable[..., float]] = {
    "add": operator.add,
    "sub": operator.sub,
    "mul": operator.mul,
    "neg": operator.neg,
    "square": lambda x: x * x,
    "identity": lambda x: x,
}
# Ops whose spelling Python's floats understand; a division by zero, which raises, is left to NumPy.
_PLAIN = frozenset({*_VALUES, *COMPARE_OPS, "div", "inverse", "where"})
_CHOICE = "({1} if {0} else {2})"  # `where` of single numbers
_ANY = ""  # stands for a constant whose value the rule does not depend on


class Scalar(Operand):
    """A real number with its derivative.

    >>> x = Scalar(3.0, "x")
    >>> y = x*x + x.exp()
    >>> y.backward()
    >>> x.grad == 2*x.data + y.data - 9.0
    True

    data   its value, a float; may be changed, which changes nothing that was made of it before: a sweep goes by the
           values that there were at the time of each operation
    grad   the derivative of what `backward` was called on by this number; 0.0 at first. Every sweep *adds* to it, as
           in PyTorch: call `zero_grad`, or set it to 0.0, before the next one
    label  a name for people, or None

    All operators, the ops of the table as methods (`x.exp()`) and `symdiff.functions` work on it. A program may branch
    on a comparison, which has a value here (a program that is traced may not). Raises SymdiffError where `data` is not
    one real number.

    `copy.copy` gives a twin made from the same operands, `copy.deepcopy` a twin of everything behind it too. What is
    pickled are the numbers that a program starts from (parameters, data), not those that it computed.
    """

    __slots__ = ("_given", "_reached", "data", "grad", "label", "number", "op", "operands")
    __hash__ = object.__hash__  # a node is the same node, whatever its value

    def __init__(self, data: Any, label: str | None = None) -> None:
        value = data if type(data) is float else NotImplemented if isinstance(data, str) else as_float(data)
        if value is NotImplemented:
            raise SymdiffError(f"a Scalar holds one real number, not {type(data).__name__}")
        self._set(value, label, None, (), ())

    def _set(
        self,
        value: float,
        label: str | None,
        op: str | None,
        operands: tuple[Any, ...],
        given: tuple[float, ...],
    ) -> None:
        self.data: float = value
        self.grad: float = 0.0
        self.label = label
        self.op, self.operands = op, operands
        self._given = given  # values of the operands and of the node when it was made
        self.number = next(_CLOCK)  # tells the nodes of a process apart, and is larger than those of the operands
        self._reached: bool | None = None  # whether an adjoint came along branches that were taken; None: none came

    # -- forward -----------------------------------------------------------------------------------------------------

    def _apply(self, op: str, args: tuple[Any, ...]) -> Scalar:
        made = Scalar.__new__(Scalar)
        if op == "where":
            args = (bool(args[0]), *args[1:])
        values = [arg.data if isinstance(arg, Scalar) else arg for arg in args]
        for k, each in enumerate(values):
            if type(each) is not float:
                values[k] = _real(each)
        direct = _VALUES.get(op)
        if direct is not None:
            value = direct(*values)
        elif op == "where":
            value = values[1] if args[0] else values[2]
        else:
            value = value_of(op, values, exponent=not isinstance(args[-1], Scalar))
        made._set(value, None, op, args, (*values, value))
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
            if self.op is not None:
                rule = _rule(self)
                sends = tuple((k, self.operands[place]) for k, place in enumerate(rule.places))
                _send(self, rule, sends, float(self.grad), self._reached is not False)
            return
        found = _behind(self)
        if not any(rule is not None and rule.branches for _, rule in found.values()):
            _swept(self, found)
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

    # -- copies, which are nodes of their own ------------------------------------------------------------------------

    def __copy__(self) -> Scalar:
        twin = type(self).__new__(type(self))
        twin._set(self.data, self.label, self.op, self.operands, self._given)
        twin.grad, twin._reached = self.grad, self._reached
        return twin

    def __deepcopy__(self, memo: dict[int, Any]) -> Scalar:
        def missing(node: Scalar) -> list[Scalar]:
            return [operand for operand in _scalars(node) if id(operand) not in memo]

        for node in _made_from(self, missing):  # operands come before what is made of them
            twin = memo[id(node)] = node.__copy__()
            twin.operands = tuple([memo[id(arg)] if isinstance(arg, Scalar) else arg for arg in node.operands])
        twin = memo[id(self)]
        assert isinstance(twin, Scalar)
        return twin

    def __reduce__(self) -> tuple[Any, ...]:
        if self.op is not None:
            raise UnsupportedError(
                "a Scalar that was computed is not pickled, because the program behind it would have to come along; "
                "pickle the Scalars that the program starts from and compute again, or pickle its .data"
            )
        return _restored, (type(self), self.data, self.grad, self.label)

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


def _quick(op: str, compute: Callable[[float, float], float], slow: Callable[..., Any], after: bool) -> Any:
    """The operator between Scalars and floats; `slow` is what Operand has for everything else.

    A program is mostly sums and products, and they take a third of the time without the way through `_apply`.
    """

    def between(self: Scalar, other: Any) -> Any:
        a = self.data
        b = other.data if type(other) is Scalar else other
        if type(a) is not float or type(b) is not float:
            return slow(self, other)
        made = Scalar.__new__(Scalar)
        if after:
            value = compute(b, a)
            made._set(value, None, op, (other, self), (b, a, value))
        else:
            value = compute(a, b)
            made._set(value, None, op, (self, other), (a, b, value))
        return made

    return between


for _op in ("add", "sub", "mul"):
    for _name, _after in ((f"__{_op}__", False), (f"__r{_op}__", True)):
        setattr(Scalar, _name, _quick(_op, _VALUES[_op], getattr(Operand, _name), _after))


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

    Nothing is changed before the first step is asked for. A sweep that is abandoned half-way leaves what it has sent so
    far in `grad`: call `zero_grad` before the next one.
    """

    def __init__(self, output: Scalar) -> None:
        self._output = output
        self._nodes: list[Scalar] = []  # that the result is differentiated by, in the order in which they were made
        self._sends: dict[int, tuple[_Rule, _Sends]] = {}
        self._collect(_behind(output))
        self._order = [node for node in reversed(self._nodes) if node.number in self._sends]
        self._names: dict[int, str] | None = None
        self._place = -1  # of the node given last
        self._adjoints = {output.number: 1.0}
        self._reached = {output.number}

    def _collect(self, found: _Found) -> None:
        """Keep the nodes that something is sent to."""
        idle = _idle(found)
        for number in sorted(found):
            node, rule = found[number]
            if rule is not None and number not in idle:
                sends = [(k, node.operands[place]) for k, place in enumerate(rule.places)]
                self._sends[number] = rule, tuple([send for send in sends if send[1].number not in idle])
            if number not in idle or node is self._output:
                self._nodes.append(node)

    def __next__(self) -> Scalar:
        if self._place < 0:
            self._output.grad += 1.0
            self._output._reached = True
        elif self._place < len(self._order):
            self._step(self._order[self._place])
        self._place = min(self._place + 1, len(self._order))
        if self._place == len(self._order):
            raise StopIteration
        return self._order[self._place]

    def _step(self, node: Scalar) -> None:
        number, adjoints = node.number, self._adjoints
        for operand, sent, counts in _send(node, *self._sends[number], adjoints[number], number in self._reached):
            place = operand.number
            before = adjoints.get(place)
            adjoints[place] = sent if before is None else before + sent
            if counts:
                self._reached.add(place)

    def name(self, node: Scalar) -> str:
        """The node's label; one without is called v3 where it is the third operation behind the result."""
        if self._names is None:
            nodes = _made_from(self._output, _scalars)
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
            rule, sends = self._sends[node.number]
            expressions = _sent(rule.op, _constants(node, exact=True))
            for k, operand in sends:
                cut = rule.branches and not _taken(node, rule.places[k])
                sent = ZERO_NUMBER if cut else substitute(expressions[rule.places[k]], bars)
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


@dataclass(frozen=True, slots=True)
class _Rule:
    """What a node sends to its operands at `places`: one function that computes it for all of them."""

    op: str
    places: tuple[int, ...]
    function: Callable[..., tuple[Any, ...]]  # of the constants, the adjoint, the operands' values and the node's own
    constants: tuple[float, ...]
    plain: bool  # Python's floats compute the same as NumPy's, and faster
    branches: bool  # of a `where`: only the side that was taken receives something

    def numbers(self, upstream: float, given: tuple[float, ...]) -> tuple[float, ...]:
        """What is sent, in the order of `places`."""
        if self.plain:
            try:
                return self.function(self.constants, upstream, *given)
            except ZeroDivisionError:
                pass  # NumPy divides by zero
        real = np.float64
        with np.errstate(all="ignore"):
            made = self.function([real(c) for c in self.constants], real(upstream), *map(real, given))
        return tuple(map(float, made))


_Sends = tuple[tuple[int, Scalar], ...]  # (place in `_Rule.places`, operand)
_Found = dict[int, tuple[Scalar, _Rule | None]]  # number -> node, and what it sends where it has operands


def _behind(output: Scalar) -> _Found:
    """`output` and every node that something is sent to on the way from it."""
    found: _Found = {}
    work = [output]
    while work:
        node = work.pop()
        if node.number in found:
            continue
        if node.op is None:
            found[node.number] = node, None
            continue
        rule = _rule(node)
        found[node.number] = node, rule
        operands = node.operands
        for place in rule.places:
            work.append(operands[place])
    return found


def _swept(output: Scalar, found: _Found) -> None:
    """The whole sweep at once, the same sums in the same order as step by step.

    For nodes without the branches of a `where`: then every adjoint counts.
    """
    output.grad += 1.0
    output._reached = True
    idle = _idle(found)
    adjoints = {output.number: 1.0}
    for number in sorted(found, reverse=True):
        node, rule = found[number]
        if rule is None or number in idle:
            continue
        operands = node.operands
        for place, sent in zip(rule.places, rule.numbers(adjoints[number], node._given), strict=True):
            operand = operands[place]
            of = operand.number
            if of in idle:
                continue
            operand.grad += sent
            operand._reached = True
            adjoints[of] = adjoints[of] + sent if of in adjoints else sent


def _idle(found: _Found) -> set[int]:
    """Nodes that depend on nothing, such as sign(x) and 0*x: nothing is sent to them."""
    idle: set[int] = set()
    if all(rule is None or rule.places for _, rule in found.values()):
        return idle
    for number in sorted(found):
        node, rule = found[number]
        if rule is None:
            continue
        for place in rule.places:
            if node.operands[place].number not in idle:
                break
        else:
            idle.add(number)
    return idle


def _made_from(output: Scalar, operands: Callable[[Scalar], Iterable[Scalar]]) -> list[Scalar]:
    """`output` and everything behind it, each once, in the order in which they were made."""
    found, work = {output.number: output}, [output]
    while work:
        for operand in operands(work.pop()):
            if operand.number not in found:
                found[operand.number] = operand
                work.append(operand)
    return sorted(found.values(), key=operator.attrgetter("number"))


def _scalars(node: Scalar) -> list[Scalar]:
    return [arg for arg in node.operands if isinstance(arg, Scalar)]


def _taken(node: Scalar, place: int) -> bool:
    """Whether the condition of a `where` chose this operand."""
    return bool(node.operands[0]) == (place == 1)


def _send(node: Scalar, rule: _Rule, sends: _Sends, upstream: float, reached: bool) -> list[tuple[Scalar, float, bool]]:
    """One step: add to the operands' `grad`; (operand, what it received, whether it came along branches taken)."""
    numbers = rule.numbers(upstream, node._given) if reached else ()
    branches, made = rule.op == "where", []
    for k, operand in sends:
        counts = reached and (not branches or _taken(node, rule.places[k]))
        sent = numbers[k] if counts else 0.0
        operand.grad += sent
        if counts or operand._reached is None:
            operand._reached = counts
        made.append((operand, sent, counts))
    return made


def _real(value: Any) -> float:
    """The `data` that a user has set, as a float."""
    made = NotImplemented if isinstance(value, str) else as_float(value)
    if made is NotImplemented:
        raise SymdiffError(f"the data of a Scalar is one real number, not {type(value).__name__}")
    return float(made)


def _restored(kind: type[Scalar], data: float, grad: float, label: str | None) -> Scalar:
    """A Scalar out of a pickle."""
    made = kind.__new__(kind)
    made._set(data, label, None, (), ())
    made.grad = grad
    return made


def _constants(node: Scalar, *, exact: bool = False) -> tuple[str | None, ...]:
    """The operands that are numbers, in hexadecimal, which tells 0.0 from -0.0; None for Scalars.

    Unless it must be `exact`, a number that leaves the form of the rule as it is comes out as `_ANY`, so that a program
    of many numbers has few rules. A sum or a product is computed to the same bits then (1*a is a).
    """
    free = not exact and node.op in ("add", "sub", "mul")
    return tuple(
        [None if isinstance(arg, Scalar) else _ANY if free and arg else float(arg).hex() for arg in node.operands]
    )


def _rule(node: Scalar) -> _Rule:
    op, operands = node.op, node.operands
    assert op is not None
    for operand in operands:
        if type(operand) is not Scalar:
            return _rule_of(op, _constants(node))
    found = _RULES.get(op)  # of Scalars alone, which is the most frequent case
    if found is None:
        found = _RULES[op] = _rule_of(op, _constants(node))
    return found


_RULES: dict[str, _Rule] = {}


@lru_cache(maxsize=4096)
def _rule_of(op: str, constants: tuple[str | None, ...]) -> _Rule:
    sent = _sent(op, constants)
    parts = [part for expr in sent.values() for part in walk(expr) if isinstance(part, Call)]
    texts: list[str] = []
    literals: list[float] = []
    for expr in sent.values():
        texts.append(_python(expr, literals))
    names = ("k", _UPSTREAM, *OPERAND_NAMES[: len(constants)], _VALUE)
    function = _function(f"lambda {', '.join(names)}: ({''.join(text + ', ' for text in texts)})")
    return _Rule(op, tuple(sent), function, tuple(literals), all(part.op in _PLAIN for part in parts), op == "where")


@lru_cache(maxsize=4096)
def _sent(op: str, constants: tuple[str | None, ...]) -> dict[int, Expr]:
    """Place -> what the op sends to the operand there that is a Scalar, where it is not the constant 0.

    Numbers (see `_constants`) are folded into it, as the reverse sweep of a tape does.
    """
    known = {name: Number(float.fromhex(text)) for name, text in zip(OPERAND_NAMES, constants, strict=False) if text}
    found = {}
    for place, (text, partial) in enumerate(zip(constants, TABLE[op].partials, strict=True)):
        if text is not None or partial is None:
            continue
        local = fold(substitute(partial, known))
        if not is_zero(local):
            found[place] = fold(call("mul", Name(_UPSTREAM), local))
    return found


def _python(expr: Expr, constants: list[float]) -> str:
    """The expression in the table's NumPy spellings; its numbers, called k[0], k[1], ..., go to `constants`."""

    def leaf(part: Name | Number) -> str:
        if isinstance(part, Name):
            return part.id
        constants.append(part.value)
        return f"k[{len(constants) - 1}]"

    def node(each: Call, args: list[str]) -> str:
        text = _CHOICE if each.op == "where" else _spelling(each, "python").text
        return f"({text.format(*args)})"

    return bottom_up(expr, leaf, node)


@lru_cache(maxsize=1024)
def _function(text: str) -> Callable[..., Any]:
    function: Callable[..., Any] = eval(text, {"np": np, **_HELPERS})  # the table's text
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
