"""Tape -> C99: one readable file that is also the kernel, and its header.

A formula of ordinary size is *fused*: its body is written once, as an inline function over scalars. The one-point
functions call it; the batch functions call it in a loop over blocks of a fixed length, which the compiler turns into
SIMD code. What does not fill a block is copied into one and goes through the very same machine code, so the bits of an
element never depend on where it stands.

A long formula is *chunked* (`c_chunks.py`): functions of a few hundred statements each, over a workspace, one point
after the other.

A formula with arrays is printed by `c_array.py`.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from typing import Any

from symdiff.collector import at_rest
from symdiff.render.c_chunks import chunked
from symdiff.render.c_contract import may_contract
from symdiff.render.c_function import Function, Words, fused
from symdiff.render.c_quotients import shared_divisors
from symdiff.render.c_schedule import for_compilers
from symdiff.render.c_source import VECTOR, CSource, helper, libm_used, prototype, wanted_kinds
from symdiff.render.context import Sheet, left_out
from symdiff.render.environment import render, template_root
from symdiff.shapes import described
from symdiff.tape import Tape

# Above this, compilers need more than linear time for one function (the register allocator first of all).
_LONGEST_FUSED = 2000  # statements
_WIDEST_FUSED = 300  # inputs and outputs
_MOST_STACK = 1 << 16  # bytes that a long formula takes from the stack; one that needs more gets a workspace
_POINTER = 8  # bytes
_FRAMES = 1024  # bytes: saved registers and return addresses of four functions, and what libm takes


@at_rest
def c_module(sheet: Sheet, kinds: Iterable[str] | None = None, *, entries: bool = True) -> CSource:
    """The C file of `sheet` and its header, with the functions of `kinds`: by default all that there are.

    kinds    `value`, `gradient`, and `train`, which needs the gradient and a sheet with an update rule
    entries  whether there are functions with a parameter for each number; a kernel calls those with arrays alone, and
             compilers take as long for one function as for another
    """
    if sheet.code.is_array:  # imported here, because it is large and formulas of numbers need none of it
        from symdiff.render.c_array import array_module

        return array_module(sheet, kinds)
    wanted, trains = wanted_kinds(sheet, kinds)
    tapes = {"value": Tape(sheet.code.inputs, sheet.code.primal, sheet.code.outputs[:1]), "gradient": sheet.code}
    divisors = frozenset[str]()
    if sum(len(tapes[kind].steps) for kind in wanted) <= _LONGEST_FUSED:
        inverting = may_contract(sheet.code, inverting=True)  # of both kinds, so that they give the same value
        tapes = {kind: for_compilers(tape, inverting=inverting) for kind, tape in tapes.items()}
        divisors = _divisors(sheet)
    functions = [Function(sheet, kind, tapes[kind], divisors) for kind in wanted]
    statements = sum(len(function.tape.steps) for function in functions)
    arrays = max(len(function.inputs) + len(function.outputs) for function in functions)
    long = statements > _LONGEST_FUSED or arrays > _WIDEST_FUSED
    contexts = [chunked(function) if long else fused(function) for function in functions]
    suffix, words = functions[-1].suffix, functions[-1].words["m"]
    heavy = long and any(made["workspace"] * (4 if suffix else 8) > _MOST_STACK for made in contexts)
    contexts = [function.common(heavy) | made for function, made in zip(functions, contexts, strict=True)]
    helpers = _helpers(sheet, functions[-1].tape, words, trains)
    texts = [*helpers, *(line for made in contexts for line in made["text"])]
    fast_exp = not long and any(function.has_exp for function in functions)
    texts += ["exp(x)"] * fast_exp  # what the macro falls back on
    libm = libm_used(texts, suffix)
    vector = tuple(name for name in libm if name in VECTOR and not long)
    context: dict[str, Any] = {
        "sheet": sheet,
        "real": functions[-1].real,
        "s": suffix,
        "kinds": contexts,
        "long": long,
        "heavy": heavy,
        "array": False,
        "entries": entries,
        "train": _training(sheet) if trains else None,
        "helpers": helpers,
        "contract": not long and not helpers and may_contract(functions[-1].tape),
        "sincos": any(made["pairs"] for made in contexts),
        "fast_exp": fast_exp,
        "quotients": not long and any(function.divisors for function in functions),
        "crowds": not long and arrays > 8,
        "exp_helper": helper("fast_exp", functions[-1].real, suffix, words),
        "sincos_helper": helper("sincos", functions[-1].real, suffix, words),
        "facts": _facts(functions[-1]),
        "stack": _stack(contexts, 4 if suffix else 8, heavy) if long else "",
        "vector_prototypes": [prototype(name, functions[-1].real, suffix) for name in vector],
        "block": 64 if arrays <= 128 else 16,
    }
    source, header = render("c", "module.c.j2", **context), render("c", "module.h.j2", **context)
    return CSource(source, header, sheet.name, tuple(name + suffix for name in vector), statements, heavy)


def _divisors(sheet: Sheet) -> frozenset[str]:
    """What has an inverse of its own in the batch loop, in functions of both kinds, so that they give one value."""
    found = shared_divisors(sheet.code) if sheet.dtype == "float64" else frozenset[str]()
    return found if found and may_contract(sheet.code, inverting=True, divisors=found) else frozenset()


def _training(sheet: Sheet) -> dict[str, Any]:
    from symdiff.render.c_train import training

    return training(sheet)


def _stack(contexts: list[dict[str, Any]], item: int, heavy: bool) -> str:
    """What a call needs of the stack: a sentence for the headers of a long formula, with numbers of `item` bytes.

    The frames that are live together are those of one call: `_batch`, which lists its arguments (a pointer and a stride
    each, besides those that did not fit into registers), `_arrays` (one point and its results), `_packed` (the
    variables that chunks share) and one chunk. With a workspace the point and the variables lie there. A chunk counts
    twice, because optimisers put chunks into one function and spill more than each has.
    """
    most = 0
    for made in contexts:
        listed = 4 * _POINTER * (len(made["inputs"]) + len(made["outputs"])) if made["named"] else 0
        numbers = 2 * made["frame"] + (0 if heavy else made["workspace"])
        most = max(most, listed + item * numbers + _FRAMES)
    return f"A call needs up to {-(-most // 1024)} KiB of stack{', besides the workspace' * heavy}."


def _facts(function: Function) -> list[str]:
    """Inputs, outputs and what the passes took out, for the header of the file."""
    tape = function.tape
    groups, inputs, labels = function.sheet.formula.groups, function.inputs, [label for label, _ in tape.outputs[1:]]
    if groups:  # every scalar by name would be a long list
        inputs = [f"{group.name} ({described(group.shape)})" for group in groups]
        labels = [group.name for group in function.sheet.variables] if labels else []
    lines = [f"Inputs{', scalars' * (not groups)}: {', '.join(inputs)}"]
    lines.append(
        f"Outputs{', scalars' * (not groups)}: the value" + "".join(f", d value / d {label}" for label in labels)
    )
    lines.append(left_out(tape.notes))
    return [part for line in lines for part in textwrap.wrap(line, 110)]


def _helpers(sheet: Sheet, tape: Tape, words: Words, trains: bool) -> list[str]:
    """Sources of the small functions that libm lacks."""
    folder = template_root() / "c" / "helpers"
    ops = set(tape.ops)
    if trains and sheet.update is not None:
        from symdiff.render.c_train import rule_ops

        ops |= rule_ops(sheet.update.rule)
    used = sorted(op for op in ops if (folder / f"{op}.c.j2").is_file())
    if "polygamma" in used and "digamma" not in used:  # it calls digamma's, which sorts before it
        used.insert(used.index("polygamma"), "digamma")
    real, suffix = ("float", "f") if sheet.dtype == "float32" else ("double", "")
    return [helper(name, real, suffix, words) for name in used]


__all__ = ["CSource", "c_module"]
