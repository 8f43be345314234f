"""Which steps of NumPy code write over an array that nothing reads any more, and how that is spelled.

`v2 = np.add(v1, b1, out=v1)` keeps the name of the step and says where its value goes. An array may be written over
where the code has made it, in full, and this step is the last one to read it, by this name or as a view; inputs and
results never are. A compound step is worked out around such an array from the inside to the outside, one ufunc a line:
the same operations on the same numbers as without.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np

from symdiff.expr import Call, Expr, Name, Number, names, walk
from symdiff.ops import TABLE
from symdiff.render.numpy_memory import Memory
from symdiff.render.numpy_spelling import NumpyPrinter, stretchable
from symdiff.shapes import Shape
from symdiff.tape import Tape

_INFIX = {
    "add": ("np.add", "+="),
    "mul": ("np.multiply", "*="),
    "sub": ("np.subtract", "-="),
    "div": ("np.divide", "/="),
}
_COMMUTE = frozenset({"add", "mul"})
_OUT = frozenset({"softmax"})  # own functions of an array of the same shape that take `out`
_DEEPEST = 8  # operations around the array that is written over
_CALL = re.compile(r"(np\.(\w+)\(.*)\)")


def owner(name: str, known: Mapping[str, Memory]) -> str:
    """The name of the array whose memory a name shows."""
    while (found := known.get(name)) is not None and found.base:
        name = found.base
    return name


def last_reads(tape: Tape, known: Mapping[str, Memory]) -> dict[str, int]:
    """By owner, the place of the last step that reads its memory; behind the last step for what is returned."""
    last: dict[str, int] = {}
    for place, step in enumerate(tape.steps):
        for name in [*step.operands, *([step.into] if step.into is not None else [])]:
            last[owner(name, known)] = place
    for _, expr in tape.outputs:
        last.update((owner(name, known), len(tape.steps)) for name in names(expr))
    return last


@dataclass(frozen=True)
class Place:
    """An array that a step may write over, and the operations around it, from the inside to the outside: each with the
    place of the operand that has been worked out.
    """

    name: str
    around: tuple[tuple[Call, int], ...]


def place_for(
    expr: Expr, shape: Shape, shapes: Mapping[str, Shape], is_free: Callable[[str], bool], own: Callable[[str], str]
) -> Place | None:
    """The array for the value of `expr`: with most operations around it, so that fewest temporaries are made."""
    found: Place | None = None
    work: list[tuple[Expr, tuple[tuple[Call, int], ...]]] = [(expr, ())]
    while work:
        part, outer = work.pop()
        if isinstance(part, Name) and outer and shapes.get(part.id) == shape and is_free(part.id):
            place = Place(part.id, tuple(reversed(outer)))
            if (found is None or len(place.around) > len(found.around)) and _is_read_first(place, own):
                found = place
        elif isinstance(part, Call) and len(outer) < _DEEPEST and _can_write(part):
            work.extend((arg, (*outer, (part, k))) for k, arg in reversed(list(enumerate(part.args))))
    return found


def _is_read_first(place: Place, own: Callable[[str], str]) -> bool:
    """Whether every other reading of the array belongs to the innermost operation, which reads before it writes."""
    memory = own(place.name)
    others = [arg for call, k in place.around[1:] for j, arg in enumerate(call.args) if j != k]
    return not any(own(part.id) == memory for arg in others for part in walk(arg) if isinstance(part, Name))


def _can_write(call: Call) -> bool:
    if call.op in _INFIX or call.op in _OUT or call.op in ("neg", "inverse"):
        return True
    return call.op in TABLE and len(call.args) == 1 and _ufunc(call.op) is not None


@cache
def _ufunc(op: str) -> str | None:
    """`np.exp({0}` of an op that NumPy works out in one go."""
    found = _CALL.fullmatch(TABLE[op].python.text)
    return found[1] if found is not None and isinstance(getattr(np, found[2], None), np.ufunc) else None


def lines_in_place(printer: NumpyPrinter, place: Place, target: str | None) -> list[str]:
    """The statements; the first one gives the array the name `target`, where it has to have a new one."""
    made: list[str] = []
    old = printer(Name(place.name))
    current = old
    for call, k in place.around:
        others = [
            arg if isinstance(arg, Number) else stretchable(printer, arg) for j, arg in enumerate(call.args) if j != k
        ]
        made.append(_statement(printer, call, k, others, current, target or old))
        current = target or old
    return made


def _statement(printer: NumpyPrinter, call: Call, k: int, others: list[Expr], current: str, target: str) -> str:
    """One operation on the array `current`, which gets the name `target`."""
    if call.op in _INFIX:
        function, sign = _INFIX[call.op]
        other = printer(others[0])
        if current == target and (k == 0 or call.op in _COMMUTE):
            return f"{target} {sign} {other}"
        first, second = (current, other) if k == 0 else (other, current)
        return f"{target} = {function}({first}, {second}, out={current})"
    if call.op == "neg":
        text = f"np.negative({current}"
    elif call.op == "inverse":
        text = f"np.divide(1, {current}"
    elif call.op in TABLE:
        text = str(_ufunc(call.op)).format(current)
    else:
        text = printer(call.over([Name(current)]))[:-1]
    return f"{target} = {text}, out={current})"


def with_second(text: str, function: str, out: str | None) -> str:
    """The call `name(...)` as one of the helper `function` that gives a second result, in the memory of `out`."""
    inside = text.partition("(")[2]
    return f"{function}({inside}" if out is None else f"{function}({inside[:-1]}, out={out})"


__all__ = ["Place", "last_reads", "lines_in_place", "owner", "place_for", "with_second"]
