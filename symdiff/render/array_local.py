"""Local derivatives of steps over arrays: element by element with Kronecker deltas, as a matrix, and as a factor.

    Element ::= sum over indices, deltas, body       # d z_p / d W_ij = delta_pi x_j

Those of contractions are read off the Spec, those of elementwise steps off the op table; each remaining op says in one
line what its element is.
"""

from __future__ import annotations

from collections.abc import Mapping

from symdiff.einstein import UNIT, Spec, familiar
from symdiff.expr import ONE_NUMBER, ZERO_NUMBER, Call, Expr, Name, Number, call, names
from symdiff.ops import ARRAYS
from symdiff.ops.array_core import Rule, contraction, fitted
from symdiff.ops.evaluate import fold
from symdiff.ops.infer import shape_of
from symdiff.render.array_marks import Marks
from symdiff.render.array_partials import ELEMENTS, MATRICES, REDUCED, Element, operands
from symdiff.render.array_people import nicer, product_of, tidy
from symdiff.render.array_signs import broadcast_indices
from symdiff.shapes import Shape
from symdiff.tape import Step, Tape


class Locals:
    """Local derivatives of the steps of one tape."""

    def __init__(self, tape: Tape, marks: Marks) -> None:
        self.tape, self.shapes = tape, tape.shapes
        self.marks: Marks = marks
        self.primal = {step.name: step for step in tape.primal}
        self.output = tape.value.id if isinstance(tape.value, Name) else ""
        self.slots: dict[tuple[str, str], list[int]] = {}  # of every operand of a step, in the order of the operands
        for step in tape.reverse:
            if step.of is not None and step.receiver is not None and step.slot is not None:
                self.slots.setdefault((step.of, step.receiver), []).append(step.slot)

    def operand(self, send: Step) -> int:
        """Which operand of its primal step an adjoint step goes to."""
        assert send.of is not None and send.receiver is not None
        primal = self.primal[send.of]
        places = [k for k, arg in enumerate(operands(primal)) if arg == Name(send.receiver)]
        if len(places) == 1 or send.slot is None:
            return places[0]
        return places[min(self.slots[send.of, send.receiver].index(send.slot), len(places) - 1)]

    def partial(self, send: Step) -> Expr | None:
        """The local derivative of an elementwise step; None for one that mixes elements."""
        assert send.of is not None
        expr = self.primal[send.of].expr
        if isinstance(expr, Call) and expr.op == "where":
            sides = (ONE_NUMBER, ZERO_NUMBER) if self.operand(send) == 1 else (ZERO_NUMBER, ONE_NUMBER)
            return call("where", expr.args[0], *sides)
        return send.local if not isinstance(expr, Call) or expr.op not in ARRAYS else None

    def element(self, primal: Step, k: int, local: Expr | None) -> Element | None:
        """The derivative of one element by one element; None where only words say it."""
        if local is not None:
            return self._elementwise(primal, k, local)
        assert isinstance(primal.expr, Call)
        if primal.expr.op == "contract":
            return self._contraction(primal, k)
        if primal.expr.op == "apply" and primal.expr.options[1] is None:
            name, shape = primal.expr.options
            return self._elementwise(primal, k, Call("apply_partial", primal.expr.args, None, (name, shape, k)))
        if primal.expr.op in REDUCED:
            return self._reduction(primal)
        return ELEMENTS[primal.expr.op](self, primal, k) if primal.expr.op in ELEMENTS else None

    # -- the kinds ----------------------------------------------------------------------------------------------------

    def letters(self, inside: Shape, out: Shape) -> tuple[str, str, str]:
        """Indices of the operand, of the value, and the rest."""
        free = iter(self.marks.letters)
        a = "".join(UNIT if size == 1 else next(free) for size in inside)
        b = "".join(UNIT if size == 1 else next(free) for size in out)
        return a, b, "".join(free)

    def _contraction(self, primal: Step, k: int) -> Element:
        assert isinstance(primal.expr, Call)
        spec: Spec = primal.expr.options[0]
        args = primal.expr.args
        inside, out, rest = self.letters(self.shape(args[k]), primal.shape)
        free = iter(rest)
        letters: dict[str, str] = {UNIT: UNIT}
        deltas: list[tuple[str, str]] = []
        for own, letter in zip(inside, spec.operands[k], strict=True):
            if letter != UNIT and letter in letters:
                deltas.append((letters[letter], own))
            letters.setdefault(letter, own)
        taken: dict[str, str] = {}
        for position, letter in zip(out, spec.output, strict=True):
            if letter == UNIT:
                continue
            first = taken.get(letter) or (letters[letter] if letter in spec.operands[k] else None)
            if first is not None:
                deltas.insert(0, (position, first)) if letter not in taken else deltas.append((position, first))
            else:
                letters[letter] = position
            taken.setdefault(letter, position)
        summed = ""
        for j, part in enumerate(spec.operands):
            for letter in part if j != k else "":
                if letter not in letters:
                    letters[letter] = next(free)
                    summed += letters[letter]

        def body(new: Mapping[str, str]) -> list[str]:
            found = []
            for j, (part, arg) in enumerate(zip(spec.operands, args, strict=True)):
                if j != k:
                    indices = "".join(new.get(letters[i], letters[i]) for i in part)
                    found.append(self._entry(arg, indices))
            return found

        return Element(out, inside, tuple(sorted(deltas, key=lambda d: d[0] not in out)), summed, body)

    def _elementwise(self, primal: Step, k: int, local: Expr) -> Element:
        shape = self.shape(operands(primal)[k])
        inside, out, _ = self.letters(shape, primal.shape)
        pad = len(out) - len(inside)
        deltas = tuple((o, i) for o, i in zip(out[pad:], inside, strict=True) if i != UNIT and o != UNIT)
        shown = nicer(local, self.primal)

        def body(new: Mapping[str, str]) -> list[str]:
            if shown == ONE_NUMBER:
                return []
            here = "".join(new.get(o, o) for o in out)
            indices = {name: broadcast_indices(here, self.shapes[name]) for name in names(shown) if name in self.shapes}
            scalars = dict.fromkeys(self.shapes, ())
            return [self.marks.factor(product_of(tidy(shown, scalars), scalars).expr, indices)]

        return Element(out, inside, deltas, "", body)

    def _reduction(self, primal: Step) -> Element:
        assert isinstance(primal.expr, Call)
        (arg,), (axes, keepdims) = primal.expr.args, primal.expr.options
        inside, out, rest = self.letters(self.shape(arg), primal.shape)
        gone = range(len(inside)) if axes is None else axes
        kept = [index for axis, index in enumerate(inside) if axis not in gone]
        outer = [index for axis, index in enumerate(out) if not keepdims or axis not in gone]
        deltas = tuple((o, i) for o, i in zip(outer, kept, strict=True) if o != UNIT)
        element = REDUCED[primal.expr.op]

        def body(new: Mapping[str, str]) -> list[str]:
            here = "".join(new.get(o, o) for o in out)
            return element(self, primal, inside, here, rest)

        return Element(out, inside, deltas, "", body)

    def _entry(self, arg: Expr, indices: str) -> str:
        if isinstance(arg, Name):
            return self.marks.entry(arg.id, indices)
        return self.marks.factor(arg, {}) if isinstance(arg, Number) else self.marks.matrix(arg)

    def shape(self, arg: Expr) -> Shape:
        return shape_of(arg, self.shapes)

    # -- matrices and factors -----------------------------------------------------------------------------------------

    def matrix(self, primal: Step, k: int, local: Expr | None) -> Expr | None:
        """The local derivative as an array, where vectors and scalars are all there is: 2 W, diag(phi'(z)), W."""
        arg = operands(primal)[k]
        inside, out = self.shape(arg), primal.shape
        if not out:
            return self.sent(primal, k, local, ONE_NUMBER)
        if _rank(inside) + _rank(out) > 2:
            return None
        if local is None and isinstance(primal.expr, Call) and primal.expr.op == "apply":
            partial = Call("apply_partial", primal.expr.args, None, (*primal.expr.options, k))
            local = partial if primal.expr.options[1] is None else None
        if local is not None:
            return self._diagonal(nicer(local, self.primal), inside, out)
        assert isinstance(primal.expr, Call)
        if primal.expr.op == "contract":
            return self._contraction_matrix(primal, k)
        return MATRICES[primal.expr.op](self, primal, k) if primal.expr.op in MATRICES else None

    def _diagonal(self, local: Expr, inside: Shape, out: Shape) -> Expr | None:
        size = [n for n in out if n != 1]
        if not size:
            return tidy(local, self.shapes)
        if not inside or all(n == 1 for n in inside):
            whole = fitted(local, self.shape(local), out)
            return tidy(whole, self.shapes)
        if inside != out:
            return None
        eye = call("eye", options=(size[0],))
        if local == ONE_NUMBER:
            return eye
        shape = self.shape(local)
        if not shape:
            return tidy(call("mul", local, eye), self.shapes)
        if shape != out:
            return None
        flat = "".join(UNIT if n == 1 else "i" for n in out)
        return contraction(Spec((flat,), "ii"), (tidy(local, self.shapes),))

    def _contraction_matrix(self, primal: Step, k: int) -> Expr | None:
        assert isinstance(primal.expr, Call)
        spec: Spec = primal.expr.options[0]
        args = [arg for j, arg in enumerate(primal.expr.args) if j != k]
        parts = tuple(part for j, part in enumerate(spec.operands) if j != k)
        output = (spec.output + spec.operands[k]).replace(UNIT, "")
        sizes = spec.index_sizes([self.shape(arg) for arg in primal.expr.args])
        missing = dict.fromkeys(i for i in output if all(i not in part for part in parts))
        if len(output) == 2 and output[0] == output[1] and not args:
            return call("eye", options=(sizes[output[0]],))
        if not args:
            if not output:
                return ONE_NUMBER
            parts, args = ("",), [ONE_NUMBER]
            missing = dict.fromkeys(output)
        found = contraction(Spec(parts, output, tuple((i, sizes[i]) for i in missing)), args)
        return tidy(found, self.shapes)

    def sent(self, primal: Step, k: int, local: Expr | None, bar: Expr) -> Expr:
        """What a step sends to operand k, from `bar`, as people write it."""
        if local is not None:
            made: Expr = call("mul", bar, nicer(local, self.primal))
            made = fitted(made, self.shape(made) or primal.shape, self.shape(operands(primal)[k]))
            return tidy(fold(made), self.shapes)
        assert isinstance(primal.expr, Call)
        shapes = tuple(self.shape(arg) for arg in primal.expr.args)
        found = ARRAYS[primal.expr.op].adjoint(Rule(primal.expr, shapes, primal.shape, Name(primal.name)), k, bar)
        assert found is not None
        return tidy(nicer(fold(found), self.primal), self.shapes)

    def factor(self, primal: Step, k: int, local: Expr | None) -> Expr | None:
        """The local derivative as a factor of a product: phi'(z), W_2, 2 t, 1; None where it is none."""
        if local is not None:
            return product_of(tidy(nicer(local, self.primal), self.shapes), self.shapes).expr
        assert isinstance(primal.expr, Call)
        op = primal.expr.op
        if op == "apply":
            return Call("apply_partial", primal.expr.args, None, (*primal.expr.options, k))
        if op == "contract":
            others = [arg for j, arg in enumerate(primal.expr.args) if j != k]
            if not others:
                if familiar(primal.expr.options[0]).kind == "trace":
                    return self.sent(primal, k, None, ONE_NUMBER)
                return ONE_NUMBER if familiar(primal.expr.options[0]).kind in ("sum", "broadcast", "identity") else None
            return others[0] if len(others) == 1 else None
        if op == "solve" and k == 1:
            return call("inv", primal.expr.args[0])
        if not primal.shape:
            return self.sent(primal, k, None, ONE_NUMBER)
        if op == "mean":
            return self.sent(primal, k, None, ONE_NUMBER) if not primal.shape else None
        return None

    def word(self, primal: Step, k: int) -> str:
        """What is said of a local derivative that is no factor: `softmax Jacobian`."""
        assert isinstance(primal.expr, Call)
        op = primal.expr.op
        kind = familiar(primal.expr.options[0]).kind if op == "contract" else op
        return _FACTOR_WORDS.get(kind, "")


_FACTOR_WORDS = {
    "transpose": "transpose",
    "diag": "diagonal",
    "diagonal": "diagonal",
    "outer": "outer product",
    "hadamard": "elementwise product",
    "index": "slice",
    "put": "slice",
    "concat": "slice",
    "stack": "slice",
    "reshape": "reshape",
    "softmax": "softmax Jacobian",
    "cumsum": "running sum",
    "inv": "inverse",
    "solve": "solution",
    "cholesky": "Cholesky",
    "mean": "mean",
    "sumsq": "sum of squares",
    "norm": "norm",
    "norm1": "1-norm",
    "prod": "product",
    "amax": "maximum",
    "amin": "minimum",
    "logsumexp": "logsumexp",
}


def _rank(shape: Shape) -> int:
    return sum(size != 1 for size in shape)


__all__ = ["Locals"]
