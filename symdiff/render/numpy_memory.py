"""What generated NumPy code may write to: which values are new arrays, which are views, and in which order they lie."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from symdiff.einstein import familiar
from symdiff.expr import Call, Expr, Name, Number, bottom_up
from symdiff.render.numpy_spelling import NumpyPrinter, contraction

_ORDERED = frozenset({"product", "outer", "diag", "broadcast"})  # in C order whatever the operands are
_NOT_ORDERED = frozenset({"prod_others", "cumsum_reverse"})


@dataclass(frozen=True, slots=True)
class Memory:
    """What is known of an array that an expression gives.

    base     the name whose memory it shares: another name for it, or a view of it; None for a new array, empty for a
             view of one
    whole    whether it is all of the base, in the same order
    ordered  whether arrays made from it element by element are in C order
    """

    base: str | None = None
    whole: bool = False
    ordered: bool = True


NEW = Memory()


def memory(printer: NumpyPrinter, expr: Expr, known: Mapping[str, Memory]) -> Memory:
    """Where the value of `expr` lives, from what is known of its names."""

    def leaf(part: Name | Number) -> Memory:
        if isinstance(part, Number) or part.id not in known:
            return NEW
        return Memory(part.id, True, known[part.id].ordered)

    def node(call: Call, args: list[Memory]) -> Memory:
        ordered = all(arg.ordered for arg in args)
        if call.op == "identity":
            return args[0]
        if call.op in ("index", "reshape"):
            return Memory(args[0].base or "", False, ordered or call.op == "reshape")
        if call.op == "contract":
            return _contracted(printer, call, args, ordered)
        if call.op in ("inv", "solve"):
            return Memory(ordered=call.op == "inv" or args[1].ordered)
        reverse = call.op == "cumsum" and call.options[1]
        return Memory(ordered=ordered and call.op not in _NOT_ORDERED and not reverse)

    return bottom_up(expr, leaf, node)


def _contracted(printer: NumpyPrinter, call: Call, args: list[Memory], ordered: bool) -> Memory:
    kind = familiar(call.options[0]).kind
    if kind == "identity":
        return args[0]
    core = contraction(printer, call)
    if core.view:
        return Memory(args[0].base or "", False, ordered and core.ordered)
    return Memory(ordered=core.ordered and (ordered or kind in _ORDERED))


def fresh(found: Memory) -> bool:
    """Whether it is a new array, which nothing else can see."""
    return found.base is None


__all__ = ["NEW", "Memory", "fresh", "memory"]
