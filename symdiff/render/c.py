"""Tape -> C99: one readable file that is also the kernel, and its header.

The body of a formula is written once, as an inline function over scalars. The one-point functions call it; the batch functions
call it in a loop over blocks of a fixed length, which the compiler turns into SIMD code. What does not fill a block is copied
into one and goes through the very same machine code, so the bits of an element never depend on where it stands.
"""

from __future__ import annotations

from dataclasses import dataclass

from symdiff.expr import Call, Expr, Name, Number, call, walk
from symdiff.render.context import Sheet, first_contributions, identifiers, line_comment
from symdiff.render.environment import environment, render, template_root
from symdiff.render.names import C_RESERVED, mangled
from symdiff.render.printer import Printer
from symdiff.tape import Namer, Step, Tape

_LIBM = (
    "sin cos tan asin acos atan atan2 sinh cosh tanh asinh acosh atanh exp expm1 log log1p log2 log10 sqrt cbrt fabs pow hypot "
    "erf erfc tgamma lgamma".split()
)
# Functions for which glibc's libmvec has vector variants at every width, and how many arguments they take.
_VECTOR = {
    name: 2 if name in ("atan2", "pow", "hypot") else 1
    for name in (
        "sin cos tan asin acos atan atan2 sinh cosh tanh asinh acosh atanh exp expm1 log log1p log2 log10 cbrt pow hypot erf erfc"
    ).split()
}
_MOST_PARAMETERS = 127  # what C99 promises (5.2.4.1); a formula with more has the array interface alone
_COMMENT_COLUMN = 52


@dataclass(frozen=True)
class CSource:
    """Generated C: the file, its header, and what the compiler driver must know about it."""

    source: str
    header: str
    name: str
    vector_functions: tuple[str, ...]
    statements: int

    @property
    def single_file(self) -> str:
        """The file with its header written into it, for a compiler that is given one text."""
        return self.source.replace(f'#include "{self.name}.h"\n', self.header)


def c_module(sheet: Sheet) -> CSource:
    """The C file of `sheet` and its header."""
    return _CWriter(sheet).write()


class _CWriter:
    def __init__(self, sheet: Sheet) -> None:
        self.sheet = sheet
        self.tape = sheet.code
        self.suffix = "f" if sheet.dtype == "float32" else ""
        self.real = "float" if self.suffix else "double"
        self.names = mangled(identifiers(self.tape), C_RESERVED)
        self.namer = Namer(self.names.values())
        self.zero, self.one = f"0.0{self.suffix}", f"1.0{self.suffix}"
        self.words = {"m": _Words(self.suffix), "one": self.one}

    def write(self) -> CSource:
        kinds = [self.kind("value", Tape(self.tape.inputs, self.tape.primal, self.tape.outputs[:1]))]
        if self.sheet.kind == "gradient":
            kinds.append(self.kind("gradient", self.tape))
        libm = self.libm_used()
        statements = sum(len(kind["lines"]) for kind in kinds)  # type: ignore[arg-type]
        arrays = max(int(kind["arrays"]) for kind in kinds)  # type: ignore[call-overload]
        context = {
            "sheet": self.sheet,
            "real": self.real,
            "s": self.suffix,
            "kinds": kinds,
            "helpers": self.helpers(),
            "sincos": any(kind["pairs"] for kind in kinds),
            "sincos_helper": self.helper("sincos"),
            "vector_prototypes": [self.prototype(name) for name in libm if name in _VECTOR],
            "vectorise": statements <= 2000,
            "block": 64 if arrays <= 128 else 16,
            "uses_named": any(kind["named"] for kind in kinds),
        }
        vector = tuple(name + self.suffix for name in libm if name in _VECTOR)
        source, header = render("c", "module.c.j2", **context), render("c", "module.h.j2", **context)
        return CSource(source, header, self.sheet.name, vector, statements)

    # -- one function ------------------------------------------------------------------------------------------------

    def kind(self, kind: str, tape: Tape) -> dict[str, object]:
        """Everything that the template needs about `value` or `gradient`."""
        pairs = _sine_cosine_pairs(tape)
        inputs = [self.names[given.name] for given in tape.inputs]
        used = {name for step in tape.steps for name in step.operands} | {
            expr.id for _, expr in tape.outputs if isinstance(expr, Name)
        }
        outputs = self.output_names(tape)
        own = Namer([*inputs, *outputs, *self.names.values()])
        n = own.fresh("n")
        stride = {name: own.fresh(f"{name}_stride") for name in [*inputs, *outputs]}
        real, prefix = self.real, f"{self.sheet.name}_{kind}"
        values = [f"const {real} {x}" for x in inputs]
        pointers = [f"{real} *{y}" for y in outputs]
        at_in = [f"sd_in_{k}[i]" for k in range(len(inputs))]
        at_out = [f"&sd_out_{k}[i]" for k in range(len(outputs))]
        body, fast = f"sd_{kind}_body", ["const int sd_fast"] if pairs else []
        batch = [f"const {real} *{x}, ptrdiff_t {stride[x]}" for x in inputs]
        batch += [f"{real} *{y}, ptrdiff_t {stride[y]}" for y in outputs]
        ignored = "(void)" if pairs else ""

        def body_call(quick: str, arguments: list[str], indent: int) -> str:
            return _wrapped(f"{body}(", ([quick] if pairs else []) + arguments, ")", indent)

        return {
            "kind": kind,
            "inputs": inputs,
            "definition": _wrapped(f"SD_INLINE {real if pairs else 'void'} {body}(", fast + values + pointers, ")", 4),
            "loop_call": body_call("SD_FAST", at_in + at_out, 16),
            "again_call": "(void)" + body_call("0", at_in + at_out, 24),
            "packed_call": ignored
            + body_call("0", [f"in[{k}]" for k in range(len(inputs))] + [f"&out[{k}]" for k in range(len(outputs))], 8),
            "point": _wrapped(f"int {prefix}(", [f"{real} {x}" for x in inputs] + pointers, ")", 4),
            "point_call": ignored + body_call("0", inputs + outputs, 8),
            "batch": _wrapped(f"int {prefix}_batch(", [f"size_t {n}", *batch], ")", 4),
            "in_list": _wrapped("{", inputs, "}", 8),
            "out_list": _wrapped("{", outputs, "}", 8),
            "in_strides": _wrapped("{", [stride[x] for x in inputs], "}", 8),
            "out_strides": _wrapped("{", [stride[y] for y in outputs], "}", 8),
            "unused": [self.names[given.name] for given in tape.inputs if given.name not in used],
            "outputs": outputs,
            "lines": self.lines(tape, pairs),
            "pairs": bool(pairs),
            "outside": _wrapped(
                "",
                [f"(fabs{self.suffix}({self.names[x]}) <= SD_SINCOS_LIMIT ? {self.zero} : {self.one})" for x in pairs],
                "",
                8,
            ).replace("), (", ") + (").replace("),\n", ") +\n"),
            "results": self.results(tape, pairs, outputs),
            "named": 2 * (len(inputs) + len(outputs)) + 1 <= _MOST_PARAMETERS,
            "arrays": len(inputs) + len(outputs),
            "n": n,
            "described": self.described(tape, outputs),
        }

    def output_names(self, tape: Tape) -> list[str]:
        """Parameters through which results leave: `value_out` where `value` is a variable of the formula already."""
        own = Namer([self.names[given.name] for given in tape.inputs] + [self.names[step.target] for step in tape.steps])
        wishes = ["value_out"] + [f"d_{self.names[label]}" for label, _ in tape.outputs[1:]]
        return [own.fresh(wish) for wish in wishes]

    def described(self, tape: Tape, outputs: list[str]) -> list[str]:
        constants = set(self.sheet.formula.constants)
        lines = [
            f"{self.names[given.name]}: input{', constant' if given.name in constants else ''}" for given in tape.inputs
        ]
        lines.append(f"{outputs[0]}: value")
        lines.extend(f"{out}: derivative of the value by {label}" for out, (label, _) in zip(outputs[1:], tape.outputs[1:], strict=True))
        return lines

    def printer(self, pairs: dict[str, tuple[str, str]]) -> Printer:
        replaced: dict[Expr, str] = {}
        for name, (sine, cosine) in pairs.items():
            replaced[call("sin", Name(name))] = sine
            replaced[call("cos", Name(name))] = cosine
        return Printer("c", self.names, self.literal, self.words, replaced=replaced)

    def literal(self, number: Number, alone: bool) -> str:
        return f"{number.value!r}{self.suffix}"

    def lines(self, tape: Tape, pairs: dict[str, tuple[str, str]]) -> list[str]:
        """One statement a step, with its equation number; sine and cosine of one argument are made together."""
        printer, first = self.printer(pairs), first_contributions(tape)
        primal = {step.name: step for step in tape.primal}
        lines, made = [], set()
        for step in tape.steps:
            for name in pairs:
                if name not in made and _uses_pair(step, name):
                    made.add(name)
                    lines.append(self.pair_line(name, pairs[name]))
            lines.append(self.statement(step, printer, first, primal))
        return lines

    def pair_line(self, name: str, pair: tuple[str, str]) -> str:
        sine, cosine = pair
        return f"{self.real} {sine}, {cosine}; sd_pair(sd_fast, {self.names[name]}, &{sine}, &{cosine});"

    def statement(self, step: Step, printer: Printer, first: set[str], primal: dict[str, Step]) -> str:
        target, text = self.names[step.target], printer(step.expr)
        if step.into is None:
            code = f"const {self.real} {target} = {text};"
        elif step.name in first:
            code = f"{self.real} {target} = {text};"
        else:
            code = f"{target} += {text};"
        return f"{code.ljust(_COMMENT_COLUMN)} /* {line_comment(step, primal)} */"

    def results(self, tape: Tape, pairs: dict[str, tuple[str, str]], outputs: list[str]) -> list[str]:
        printer = self.printer(pairs)
        return [f"*{out} = {printer(expr)};" for out, (_, expr) in zip(outputs, tape.outputs, strict=True)]

    # -- the file ----------------------------------------------------------------------------------------------------

    def ops_used(self) -> set[str]:
        return {part.op for step in self.tape.steps for part in walk(step.expr) if isinstance(part, Call)}

    def helpers(self) -> list[str]:
        """Sources of the small functions that libm lacks."""
        folder = template_root() / "c" / "helpers"
        used = sorted(op for op in self.ops_used() if (folder / f"{op}.c.j2").is_file())
        if "polygamma" in used and "digamma" not in used:  # it calls digamma's, which sorts before it
            used.insert(used.index("polygamma"), "digamma")
        return [self.helper(name) for name in used]

    def helper(self, name: str) -> str:
        template = environment("c").get_template(f"helpers/{name}.c.j2")
        return template.render(real=self.real, s=self.suffix, m=self.words["m"]).rstrip("\n")

    def libm_used(self) -> list[str]:
        """libm functions of the file, also those inside helpers."""
        text = "\n".join([*self.helpers(), *(line for line in self.lines(self.tape, {}))])
        return [name for name in _LIBM if f"{name}{self.suffix}(" in _words(text)]

    def prototype(self, name: str) -> str:
        parameters = ", ".join([self.real] * _VECTOR[name])
        return f"extern {self.real} {name}{self.suffix}({parameters}) __attribute__((simd(\"notinbranch\"), const));"


def _wrapped(opening: str, items: list[str], closing: str, indent: int) -> str:
    """`opening item, item, ... closing`, broken before column 120 and continued `indent` columns in."""
    lines, current = [], opening
    for index, item in enumerate(items):
        piece = item + (closing if index == len(items) - 1 else ", ")
        if len(current) + len(piece) > 116 and current.strip():
            lines.append(current.rstrip())
            current = " " * indent
        current += piece
    return "\n".join([*lines, current])


class _Words:
    """`m.sin` -> `sin` or `sinf`."""

    def __init__(self, suffix: str) -> None:
        for name in _LIBM:
            setattr(self, name, name + suffix)


def _words(text: str) -> set[str]:
    import re

    return set(re.findall(r"[A-Za-z_][A-Za-z0-9_]*\(", text))


def _uses_pair(step: Step, name: str) -> bool:
    return any(
        isinstance(part, Call) and part.op in ("sin", "cos") and part.args == (Name(name),) for part in walk(step.expr)
    )


def _sine_cosine_pairs(tape: Tape) -> dict[str, tuple[str, str]]:
    """Variables of which both sine and cosine are needed, with names for the two."""
    seen: dict[str, set[str]] = {}
    for step in tape.steps:
        for part in walk(step.expr):
            if isinstance(part, Call) and part.op in ("sin", "cos") and isinstance(part.args[0], Name):
                seen.setdefault(part.args[0].id, set()).add(part.op)
    # nothing of the user's begins with sd_ (see names.py)
    return {name: (f"sd_sin_{name}", f"sd_cos_{name}") for name, both in seen.items() if len(both) == 2}
