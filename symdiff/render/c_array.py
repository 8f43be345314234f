"""Tape with arrays -> C99: one readable file that is also the kernel, and its header.

lower (c_array_lower.py)  tape -> statements over whole arrays: views are read in place
fuse  (c_array_fuse.py)   statements -> program: loops over one space become one, parts over the same rows one pass
                          (c_array_tiles.py), arrays get their places (c_array_memory.py)
print (c_array_print.py)  program -> lines

The body stands in the function that takes its arguments in arrays, `PREFIX_KIND_packed`.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Iterator
from typing import Any

from symdiff.expr import Call, walk
from symdiff.ops.infer import shape_of
from symdiff.ops.structure import requirements
from symdiff.render.c_array_cut import Piece, code_of, cut, words
from symdiff.render.c_array_elem import Variable
from symdiff.render.c_array_fuse import items_of
from symdiff.render.c_array_helpers import NEEDS, array_helpers
from symdiff.render.c_array_lower import Lowering
from symdiff.render.c_array_memory import Memory, Program, fused
from symdiff.render.c_array_print import Writer
from symdiff.render.c_array_text import Text, indented
from symdiff.render.c_array_tiles import Tile
from symdiff.render.c_function import Words, wrapped
from symdiff.render.c_source import VECTOR, CSource, helper, libm_used, prototype, wanted_kinds
from symdiff.render.c_train import rule_texts, training
from symdiff.render.context import Sheet, identifiers, left_out
from symdiff.render.environment import render, template_root
from symdiff.render.names import C_RESERVED, mangle, mangled
from symdiff.shapes import Polynomial, Size, described, plus, product, times
from symdiff.tape import PRIMAL, Namer, Tape
from symdiff.trace import refuse_abstract

_MOST_PARAMETERS = 127  # what C99 promises (5.2.4.1); a formula with more has the packed interface alone
_PARAMETERS = ("sizes", "in", "out", "workspace", "gemm")
_LONGEST_FUNCTION = 800  # lines


def array_module(sheet: Sheet, kinds: Iterable[str] | None = None) -> CSource:
    """The C file of `sheet` and its header, with the functions of `kinds`: by default all that there are.

    Raises UnsupportedError for a function that is left abstract.
    """
    refuse_abstract(sheet.code)
    wanted, trains = wanted_kinds(sheet, kinds)
    code = sheet.code
    tapes = {"value": Tape(code.inputs, code.primal, code.outputs[:1], dims=code.dims), "gradient": code}
    functions = [ArrayFunction(sheet, kind, tapes[kind]) for kind in wanted]
    last = functions[-1]
    body = "\n".join(function.code for function in functions)
    rule = rule_texts(sheet.update.rule) if trains and sheet.update is not None else []
    helpers = _helpers("\n".join([body, *rule]), last)
    libm = libm_used([*helpers, body], last.suffix)
    vector = tuple(name for name in libm if name in VECTOR)
    context: dict[str, Any] = {
        "sheet": sheet,
        "real": last.real,
        "s": last.suffix,
        "kinds": [function.context() for function in functions],
        "array": True,
        "train": training(sheet) if trains else None,
        "helpers": helpers,
        "blocks": "sd_block(" in body,
        "copies": "sd_copy(" in body,
        "lanes": "sd_lanes(" in body,
        "facts": _facts(last),
        "vector_prototypes": [prototype(name, last.real, last.suffix) for name in vector],
    }
    source, header = render("c", "array.c.j2", **context), render("c", "array.h.j2", **context)
    statements = max(function.lines or len(function.body) for function in functions)
    return CSource(source, header, sheet.name, tuple(name + last.suffix for name in vector), statements)


def array_memory(sheet: Sheet) -> Memory:
    """What the function of the sheet's kind needs in C.

    Raises UnsupportedError for a function that is left abstract.
    """
    refuse_abstract(sheet.code)
    return ArrayFunction(sheet, sheet.kind, sheet.code).memory


def _facts(function: ArrayFunction) -> list[str]:
    """Inputs, outputs and what the passes took out, for the header of the file."""
    tape = function.tape
    shown = ", ".join(f"{function.names[given.name]} ({described(given.shape)})" for given in tape.inputs)
    lines = [f"Inputs: {shown}"]
    lines.append("Outputs: the value" + "".join(f", d value / d {label}" for label, _ in tape.outputs[1:]))
    lines.append(left_out(tape.notes))
    return [part for line in lines for part in textwrap.wrap(line, 110)]


def _helpers(body: str, function: ArrayFunction) -> list[str]:
    """Sources of the functions that the body calls: those of elements, then those of arrays."""
    called = dict.fromkeys(re.findall(r"\bsd_([a-z_]+)(?=\()", body))
    folder = template_root() / "c" / "helpers"
    small = sorted(name for name in called if name not in NEEDS and (folder / f"{name}.c.j2").is_file())
    if "polygamma" in small and "digamma" not in small:  # it calls digamma's, which sorts before it
        small.insert(small.index("polygamma"), "digamma")
    words = function.words["m"]
    texts = [helper(name, function.real, function.suffix, words) for name in small]
    used = [name for name in called if name in NEEDS]
    return texts + array_helpers(used, function.real, function.suffix, f"{function.sheet.name}_gemm")


class ArrayFunction:
    """`value` or `gradient` of one formula of arrays."""

    def __init__(self, sheet: Sheet, kind: str, tape: Tape) -> None:
        self.sheet, self.kind, self.tape = sheet, kind, tape
        self.suffix = "f" if sheet.dtype == "float32" else ""
        self.real = "float" if self.suffix else "double"
        self.words: dict[str, Any] = {"m": Words(self.suffix), "one": f"1.0{self.suffix}"}
        self.prefix = f"{sheet.name}_{kind}"
        functions = _function_names(sheet.name)
        self.reserved = C_RESERVED | functions | set(_PARAMETERS)
        self.names = mangled(dict.fromkeys([*tape.dims, *identifiers(tape)]), self.reserved)
        self.namer = Namer([*self.names.values(), *functions, *_PARAMETERS])
        self.lowering = Lowering(tape)
        self.program: Program = fused(
            self.lowering.statements, self.lowering.results, tape.dims, 16 if self.suffix else 8
        )
        self._identify()
        self.text = Text(self.names, self.namer, self.real, self.suffix, self.words)
        variables = [*self.lowering.inputs, *(each for each in self.program.variables if each.source is None)]
        held = [each for each in variables if each.shape or each.source is not None]
        self.order = {variable.identifier: (k, variable) for k, variable in enumerate(held)}
        self.chunks: list[dict[str, Any]] = []
        self.numbers = ""
        self.lines = 0
        self.body = self._body()

    @property
    def code(self) -> str:
        """All that is printed inside functions."""
        return "\n".join([*self.body, *(line for chunk in self.chunks for line in chunk["lines"])])

    def _identify(self) -> None:
        """Every variable gets its identifier: steps their own, what is between them the next free one."""
        variables = [*self.lowering.inputs, *self.program.variables]
        wishes = {variable: self._wish(variable) for variable in variables}
        given: set[str] = set()
        for variable, wish in wishes.items():
            if variable.identifier:
                continue
            if wish in self.names and wish not in given:
                given.add(wish)
                variable.identifier = self.names[wish]
            else:
                variable.identifier = self.namer.fresh(mangle(wish, self.reserved))

    def _wish(self, variable: Variable) -> str:
        """The name that is wanted; a gradient is called after its own input, also where it is the value of a step."""
        if not variable.output:
            return variable.wish
        label, _ = self.tape.outputs[variable.output]
        own = [step.target for step in self.tape.steps if step.role != PRIMAL and step.receiver == label]
        return own[-1] if own else f"{label}_bar"

    def _body(self) -> list[str]:
        """Lines of the function; a long one is cut into several, which stand in `self.chunks`."""
        parts = self._pieces()
        if sum(len(piece.lines) for piece in parts) > _LONGEST_FUNCTION:
            if self.program.local:
                self.program = self.program.without_local()
                parts = self._pieces()
            return [*self._cut(parts), "return 0;"]
        lines = [line for piece in parts for line in piece.lines]
        nothing = self.namer.fresh("nothing")
        dummy = [
            f"{self.real} {nothing}[1]; /* a workspace of size 0 */",
            "if (workspace == NULL)",
            f"    workspace = {nothing};",
        ]
        return [*self._function(lines, list(self._checks()), dummy), "return 0;"]

    def _pieces(self) -> list[Piece]:
        """The parts of the program in C."""
        writer = Writer(self.text, self.program)
        parts = []
        for part in self.program.parts:
            before = set(writer.declared)
            lines = writer.part(part)
            blocks = part.parts if isinstance(part, Tile) else [part]
            written = {item.variable for block in blocks for item in items_of(block)}
            parts.append(Piece(lines, writer.declared - before, written))
        results = [
            f"out[{k}][0] = {writer.at_element(elem)};"
            for k, elem in enumerate(self.lowering.results)
            if not elem.shape
        ]
        parts.append(Piece(results, set(), set()))
        return parts

    def _function(self, lines: list[str], checks: list[str], dummy: list[str]) -> list[str]:
        """A body with the declarations that it needs; `dummy` takes the place of a workspace that may be NULL."""
        code = code_of(lines)
        pointers = list(self._pointers(code))
        code = "\n".join([code, *pointers])
        sizes = list(self._sizes("\n".join([code, *checks])))
        whole = "\n".join([*sizes, code])
        unused = [f"(void){name};" for name in _PARAMETERS if not re.search(rf"\b{name}\b", whole)]
        if not any("= workspace +" in line for line in pointers):
            dummy = []
        return [*sizes, *dummy, *pointers, *unused, *checks, "", *lines]

    def _cut(self, pieces: list[Piece]) -> list[str]:
        """A body that calls functions of a few hundred lines."""
        self.numbers = self.namer.fresh("numbers")
        chunks, shared = cut(pieces, self.numbers, self.real)
        for k, lines in enumerate(chunks):
            body = self._function(lines, [], [])
            if not any(self.numbers in line for line in lines):
                body.append(f"(void){self.numbers};")
            self.chunks.append({"name": f"sd_{self.kind}_{k + 1}", "lines": indented(body)})
        self.lines = sum(len(lines) for lines in chunks)
        checks = list(self._checks())
        arguments = ", ".join([*_PARAMETERS, self.numbers])
        return [
            *self._sizes("\n".join(checks)),
            *checks,
            f"{self.real} {self.numbers}[{max(1, shared)}];",
            "if (workspace == NULL) /* one of size 0, to which nothing can be added */",
            f"    workspace = {self.numbers};",
            *(f"{chunk['name']}({arguments});" for chunk in self.chunks),
        ]

    def _pointers(self, code: str) -> Iterator[str]:
        """Inputs, outputs and arrays in the workspace, as far as the code uses them, in the order of the program."""
        used = words(code)
        for _, variable in sorted(self.order[word] for word in used if word in self.order):
            if variable.source is not None:
                kind, end = ("*const ", "") if variable.shape else ("", "[0]")
                yield f"const {self.real} {kind}{variable.identifier} = in[{variable.source}]{end};"
            elif variable.output is not None:
                yield f"{self.real} *const {variable.identifier} = out[{variable.output}];"
            elif variable in self.program.local:
                size = product(variable.shape)
                padded = variable in self.program.padded
                size, more = (self.program.width(size), " and padding") if padded else (size, "")
                yield (
                    f"{self.real} {variable.identifier}[{size}];".ljust(44)
                    + f" /* {described(variable.shape)}{more} */"
                )
            elif variable in self.program.offsets:
                offset = self.program.offsets[variable]
                where = "workspace" if offset == 0 else f"workspace + {self.text.size(offset)}"
                some = f", {self.program.held[variable]} rows of it" if variable in self.program.held else ""
                shape = f"/* {described(variable.shape)}{some} */"
                yield f"{self.real} *const {variable.identifier} = {where};".ljust(44) + f" {shape}"

    def _sizes(self, code: str) -> Iterator[str]:
        for k, name in enumerate(self.tape.dims):
            if re.search(rf"\b{self.names[name]}\b", code):
                yield f"const size_t {self.names[name]} = sizes[{k}];"

    def _checks(self) -> Iterator[str]:
        """Slices must lie inside their arrays."""
        shapes = self.tape.shapes
        found: dict[Size, None] = {}
        for step in self.tape.steps:
            for part in walk(step.expr):
                if isinstance(part, Call) and part.op in ("index", "put"):
                    shape = part.options[1] if part.op == "put" else shape_of(part.args[0], shapes)
                    found.update((need, None) for need, _ in requirements(part.options[0], shape))
        for need in found:
            positive, negative = _halves(need)
            if negative != 0:
                yield f"if ({self.text.size(positive)} < {self.text.size(negative)})"
                yield "    return 1; /* a slice or an index lies outside of its array */"

    # -- templates -------------------------------------------------------------------------------------------------

    def context(self) -> dict[str, Any]:
        """Strings for the templates."""
        sizes = [self.names[name] for name in self.tape.dims]
        inputs = [
            (
                self.names[given.name],
                f"const {self.real} *{self.names[given.name]}"
                if given.shape
                else f"{self.real} {self.names[given.name]}",
            )
            for given in self.tape.inputs
        ]
        outputs = self._outputs()
        given = [f"size_t {name}" for name in sizes]
        arguments = [*given, *(text for _, text in inputs), *(f"{self.real} *{name}" for name in outputs)]
        arguments += [f"{self.real} *workspace", f"{self.sheet.name}_gemm gemm"]
        by_address = [
            name if shape.shape else f"&{name}" for (name, _), shape in zip(inputs, self.tape.inputs, strict=True)
        ]
        return {
            "kind": self.kind,
            "sizes": sizes,
            "named": len(arguments) <= _MOST_PARAMETERS,
            "workspace_head": wrapped(f"size_t {self.prefix}_workspace(", given or ["void"], ")", 4),
            "head": wrapped(f"int {self.prefix}(", arguments, ")", 4),
            "sizes_list": wrapped("{", sizes, "}", 8, column=38),
            "in_list": wrapped("{", by_address, "}", 8, column=38),
            "out_list": wrapped("{", outputs, "}", 8, column=38),
            "lines": indented(self.body),
            "chunks": self.chunks,
            "numbers": self.numbers,
            "workspace_lines": indented(self._workspace()),
            "described": self._described(outputs),
            "workspace_text": self._memory_text(),
        }

    @property
    def memory(self) -> Memory:
        """Numbers that the function needs beside inputs and outputs."""
        return self.program.memory(self.tape)

    def _memory_text(self) -> str:
        """The size of the workspace beside what it saves."""
        memory = self.memory
        local = f", and {memory.local} in local arrays" if memory.local else ""
        size = self.text.size
        return f"{size(memory.workspace)}{local}; all intermediate arrays have {size(memory.intermediates)}"

    def _outputs(self) -> list[str]:
        """Parameters through which results leave."""
        found = []
        for k, (label, _) in enumerate(self.tape.outputs):
            direct = [each.identifier for each in self.program.variables if each.output == k]
            wish = "value" if k == 0 else f"{mangle(label, self.reserved)}_bar"
            found.append(direct[0] if direct else self.namer.fresh(f"{wish}_out"))
        return found

    def _workspace(self) -> list[str]:
        """Body of the function that says how large the workspace is."""
        size = self.program.workspace
        text = self.text.size(size)
        lines = list(self._sizes(text))
        if isinstance(size, int):
            return ["(void)sizes;", f"return {text};"]
        limit = "(double)((size_t)-1 / 16)"
        lines += [f"if ({self._in_real(size)} > {limit})", "    return (size_t)-1; /* more than there is */"]
        return [*lines, f"return {text};"]

    def _in_real(self, size: Size) -> str:
        """The positive terms of a size in floating point, where nothing overflows."""
        terms = size.terms if isinstance(size, Polynomial) else (((size,), 1),)
        parts = [
            "*".join([f"{factor}.0", *(f"(double){self.names[name]}" for name in names)])  # type: ignore[index]
            for names, factor in terms
            if factor > 0
        ]
        return " + ".join(parts)

    def _described(self, outputs: list[str]) -> list[str]:
        constants = set(self.sheet.formula.constants)
        lines = [f"{self.names[name]}: size" for name in self.tape.dims]
        for given in self.tape.inputs:
            kind = "input, constant" if given.name in constants else "input"
            lines.append(f"{self.names[given.name]}: {kind}, {self._shape(given.shape)}")
        shapes = [self.tape.shapes.get(label, ()) for label, _ in self.tape.outputs]
        shapes[0] = shape_of(self.tape.value, self.tape.shapes)
        lines.append(f"{outputs[0]}: value, {self._shape(shapes[0])}")
        for name, (label, _), shape in zip(outputs[1:], self.tape.outputs[1:], shapes[1:], strict=True):
            lines.append(f"{name}: gradient of the value by {label}, {self._shape(shape)}")
        return lines

    def _shape(self, shape: Any) -> str:
        words = described(tuple(self.text.size(size) if isinstance(size, str) else size for size in shape))
        return words if shape else "number"


def _halves(size: Size) -> tuple[Size, Size]:
    """Positive and negative terms: size = first - second."""
    halves: list[Size] = [0, 0]
    terms = size.terms if isinstance(size, Polynomial) else (((), size),) if isinstance(size, int) else (((size,), 1),)
    for names, factor in terms:
        term: Size = abs(factor)
        for name in names:
            term = times(term, name)
        halves[factor < 0] = plus(halves[factor < 0], term)
    return halves[0], halves[1]


def _function_names(prefix: str) -> frozenset[str]:
    """What the file defines: a variable of that name would hide it."""
    forms = ("", "_packed", "_workspace", "_packed_workspace")
    return frozenset(
        {f"{prefix}_gemm"} | {f"{prefix}_{kind}{form}" for kind in ("value", "gradient") for form in forms}
    )
