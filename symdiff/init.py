"""Initialisers: the numbers that a training starts from.

>>> import numpy as np
>>> from symdiff import init
>>> init.xavier_uniform((2, 3), np.random.default_rng(0)).shape
(2, 3)

How wide the distribution is follows from the fans of a weight: `fan_in` numbers go into each unit that it feeds, and
`fan_out` units read each number that it is applied to. `fans` takes them from a shape by convention; `fans_in` looks
how a formula uses the weight (`W @ x`: fan_in is the number of columns, `X @ W`: of rows). `parameters` gives every
variable of a formula its start.

Every random number comes from the NumPy Generator that is handed in, so a seed reproduces a start. A plain seed is
refused: two weights of one shape, both made from the seed 0, would be the same numbers.

Sources: X. Glorot and Y. Bengio, Understanding the difficulty of training deep feedforward neural networks, AISTATS
2010 (PMLR 9:249-256), equations 12 and 16; K. He, X. Zhang, S. Ren and J. Sun, Delving deep into rectifiers, ICCV 2015
(arXiv:1502.01852), equations 10 (fan_in), 14 (fan_out) and 15 (leaky rectifier).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from operator import index
from typing import Any, Literal

import numpy as np

from symdiff.errors import SymdiffError, UnsupportedError, nearest, quoted
from symdiff.pipeline import Formula, Program
from symdiff.pipeline import formula as read_formula

Array = np.ndarray[Any, np.dtype[np.float64]]
Fans = tuple[int, int]
Mode = Literal["fan_in", "fan_out"]

_GAINS = {"linear": 1.0, "sigmoid": 1.0, "tanh": 5.0 / 3.0, "relu": math.sqrt(2.0), "selu": 0.75}
_SCALED = frozenset({"identity", "neg", "mul", "div"})  # a weight times a number is that weight


def gain(activation: str, slope: float = 0.01) -> float:
    """The factor that makes up for what an activation takes from the spread of its input.

    linear and sigmoid 1, tanh 5/3, relu sqrt(2), leaky_relu sqrt(2/(1 + slope**2)) (He et al. 2015, equation 15), selu
    3/4: the values that PyTorch recommends. Raises UnsupportedError for another activation.
    """
    if activation == "leaky_relu":
        return math.sqrt(2.0 / (1.0 + _number("slope", slope) ** 2))
    if activation not in _GAINS:
        known = (*_GAINS, "leaky_relu")
        raise UnsupportedError(
            f"no gain is known for {quoted(str(activation))}{nearest(str(activation), known)}; there are "
            f"{', '.join(known)}, and gain= takes any number"
        )
    return _GAINS[activation]


def fans(shape: Iterable[int]) -> Fans:
    """(fan_in, fan_out) of a weight by its shape alone, for `W @ x`.

    (rows, columns) has fan_in = columns and fan_out = rows; a vector is one row; of more axes the first is out, the
    second in, and both count once for each element of the rest (a convolution), as in PyTorch. `fans_in` looks at a
    formula instead.
    """
    sizes = _checked_shape(shape)
    if len(sizes) < 2:
        return math.prod(sizes), 1
    rest = math.prod(sizes[2:])
    return sizes[1] * rest, sizes[0] * rest


# -- distributions ---------------------------------------------------------------------------------------------------


def xavier_uniform(
    shape: Iterable[int], rng: np.random.Generator, *, gain: float = 1.0, fans: Fans | None = None
) -> Array:
    """U(-a, a) with a = gain*sqrt(6/(fan_in + fan_out)): Glorot and Bengio 2010, equation 16.

    A float64 array of `shape`; `fans` is (fan_in, fan_out), by default that of `fans(shape)`. Raises SymdiffError for
    an `rng` that is no NumPy Generator, a negative size and a gain that is not finite.
    """
    return _uniform(shape, rng, gain, lambda n_in, n_out: (n_in + n_out) / 2, fans)


def xavier_normal(
    shape: Iterable[int], rng: np.random.Generator, *, gain: float = 1.0, fans: Fans | None = None
) -> Array:
    """N(0, s**2) with s = gain*sqrt(2/(fan_in + fan_out)): Glorot and Bengio 2010, equation 12."""
    return _normal(shape, rng, gain, lambda n_in, n_out: (n_in + n_out) / 2, fans)


def he_uniform(
    shape: Iterable[int],
    rng: np.random.Generator,
    *,
    gain: float = math.sqrt(2.0),
    fans: Fans | None = None,
    mode: Mode = "fan_in",
) -> Array:
    """U(-a, a) with a = gain*sqrt(3/fan_in), which has the variance gain**2/fan_in: He et al. 2015, equation 10.

    The gain is that of relu. `mode="fan_out"` keeps the spread of adjoints instead (equation 14). Otherwise as
    `xavier_uniform`.
    """
    return _uniform(shape, rng, gain, _fan_of(mode), fans)


def he_normal(
    shape: Iterable[int],
    rng: np.random.Generator,
    *,
    gain: float = math.sqrt(2.0),
    fans: Fans | None = None,
    mode: Mode = "fan_in",
) -> Array:
    """N(0, s**2) with s = gain/sqrt(fan_in): He et al. 2015, equation 10. See `he_uniform`."""
    return _normal(shape, rng, gain, _fan_of(mode), fans)


glorot_uniform, glorot_normal = xavier_uniform, xavier_normal
kaiming_uniform, kaiming_normal = he_uniform, he_normal


def zeros(shape: Iterable[int]) -> Array:
    """All zeros: the usual start of biases."""
    return np.zeros(_checked_shape(shape))


def constant(shape: Iterable[int], value: float) -> Array:
    """The same finite number everywhere."""
    return np.full(_checked_shape(shape), _number("value", value))


def _uniform(
    shape: Iterable[int], rng: np.random.Generator, gain: float, fan: Callable[[int, int], float], given: Fans | None
) -> Array:
    sizes = _checked_shape(shape)
    bound = math.sqrt(3.0) * _deviation(sizes, gain, fan, given)  # U(-a, a) has the standard deviation a/sqrt(3)
    return _checked_rng(rng).uniform(-bound, bound, sizes)


def _normal(
    shape: Iterable[int], rng: np.random.Generator, gain: float, fan: Callable[[int, int], float], given: Fans | None
) -> Array:
    sizes = _checked_shape(shape)
    return _checked_rng(rng).normal(0.0, _deviation(sizes, gain, fan, given), sizes)


def _deviation(sizes: tuple[int, ...], gain: Any, fan: Callable[[int, int], float], given: Fans | None) -> float:
    if isinstance(gain, str):
        raise SymdiffError(f"gain: expected a number, got {quoted(gain)}; init.gain has those of activations")
    if _number("gain", gain) < 0:
        raise SymdiffError(f"the gain must be a finite number that is not negative, not {gain}")
    found = fans(sizes) if given is None else _checked_fans(given)
    if min(found) < 0 or (fan(*found) == 0 and 0 not in sizes):
        raise SymdiffError(f"fans of {found[0]} in and {found[1]} out: a weight with elements has at least one of each")
    return float(gain) / math.sqrt(fan(*found) or 1.0)


def _fan_of(mode: Mode) -> Callable[[int, int], float]:
    if mode not in ("fan_in", "fan_out"):
        raise SymdiffError(f"mode must be fan_in or fan_out, not {quoted(str(mode))}")
    return lambda n_in, n_out: n_in if mode == "fan_in" else n_out


def _number(what: str, value: Any) -> float:
    """A finite number of Python or NumPy."""
    try:
        if math.isfinite(value):
            return float(value)
    except (TypeError, OverflowError):
        pass
    got = "an integer beyond float64" if isinstance(value, int) else quoted(str(value))
    raise SymdiffError(f"{what}: expected a finite number, got {got}")


def _checked_fans(given: Any) -> Fans:
    try:
        fan_in, fan_out = (index(fan) for fan in given)
    except (TypeError, ValueError):
        raise SymdiffError(f"fans: expected two whole numbers (fan_in, fan_out), got {quoted(repr(given))}") from None
    return fan_in, fan_out


def _checked_rng(rng: Any) -> np.random.Generator:
    if not isinstance(rng, np.random.Generator):
        raise SymdiffError(
            f"rng must be a NumPy Generator, not {type(rng).__name__}: make one with np.random.default_rng(seed), and "
            "hand the same one to every call, so that no two arrays get the same numbers"
        )
    return rng


def _checked_shape(shape: Any) -> tuple[int, ...]:
    try:
        sizes = tuple(index(size) for size in (shape if isinstance(shape, Iterable) else (shape,)))
    except TypeError:
        raise SymdiffError(
            f"the shape {quoted(str(shape))} must hold whole numbers; run-time sizes are given by sizes="
        ) from None
    if any(size < 0 for size in sizes):
        raise SymdiffError(f"the shape {sizes} has a negative size")
    return sizes


# -- formulas --------------------------------------------------------------------------------------------------------


def fans_in(
    formula: Any, name: str, sizes: Mapping[str, int] | None = None, wrt: Iterable[str] | str | None = None
) -> Fans:
    """(fan_in, fan_out) of the input `name` by what the formula does with it.

    The axes that its first product with data sums over go into fan_in, the others into fan_out: `W @ x` has fan_in =
    columns, `X @ W` and `W.T @ x` have rows, a vector in `X @ w` has its length and fan_out 1. Data are what depends on
    inputs outside `wrt` (by default the declared constants). Transposes, numbers that scale a weight and products of
    weights alone (`W2 @ W1 @ x`) are looked through. Where there is no such product the shape decides (`fans`).

    sizes are the run-time sizes in its declared shape. Raises SymdiffError for an unknown name or a missing size.
    """
    shapes, primal, names = _parts(formula, wrt)
    _known(name, shapes)
    shape = _numbers(name, shapes[name], sizes or {})
    use = _use(primal, name, names)
    return fans(shape) if use is None else _sized(shape, use)


def parameters(
    formula: Any,
    wrt: Iterable[str] | str | None = None,
    sizes: Mapping[str, int] | None = None,
    rng: np.random.Generator | None = None,
    weights: str | float = "xavier_uniform",
    biases: str | float = "zeros",
    gain: float | Mapping[str, float] | None = None,
) -> dict[str, Array]:
    """A start for every variable in `wrt` (by default each input that is not constant): name -> float64 array.

    formula is a Formula, a Program (whose wrt it is then), or anything that `symdiff.formula` reads. sizes are the
    run-time sizes that the variables' shapes have. A *weight* is what the formula multiplies with data in a sum of
    products (see `fans_in`), or what has two axes longer than 1 and is in no such product; everything else is a *bias*.
    The tape of a traced function has no products of arrays: there matrices are weights, with fans by shape, and vectors
    biases.
    `weights` and `biases` name an initialiser of this module (`xavier_uniform`, `he_normal`, `zeros`, ...) or are a
    number. `gain` is one number for all weights or a number by name; without it Xavier's is 1 and He's sqrt(2). Random
    numbers are drawn in the order of `wrt`.

    Raises SymdiffError for unknown names, missing sizes, and a missing `rng` where numbers are to be random.
    """
    shapes, primal, names = _parts(formula, wrt)
    if isinstance(gain, Mapping):
        for name in gain:
            _known(name, dict.fromkeys(names))
    found = {}
    for name in names:
        shape = _numbers(name, shapes[name], sizes or {})
        use = _use(primal, name, names)
        weight = use is not None or sum(size > 1 for size in shape) > 1
        own = gain.get(name) if isinstance(gain, Mapping) else gain
        own_fans = fans(shape) if use is None else _sized(shape, use)
        found[name] = _made(weights if weight else biases, shape, rng, own_fans, own)
    return found


_RANDOM: dict[str, Callable[..., Array]] = {
    "xavier_uniform": xavier_uniform,
    "xavier_normal": xavier_normal,
    "he_uniform": he_uniform,
    "he_normal": he_normal,
    "glorot_uniform": glorot_uniform,
    "glorot_normal": glorot_normal,
    "kaiming_uniform": kaiming_uniform,
    "kaiming_normal": kaiming_normal,
}


def names() -> tuple[str, ...]:
    """Names of the initialisers that `parameters` takes."""
    return (*_RANDOM, "zeros")


def _made(kind: str | float, shape: tuple[int, ...], rng: Any, own_fans: Fans, gain: float | None) -> Array:
    if not isinstance(kind, str):
        return np.full(shape, _number("weights or biases", kind))
    if kind == "zeros":
        return zeros(shape)
    if kind not in _RANDOM:
        raise SymdiffError(
            f"no initialiser {quoted(kind)}{nearest(kind, names())}; there are {', '.join(names())}, or give a number"
        )
    return _RANDOM[kind](shape, rng, fans=own_fans, **({} if gain is None else {"gain": gain}))


def _parts(formula: Any, wrt: Iterable[str] | str | None) -> tuple[dict[str, Any], Any, tuple[str, ...]]:
    """Shapes of the inputs (of a traced function: of its arguments), the tape, and the names in `wrt`."""
    source = formula if isinstance(formula, Formula | Program) else read_formula(formula)
    groups = source.data.groups
    shapes = dict(source.data.arguments)
    if wrt is not None:
        chosen = (wrt,) if isinstance(wrt, str) else tuple(wrt)
    elif isinstance(source, Program) and source.wrt:
        chosen = source.wrt
    else:
        constants = {group.name for group in groups if group.constant} if groups else set(source.data.constants)
        chosen = tuple(name for name in shapes if name not in constants)
    for name in chosen:
        _known(name, shapes)
    return shapes, source.primal, chosen


def _known(name: str, known: Mapping[str, Any]) -> None:
    if name not in known:
        raise SymdiffError(f"{quoted(str(name))} is not one of {', '.join(known)}{nearest(str(name), known)}")


def _numbers(name: str, shape: Iterable[int | str], sizes: Mapping[str, int]) -> tuple[int, ...]:
    """A declared shape with the run-time sizes put in."""
    missing = [size for size in shape if isinstance(size, str) and size not in sizes]
    if missing:
        raise SymdiffError(
            f"'{name}' has the run-time size {missing[0]}: say how large, sizes={{{missing[0]!r}: ...}} in Python"
        )
    return _checked_shape(sizes[size] if isinstance(size, str) else size for size in shape)


def _sized(shape: tuple[int, ...], use: tuple[set[int], set[int]]) -> Fans:
    into, out = (math.prod(shape[axis] for axis in axes) for axes in use)
    return into, out


def _use(tape: Any, name: str, variables: tuple[str, ...]) -> tuple[set[int], set[int]] | None:
    """Axes of the input `name` that go into its fan_in and its fan_out; None where no product says so.

    The first product with data decides. Where there is none (every input is a variable) the first product does.
    """
    given = {entry.name: entry.shape for entry in tape.inputs}
    if name not in given:  # an argument of a traced function: its tape holds single numbers
        return None
    data = set(given) - set(variables)
    follow: dict[str, list[int | None]] = {name: list(range(len(given[name])))}  # axis -> which axis of `name` it is
    first = None
    for step in tape.primal:
        if not data.isdisjoint(step.operands):
            data.add(step.name)
        read = [k for k, arg in enumerate(getattr(step.expr, "args", ())) if getattr(arg, "id", None) in follow]
        if len(read) != 1:
            continue
        place, axes = read[0], follow[step.expr.args[read[0]].id]
        if step.expr.op == "contract":
            spec = step.expr.options[0]
            if len(spec.operands) > 1:
                found = _split(spec, place, axes, len(given[name]))
                if step.name in data:
                    return found
                first = first or found
            if len(set(spec.operands[place])) == len(spec.operands[place]):
                letters = {
                    letter: axis for letter, axis in zip(spec.operands[place], axes, strict=True) if letter != "1"
                }
                follow[step.name] = [letters.get(letter) for letter in spec.output]
        elif step.expr.op in _SCALED and len(step.shape) == len(axes) and _only_numbers(tape, step, place):
            follow[step.name] = axes
    return first


def _split(spec: Any, place: int, axes: list[int | None], rank: int) -> tuple[set[int], set[int]]:
    """The axes that a product sums over, and the others; an axis that both operands keep (a batch) is in neither.

    Axes that the product does not show were summed with another weight, or have size 1: they are on the side that has
    none.
    """
    others = "".join(part for k, part in enumerate(spec.operands) if k != place)
    into, out, shown = set(), set(), set()
    for letter, axis in zip(spec.operands[place], axes, strict=True):
        if axis is None or letter == "1":
            continue
        shown.add(axis)
        if letter not in spec.output:
            into.add(axis)
        elif letter not in others:
            out.add(axis)
    hidden = set(range(rank)) - shown
    return (into, out | hidden) if into else (hidden, out)


def _only_numbers(tape: Any, step: Any, place: int) -> bool:
    """Whether everything but the operand at `place` is one number."""
    return all(
        tape.shapes.get(getattr(arg, "id", None), ()) == () for k, arg in enumerate(step.expr.args) if k != place
    )


__all__ = [
    "constant",
    "fans",
    "fans_in",
    "gain",
    "glorot_normal",
    "glorot_uniform",
    "he_normal",
    "he_uniform",
    "kaiming_normal",
    "kaiming_uniform",
    "names",
    "parameters",
    "xavier_normal",
    "xavier_uniform",
    "zeros",
]
