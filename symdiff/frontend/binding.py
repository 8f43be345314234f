"""Bindings: abstract functions of a formula -> ops or helpers. Nothing is evaluated.

    binding ::= the name of an op ("relu", "logsumexp")
              | text: helpers def NAME(...): return ..., of which the one with the function's name counts, else the last
              | "@FILE", a pathlib.Path: such a text
              | a Python function, whose source is read

A bound function is a helper of the formula, and is held to its declaration: what is declared elementwise may call no
operation on arrays (refused here), and a value has the declared shape (the op `declared`, for `linearize`, which knows
shapes). The texts of bindings are put behind the formula's own, so that the places of what they say stay places in
`FormulaData.source`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from symdiff.errors import ParseError, SymdiffError, UnsupportedError, nearest, quoted
from symdiff.expr import Call, Expr, Name, Number, bottom_up, walk
from symdiff.formula_data import Abstract, FormulaData, Helper, Limits, Statement
from symdiff.frontend.calls import advice, default_options
from symdiff.frontend.files import read_text
from symdiff.frontend.parser import HELPER_LEVELS, Parser
from symdiff.frontend.tokens import END, NAME, NEWLINE, tokenize
from symdiff.frontend.words import FUNCTIONS, REDUCTIONS, SHAPED
from symdiff.ops import ARRAYS, TABLE

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_ACCEPTED = "a binding is the name of an op, a text 'def f(x): return ...', '@FILE', a path or a Python function"
_CHECK = "declared"  # the op
_WRITTEN = {"matmul": "@", "transpose": ".T", "matrix_transpose": ".mT", "index": "an index"}
_NOT_ALONE = ("where", "polygamma", *SHAPED)  # whose arguments are not all operands


def bind(data: FormulaData, bindings: Mapping[str, Any]) -> FormulaData:
    """`data` with abstract functions bound; the others stay.

    Raises SymdiffError for an unknown function, ParseError and UnsupportedError for a binding that cannot be read or
    does not fit (as where a function declared elementwise is bound to one that mixes elements), with the place in the
    binding's own text. Shapes of values are checked by `linearize`.
    """
    for name, value in bindings.items():
        if name not in data.functions:
            none = "" if data.functions else "; it has none, phi: function declares one"
            near = nearest(str(name), data.functions)
            raise SymdiffError(f"bind: {quoted(str(name))} is not an abstract function of the formula{near}{none}")
        data = _bound(data, name, value)
    if bindings:
        _check_size(data)
    return data


def _bound(data: FormulaData, name: str, value: Any) -> FormulaData:
    functions = {key: function for key, function in data.functions.items() if key != name}
    without = replace(data, functions=functions)
    if isinstance(value, str) and _IDENTIFIER.fullmatch(value.strip()):
        return _renamed(without, data.functions[name], value.strip())
    text, file = ("", "") if callable(value) else _text(name, value)
    try:
        if callable(value):
            text, made = _from_function(data, name, value)
        else:
            made = _Definitions(text, data, name).helpers_for()
        _check_arity(data, name, len(made[-1].parameters))
        if data.functions[name].shape is None:
            _check_elementwise(name, made, text)
    except SymdiffError as error:
        raise error.in_file(file or f"binding of {name}") from None
    if _may_differ(data, data.functions[name], made):
        made[-1] = _checked(data.functions[name], made[-1])
    made = [_moved(helper, len(data.source) + 1) for helper in made]
    helpers = {helper.name: helper for helper in made} | dict(data.helpers)
    return replace(without, source=f"{data.source}\n{text}", helpers=helpers)


def _text(name: str, value: Any) -> tuple[str, str]:
    """Text of a binding, and the file that it comes from."""
    if isinstance(value, Path):
        return _file_text(value), str(value)
    if not isinstance(value, str):
        kind = quoted(type(value).__name__)
        raise UnsupportedError(f"bind: '{name}' cannot be bound to an object of type {kind}; {_ACCEPTED}")
    if value.startswith("@"):
        return _file_text(Path(value[1:])), value[1:]
    return value, ""


def _file_text(path: Path) -> str:
    if path.suffix == ".py":
        raise UnsupportedError(f"{quoted(str(path), 250)} is Python; give the function itself")
    return read_text(path, Limits())


# -- an op -------------------------------------------------------------------------------------------------------------


def _renamed(data: FormulaData, function: Abstract, word: str) -> FormulaData:
    """The calls become calls of an op."""
    name = function.name
    arity = _arity(data, name)
    if word not in FUNCTIONS:
        near = advice(word, FUNCTIONS)
        raise ParseError(f"bind: {quoted(word)}, for '{name}', is not a function of the language{near}")
    if word in _NOT_ALONE:
        raise ParseError(f"bind: {word}() needs more than operands; write def {name}(x): return {word}(...)")
    op = REDUCTIONS[word] if word in REDUCTIONS and arity == 1 else FUNCTIONS[word]
    if function.shape is None and op in ARRAYS:
        raise ParseError(f"bind: {_mixes(name, word)}")
    operands = TABLE[op].operands if op in TABLE else ARRAYS[op].operands
    if operands >= 0:
        _check_arity(data, name, operands)
    options = default_options(op)
    checked = function.shape is not None and _has_arrays(data, function, [Call(op, ())])

    def renamed(expr: Expr) -> Expr:
        return bottom_up(expr, _leaf, lambda call, args: node(call.over(args)))

    def node(call: Call) -> Expr:
        if call.op != name:
            return call
        made = Call(op, call.args, call.span, options)
        return Call(_CHECK, (made,), call.span, (name, function.shape)) if checked else made

    helpers = {key: replace(helper, body=renamed(helper.body)) for key, helper in data.helpers.items()}
    statements = tuple(replace(statement, expr=renamed(statement.expr)) for statement in data.statements)
    return replace(data, helpers=helpers, statements=statements)


def _leaf(leaf: Name | Number) -> Expr:
    return leaf


def _calls(data: FormulaData) -> list[Call]:
    """Every call in the formula, those of helpers first."""
    trees = [helper.body for helper in data.helpers.values()] + [statement.expr for statement in data.statements]
    return [part for tree in trees for part in walk(tree) if isinstance(part, Call)]


def _arity(data: FormulaData, name: str) -> int | None:
    """Number of arguments in the calls of a function; None where there is no call."""
    return next((len(call.args) for call in _calls(data) if call.op == name), None)


def _check_arity(data: FormulaData, name: str, takes: int) -> None:
    arity = _arity(data, name)
    if arity is not None and arity != takes:
        given = f"{arity} argument{'s' * (arity != 1)}"
        raise ParseError(f"bind: '{name}' is called with {given}, and what it is bound to takes {takes}")


# -- what is declared --------------------------------------------------------------------------------------------------


def _mixes(name: str, word: str) -> str:
    shaped = f"declare the shape of what it gives, {name}: function() or {name}: function(3)"
    return f"'{name}' is declared elementwise, {name}: function, and {word} works on whole arrays; {shaped}"


def _check_elementwise(name: str, helpers: list[Helper], text: str) -> None:
    """No operation on arrays in the last helper, nor in those that it calls."""
    called = {helpers[-1].name}
    for helper in reversed(helpers):  # each after those that it calls
        if helper.name not in called:
            continue
        for part in walk(helper.body):
            if not isinstance(part, Call):
                continue
            if part.op in ARRAYS:
                raise ParseError(_mixes(name, _WRITTEN.get(part.op, f"{part.op}()")), text=text, at=_start(part))
            called.add(part.op)


def _start(call: Call) -> int:
    return call.span[0] if call.span else 0


def _may_differ(data: FormulaData, function: Abstract, helpers: list[Helper]) -> bool:
    """Whether the shape of what a function is bound to may be another than the declared one."""
    if not _has_arrays(data, function, [helper.body for helper in helpers]):
        return False
    return function.shape is not None or len(_used(helpers)) < len(helpers[-1].parameters)


def _has_arrays(data: FormulaData, function: Abstract, bodies: Collection[Expr]) -> bool:
    """Whether there are arrays at all; a formula of scalars has a SymPy form, and stays free of checks."""
    if function.shape or any(given.shape for given in data.declared):
        return True
    calls = _calls(data) + [part for body in bodies for part in walk(body) if isinstance(part, Call)]
    return any(call.op in ARRAYS for call in calls)


def _used(helpers: list[Helper]) -> frozenset[str]:
    """Parameters of the last helper that its value depends on, through the helpers that it calls."""
    used: dict[str, list[bool]] = {}

    def node(call: Call, args: list[frozenset[str]]) -> frozenset[str]:
        counts = used.get(call.op, [True] * len(args))
        return frozenset[str]().union(*(arg for arg, each in zip(args, counts, strict=True) if each))

    found: frozenset[str] = frozenset()
    for helper in helpers:
        found = bottom_up(helper.body, _names_of, node)
        used[helper.name] = [parameter in found for parameter in helper.parameters]
    return found


def _names_of(leaf: Name | Number) -> frozenset[str]:
    return frozenset([leaf.id] if isinstance(leaf, Name) else [])


def _checked(function: Abstract, helper: Helper) -> Helper:
    """The helper with its value held to the declared shape; that of its arguments for an elementwise function."""
    operands = tuple(map(Name, helper.parameters)) if function.shape is None else ()
    span = helper.body.span if isinstance(helper.body, Call | Name | Number) else None
    body = Call(_CHECK, (helper.body, *operands), span or helper.span, (function.name, function.shape))
    return replace(helper, body=body)


# -- a text ------------------------------------------------------------------------------------------------------------


class _Definitions(Parser):
    """Reads helpers alone."""

    def __init__(self, text: str, data: FormulaData, name: str) -> None:
        super().__init__(text, data.limits, tokenize(text, data.limits), frozenset())
        self.name_bound = name
        self.dimensions = dict.fromkeys(data.dimensions)
        self.taken = _taken(data)

    def helpers_for(self) -> list[Helper]:
        """The helpers of the text, the one that counts last and under the function's name."""
        while self.peek().kind != END:
            token = self.peek()
            if token.kind == NEWLINE:
                self.take()
                continue
            if token.kind != NAME or token.text != "def":
                raise self.fail(f"{_ACCEPTED}; a text has nothing but helpers, def f(x): return ...", token)
            self.helper()
            self.end_of_line()
        if not self.helpers:
            raise self.fail(_ACCEPTED, 0)
        names = list(self.helpers)
        last = names.index(self.name_bound) if self.name_bound in names else len(names) - 1
        made = [self.helpers[each] for each in names[: last + 1]]
        return [*made[:-1], replace(made[-1], name=self.name_bound)]


def _taken(data: FormulaData) -> Collection[str]:
    """Names that calls of the formula have already."""
    return {*data.helpers, *data.functions}


# -- a Python function -------------------------------------------------------------------------------------------------


def _from_function(data: FormulaData, name: str, function: Callable[..., Any]) -> tuple[str, list[Helper]]:
    """The text of a function, and helpers for its statements: each is called with the values of those before it."""
    from symdiff.frontend.python_source import read_function

    read = read_function(function, limits=data.limits, bound=True)
    unknown = [size for size in read.dimensions if size not in data.dimensions]
    if read.functions:
        raise UnsupportedError(f"'{next(iter(read.functions))}' is a function; parameters of a bound function are not")
    if unknown:
        raise UnsupportedError(f"the formula has no dimension '{unknown[0]}'{nearest(unknown[0], data.dimensions)}")
    taken = set(_taken(data))
    inner = {key: _fresh(key, taken) for key in read.helpers}
    helpers = [
        replace(helper, name=inner[key], body=_ops_renamed(helper.body, inner)) for key, helper in read.helpers.items()
    ]
    parameters = tuple(given.name for given in read.declared)
    return read.source, helpers + _chain(name, parameters, read.statements, inner, taken)


def _fresh(name: str, taken: set[str]) -> str:
    while name in taken or name in TABLE or name in ARRAYS:
        name += "_"
    taken.add(name)
    return name


def _ops_renamed(expr: Expr, names: Mapping[str, str]) -> Expr:
    return bottom_up(expr, _leaf, lambda call, args: replace(call.over(args), op=names.get(call.op, call.op)))


def _chain(
    name: str, parameters: tuple[str, ...], statements: Sequence[Statement], inner: Mapping[str, str], taken: set[str]
) -> list[Helper]:
    """`def l(o): a = e; return b` as `def l_1(o, a): return b` and `def l(o): return l_1(o, e)`.

    A value that is used twice is worked out once, because helpers are called by value.
    """
    known = parameters
    links = []
    for statement in statements:
        _check_names(name, statement.expr, known)
        links.append((known, statement))
        known = (*known, statement.name) if statement.name is not None else known
    made: list[Helper] = []
    following: Helper | None = None
    for position, (names, statement) in reversed(list(enumerate(links))):
        body = _ops_renamed(statement.expr, inner)
        if following is not None:
            body = Call(following.name, (*map(Name, names), body), statement.span)
        op = name if position == 0 else _fresh(f"{name}_{position}", taken)
        following = Helper(op, names, body, statement.span)
        made.append(following)
    return made


def _check_names(name: str, expr: Expr, known: Collection[str]) -> None:
    for part in walk(expr):
        if isinstance(part, Name) and part.id not in known:
            used = f"the function uses the dimension '{part.id}' as a number"
            raise UnsupportedError(f"{used}; pass it as an argument")


# -- the whole ---------------------------------------------------------------------------------------------------------


def _moved(helper: Helper, offset: int) -> Helper:
    """The same helper, with its places counted in the formula's text and the binding's behind it."""

    def leaf(part: Name | Number) -> Expr:
        return replace(part, span=moved(part.span))

    def moved(span: tuple[int, int] | None) -> tuple[int, int] | None:
        return (span[0] + offset, span[1] + offset) if span else None

    def node(call: Call, args: list[Expr]) -> Expr:
        return Call(call.op, tuple(args), moved(call.span), call.options)

    start, end = helper.span
    return replace(helper, body=bottom_up(helper.body, leaf, node), span=(start + offset, end + offset))


def _check_size(data: FormulaData) -> None:
    """The limits of helpers, which a text keeps by itself, for what bindings put together."""
    cost: dict[str, int] = {_CHECK: 0}
    levels: dict[str, int] = {}
    for op, helper in data.helpers.items():  # each after those that it calls
        called = [part.op for part in walk(helper.body) if isinstance(part, Call)]
        cost[op] = sum(cost.get(each, 1) for each in called)
        levels[op] = 1 + max((levels.get(each, 0) for each in called), default=0)
    steps = sum(
        cost.get(part.op, 1) for statement in data.statements for part in walk(statement.expr) if isinstance(part, Call)
    )
    if steps > data.limits.steps:
        raise ParseError(f"bind: more than {data.limits.steps} elementary steps; raise the limit `steps`")
    if max(levels.values(), default=0) > HELPER_LEVELS:
        raise ParseError(f"bind: helpers that call helpers more than {HELPER_LEVELS} deep")


__all__ = ["bind"]
