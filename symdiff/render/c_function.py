"""One C function of a tape: identifiers, statements, and the strings that the templates put together."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Set
from typing import Any

from symdiff.expr import Call, Expr, Name, Number, call, walk
from symdiff.render.c_quotients import OVER, divisor, over_divisors
from symdiff.render.context import Sheet, first_contributions, identifiers, line_comment
from symdiff.render.names import C_RESERVED, mangled
from symdiff.render.printer import Printer, without_minus
from symdiff.shapes import described
from symdiff.tape import Namer, Step, Tape

LIBM = (
    "sin cos tan asin acos atan atan2 sinh cosh tanh asinh acosh atanh exp expm1 log log1p log2 log10 sqrt cbrt fabs "
    "pow hypot erf erfc tgamma lgamma"
).split()
_MOST_PARAMETERS = 127  # what C99 promises (5.2.4.1); a formula with more has the array interface alone
_COMMENT_COLUMN = 52
_WIDTH = 118  # columns; a semicolon comes on top
Pairs = Mapping[str, tuple[str, str]]


class Words:
    """`m.sin` in a spelling or helper -> `sin` or `sinf`."""

    def __init__(self, suffix: str) -> None:
        for name in LIBM:
            setattr(self, name, name + suffix)


class _FastWords(Words):
    """The same, but exp is a macro that the batch loop has a way of its own for."""

    def __init__(self, suffix: str) -> None:
        super().__init__(suffix)
        self.exp = "SD_EXP"


class Function:
    """`value` or `gradient` of one formula: what both layouts (fused and chunked) need.

    `divisors` have an inverse of their own in batch loops (`c_quotients.py`).
    """

    def __init__(self, sheet: Sheet, kind: str, tape: Tape, divisors: frozenset[str] = frozenset()) -> None:
        self.sheet, self.kind, self.tape = sheet, kind, tape
        self.suffix = "f" if sheet.dtype == "float32" else ""
        self.real = "float" if self.suffix else "double"
        self.zero, self.one = f"0.0{self.suffix}", f"1.0{self.suffix}"
        functions = _function_names(sheet.name)
        self.names = mangled(identifiers(tape), C_RESERVED | functions)
        self.words: dict[str, Any] = {"m": Words(self.suffix), "one": self.one}
        self.inputs = [self.names[given.name] for given in tape.inputs]
        self.namer = Namer([*self.names.values(), *functions])
        self.outputs = [self.namer.fresh(wish) for wish in self._output_wishes()]
        self.primal = {step.name: step for step in tape.primal}
        self.first = first_contributions(tape)
        self.has_exp = not self.suffix and any(_calls(step, "exp") for step in tape.steps)
        self.divisors = (
            {name for step in tape.steps for name in _divisors(step) if name in divisors} if divisors else set()
        )

    def _output_wishes(self) -> list[str]:
        """Parameters through which results leave: `d_x` for the derivative by x."""
        return ["value_out"] + [f"d_{label}" for label, _ in self.tape.outputs[1:]]

    @property
    def reaches(self) -> bool:
        """Whether batch loops add up what fast functions and inverses are given, to see where they cannot be used."""
        return self.has_exp or bool(self.divisors)

    def printer(self, pairs: Pairs | None = None) -> Printer:
        """Prints expressions; with pairs as in batch loops: those by the names they have, exp by the macro."""
        replaced: dict[Expr, str] = {}
        for name, (sine, cosine) in (pairs or {}).items():
            replaced[call("sin", Name(name))] = sine
            replaced[call("cos", Name(name))] = cosine
        words = self.words | {"m": _FastWords("")} if pairs is not None and self.has_exp else self.words
        return Printer("c", self.names, self._literal, words, replaced=replaced, helpers=frozenset({OVER}))

    def _literal(self, number: Number, alone: bool) -> str:
        if math.isfinite(number.value):
            return f"{number.value!r}{self.suffix}"
        return "NAN" if math.isnan(number.value) else "INFINITY" if number.value > 0 else "-INFINITY"

    def statement(self, step: Step, printer: Printer, divisors: Set[str] = frozenset()) -> str:
        """One line: the step, its equation number, where it comes from; quotients by `divisors` by the macro."""
        expr = over_divisors(step.expr, divisors) if divisors else step.expr
        target, subtracted = self.names[step.target], without_minus(expr)
        if step.into is None:
            code = f"const {self.real} {target} = {printer.step(expr)};"
        elif step.name in self.first:
            code = f"{self.real} {target} = {printer.step(expr)};"
        elif subtracted is not None:
            code = f"{target} -= {printer.step(subtracted)};"
        else:
            code = f"{target} += {printer.step(expr)};"
        return f"{code.ljust(_COMMENT_COLUMN)} /* {line_comment(step, self.primal)} */"

    def common(self, workspace: bool) -> dict[str, Any]:
        """Strings that are the same in both layouts: declarations of the public functions, and their documentation.

        `workspace`: callers bring one.
        """
        n = self.namer.fresh("n")
        stride = {name: self.namer.fresh(f"{name}_stride") for name in [*self.inputs, *self.outputs]}
        real, prefix = self.real, f"{self.sheet.name}_{self.kind}"
        batch = [f"const {real} *{x}, ptrdiff_t {stride[x]}" for x in self.inputs]
        batch += [f"{real} *{y}, ptrdiff_t {stride[y]}" for y in self.outputs]
        work = self.namer.fresh("workspace") if workspace else ""
        last = [f"{real} *{work}"] if workspace else []
        named = 2 * (len(self.inputs) + len(self.outputs)) + 1 + len(last) <= _MOST_PARAMETERS
        return {
            "kind": self.kind,
            "inputs": self.inputs,
            "outputs": self.outputs,
            "n": n,
            "work": work,
            "named": named,
            "point": wrapped(f"int {prefix}(", [f"{real} {x}" for x in self.inputs] + self.pointers + last, ")", 4),
            "batch": wrapped(f"int {prefix}_batch(", [f"size_t {n}", *batch, *last], ")", 4),
            "in_list": wrapped("{", self.inputs, "}", 8, column=38),
            "out_list": wrapped("{", self.outputs, "}", 8, column=38),
            "in_strides": wrapped("{", [stride[x] for x in self.inputs], "}", 8, column=38),
            "out_strides": wrapped("{", [stride[y] for y in self.outputs], "}", 8, column=38),
            "described": self._described(named),
        }

    @property
    def pointers(self) -> list[str]:
        """Output parameters."""
        return [f"{self.real} *{y}" for y in self.outputs]

    def _described(self, named: bool) -> list[str]:
        """Every parameter; where they have no names, places in `in` and `out`."""
        if self.sheet.formula.groups:
            return self._described_groups(named)
        constants = set(self.sheet.formula.constants)
        lines = []
        for k, given in enumerate(self.tape.inputs):
            what = f"input{', constant' if given.name in constants else ''}"
            name = self.names[given.name]
            lines.append(f"{name}: {what}" if named else f"in[{k}]: {name}, {what}")
        lines.append(f"{self.outputs[0] if named else 'out[0]'}: value")
        for k, (output, (label, _)) in enumerate(zip(self.outputs[1:], self.tape.outputs[1:], strict=True), 1):
            lines.append(f"{output if named else f'out[{k}]'}: derivative of the value by {label}")
        return lines

    def _described_groups(self, named: bool) -> list[str]:
        """Which scalars are which argument of a traced function, and where they lie in `in` and `out`."""
        lines, place = [], 0
        for group in self.sheet.formula.groups:
            what = f"{group.name}, {described(group.shape)}{', constant' if group.constant else ''}"
            lines.append(_range(self.inputs if named else [], "in", place, len(group.elements), what))
            place += len(group.elements)
        lines.append(_range(self.outputs if named else [], "out", 0, 1, "value"))
        place = 1
        for group in self.sheet.variables if self.tape.outputs[1:] else ():
            what = f"derivative of the value by {group.name}"
            lines.append(_range(self.outputs if named else [], "out", place, len(group.elements), what))
            place += len(group.elements)
        return lines


def _range(names: list[str], array: str, start: int, count: int, what: str) -> str:
    """`W_0_0 ... W_1_2, in[0] to in[5]: W, 2 x 3 matrix`; `in[0] to in[5]: ...` where there are no names."""
    last = start + count - 1
    between, to = (", ", ", ") if count == 2 else (" ... ", " to ")
    if count == 1:
        return f"{f'{names[start]}, ' if names else ''}{array}[{start}]: {what}"
    shown = f"{names[start]}{between}{names[last]}, " if names else ""
    return f"{shown}{array}[{start}]{to}{array}[{last}]: {what}"


def _function_names(prefix: str) -> frozenset[str]:
    """What the file defines: a parameter of that name would hide it."""
    return frozenset(
        f"{prefix}_{kind}{form}" for kind in ("value", "gradient") for form in ("", "_batch", "_packed", "_arrays")
    )


def fused(function: Function) -> dict[str, Any]:
    """Template context of a function whose body is one inline function."""
    pairs = _sine_cosine_pairs(function)
    guarded = bool(pairs) or function.reaches
    inputs, outputs, real = function.inputs, function.outputs, function.real
    body, fast = f"sd_{function.kind}_body", ["const int sd_fast"] if guarded else []
    at_in = [f"sd_in_{k}[i]" for k in range(len(inputs))]
    at_out = [f"&sd_out_{k}[i]" for k in range(len(outputs))]
    packed = [f"in[{k}]" for k in range(len(inputs))] + [f"&out[{k}]" for k in range(len(outputs))]
    values = [f"const {real} {x}" for x in inputs]
    ignored = "(void)" if guarded else ""

    def body_call(quick: str, arguments: list[str], indent: int) -> str:
        words = ([quick] if guarded else []) + arguments
        return wrapped(f"{body}(", words, ")", indent, column=indent + 13)  # 13: what stands before it, at most

    lines = _lines(function, pairs)
    return {
        "definition": wrapped(
            f"SD_INLINE {real if guarded else 'void'} {body}(", fast + values + function.pointers, ")", 4
        ),
        "loop_call": body_call("SD_FAST", at_in + at_out, 16),
        "again_call": "(void)" + body_call("0", at_in + at_out, 24),
        "packed_call": ignored + body_call("0", packed, 8),
        "point_call": ignored + body_call("0", inputs + outputs, 8),
        "unused": _unused(function),
        "lines": lines,
        "results": _results(function, pairs),
        "pairs": bool(pairs),
        "guarded": guarded,
        "reach": _reach(function, pairs),
        "text": lines,
    }


def _lines(function: Function, pairs: Pairs) -> list[str]:
    """One statement a step; sine and cosine of one argument are made together, before the first use, as is an inverse
    that several quotients share.
    """
    printer = function.printer(pairs)
    waiting, divided = dict(pairs), set[str]()
    lines = [f"{function.real} sd_reach = {function.zero};"] if function.reaches else []
    for step in function.tape.steps:
        for name in _divisors(step) if function.divisors else ():
            if name in function.divisors - divided:
                divided.add(name)
                lines.append(f"SD_INVERSE({function.names[name]});")
        for name in [name for name in waiting if _uses_pair(step, name)] if waiting else ():
            sine, cosine = waiting.pop(name)
            lines.append(f"{function.real} {sine}, {cosine};")
            lines.append(f"sd_pair(sd_fast, {function.names[name]}, &{sine}, &{cosine});")
        lines.append(function.statement(step, printer, function.divisors))
    return lines


def _results(function: Function, pairs: Pairs) -> list[str]:
    printer = function.printer(pairs)
    return [
        f"*{out} = {printer(expr)};" for out, (_, expr) in zip(function.outputs, function.tape.outputs, strict=True)
    ]


def _unused(function: Function) -> list[str]:
    used = {name for step in function.tape.steps for name in step.operands}
    used |= {expr.id for _, expr in function.tape.outputs if isinstance(expr, Name)}
    return [function.names[given.name] for given in function.tape.inputs if given.name not in used]


def _reach(function: Function, pairs: Pairs) -> list[str]:
    """The sum of the squares of what a point's fast functions get: one operation each, where comparing each with its
    limit takes four. None is beyond its limit where the sum is within the square.
    """
    angles = [f"{function.names[x]}*{function.names[x]}" for x in pairs]
    lines = []
    if angles:
        lines.append(f"{function.real} sd_angles = {angles[0]};")
        lines += [f"sd_angles += {angle};" for angle in angles[1:]]
    if function.reaches:
        lines.append(f"return sd_reach{' + sd_angles*SD_ANGLES' if angles else ''};")
    elif angles:
        lines.append("return sd_angles*SD_ANGLES;")
    return lines


def _calls(step: Step, op: str) -> bool:
    return any(isinstance(part, Call) and part.op == op for part in walk(step.expr))


def _divisors(step: Step) -> list[str]:
    """Names that the step divides by."""
    return [name for part in walk(step.expr) if (name := divisor(part)) is not None]


def _uses_pair(step: Step, name: str) -> bool:
    return any(
        isinstance(part, Call) and part.op in ("sin", "cos") and part.args == (Name(name),) for part in walk(step.expr)
    )


def _sine_cosine_pairs(function: Function) -> dict[str, tuple[str, str]]:
    """Variables of which both sine and cosine are needed, with names for the two."""
    seen: dict[str, set[str]] = {}
    for step in function.tape.steps:
        for part in walk(step.expr):
            if isinstance(part, Call) and part.op in ("sin", "cos") and isinstance(part.args[0], Name):
                seen.setdefault(part.args[0].id, set()).add(part.op)
    pairs = [name for name, both in seen.items() if len(both) == 2]
    return {name: (function.namer.fresh(f"sd_sin_{name}"), function.namer.fresh(f"sd_cos_{name}")) for name in pairs}


def wrapped(opening: str, items: Iterable[str], closing: str, indent: int, between: str = ", ", column: int = 0) -> str:
    """`opening item, item, ... closing` from `column` on, broken before column 120; later lines start at `indent`."""
    items = list(items)
    lines, current = [], opening
    for index, item in enumerate(items):
        piece = item + (closing if index == len(items) - 1 else between)
        if column + len(current) + len(piece) > _WIDTH and current.strip():
            lines.append(current.rstrip())
            current, column = " " * indent, 0
        current += piece
    return "\n".join([*lines, current])
