"""Values and gradients of the five formulas as a careful person writes them in NumPy.

Forward values are reused, temporaries are overwritten and held between calls, and long batches go through the cache in
blocks. Each entry of `BY_HAND` makes a function `function(points, out)`, which fills the rows of `out` with the value
and the partials.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from benchmarks.formulas import LENGTHS, TARGET, quadratics

Array = np.ndarray
Rule = Callable[[Array, Array, Array], None]  # points, results, temporaries: rows of one block
BLOCK = 4096


def graph_b(x: Array, out: Array, rows: Array) -> None:
    """1/(sin(w1*x1)**2 + cos(w2*x2) + 2)"""
    w1, x1, w2, x2 = x
    f, square, p, q = out[0], *rows
    np.multiply(w1, x1, out=p)
    np.multiply(w2, x2, out=q)
    np.cos(q, out=f)
    np.sin(p, out=square)
    np.cos(p, out=p)
    p *= square
    square *= square
    f += square
    f += 2
    np.reciprocal(f, out=f)
    np.multiply(f, f, out=square)
    p *= square
    p *= -2
    np.sin(q, out=q)
    q *= square
    for result, local, other in zip(out[1:], (p, p, q, q), (x1, w1, x2, w2), strict=True):
        np.multiply(local, other, out=result)


def rosenbrock10(x: Array, out: Array, rows: Array) -> None:
    """sum(100*(x[i + 1] - x[i]**2)**2 + (1 - x[i])**2)"""
    left, right, gradient = x[:-1], x[1:], out[1:]
    u, v = rows[:9], rows[9:]
    np.multiply(left, left, out=u)
    np.subtract(right, u, out=u)
    np.subtract(1, left, out=v)
    np.einsum("ij,ij->j", u, u, out=out[0])
    out[0] *= 100
    out[0] += np.einsum("ij,ij->j", v, v)
    np.multiply(u, left, out=gradient[:-1])
    gradient[:-1] *= -400
    v *= 2
    gradient[:-1] -= v
    gradient[-1] = 0
    u *= 200
    gradient[1:] += u


def black_scholes(x: Array, out: Array, rows: Array) -> None:
    """S*normal(d1) - K*exp(-r*T)*normal(d2)"""
    from scipy.special import ndtr

    spot, strike, rate, volatility, time = x
    price, by_spot, by_strike, by_rate, by_volatility, by_time = out
    root, spread, d1, density = rows
    np.sqrt(time, out=root)
    np.multiply(volatility, root, out=spread)
    np.divide(spot, strike, out=d1)
    np.log(d1, out=d1)
    np.multiply(rate, time, out=by_rate)
    d1 += by_rate
    d1 /= spread
    np.multiply(spread, 0.5, out=density)
    d1 += density
    np.negative(by_rate, out=by_rate)
    np.exp(by_rate, out=by_rate)
    np.subtract(d1, spread, out=price)
    ndtr(price, out=by_strike)
    by_strike *= by_rate  # discounted probability of exercise, its sign turned below
    ndtr(d1, out=by_spot)
    np.multiply(d1, d1, out=density)
    density *= -0.5
    np.exp(density, out=density)
    density *= 0.3989422804014327
    density *= spot
    np.multiply(strike, by_strike, out=by_time)
    np.multiply(by_time, time, out=by_rate)
    np.multiply(spot, by_spot, out=price)
    price -= by_time
    by_time *= rate
    np.multiply(density, root, out=by_volatility)
    density *= volatility
    density /= root
    density *= 0.5
    by_time += density
    np.negative(by_strike, out=by_strike)


def log_sum_exp() -> Rule:
    """log(sum of exp of the quadratics), the quadratics and their gradients as two matrix products"""
    second, first, constant = quadratics()
    pairs = [(i, j) for i in range(3) for j in range(i, 3)]
    of_pairs = np.stack([second[:, i, j] * (1 + (i != j)) for i, j in pairs], axis=1)
    forward = np.hstack([first, of_pairs])
    reverse = np.ascontiguousarray(forward.T)

    def rule(x: Array, out: Array, rows: Array) -> None:
        monomials, q, sums = rows[:9], rows[9:17], rows[17:26]
        monomials[:3] = x
        for row, (i, j) in zip(monomials[3:], pairs, strict=True):
            np.multiply(x[i], x[j], out=row)
        np.matmul(forward, monomials, out=q)
        q += constant[:, None]
        np.exp(q, out=q)
        np.sum(q, axis=0, out=out[0])
        q /= out[0]
        np.log(out[0], out=out[0])
        np.matmul(reverse, q, out=sums)
        out[1:] = sums[:3]
        for row, (i, j) in zip(sums[3:], pairs, strict=True):
            out[1 + i] += row * x[j]
            out[1 + j] += row * x[i]

    return rule


def arm7(x: Array, out: Array, rows: Array) -> None:
    """sqrt((px - a)**2 + (py - b)**2)"""
    lengths = np.array(LENGTHS)
    sines, cosines, (px, py) = rows[:7], rows[7:14], rows[14:]
    np.cumsum(x, axis=0, out=sines)
    np.cos(sines, out=cosines)
    np.sin(sines, out=sines)
    sines *= lengths[:, None]
    cosines *= lengths[:, None]
    np.sum(cosines, axis=0, out=px)
    np.sum(sines, axis=0, out=py)
    px -= TARGET[0]
    py -= TARGET[1]
    np.hypot(px, py, out=out[0])
    px /= out[0]
    py /= out[0]
    cosines *= py
    sines *= px
    cosines -= sines
    np.cumsum(cosines[::-1], axis=0, out=out[:0:-1])


def _in_blocks(rule: Rule, temporaries: int) -> Callable[[Array, Array], None]:
    """`rule` over any number of points; its temporaries are made once."""
    rows = np.empty((temporaries, BLOCK))

    def function(points: Array, out: Array) -> None:
        for start in range(0, points.shape[1], BLOCK):
            block = points[:, start : start + BLOCK]
            rule(block, out[:, start : start + BLOCK], rows[:, : block.shape[1]])

    return function


BY_HAND: dict[str, Callable[[], Callable[[Array, Array], None]]] = {
    "graph_b": partial(_in_blocks, graph_b, 3),
    "rosenbrock10": partial(_in_blocks, rosenbrock10, 18),
    "black_scholes": partial(_in_blocks, black_scholes, 4),
    "logsumexp8": lambda: _in_blocks(log_sum_exp(), 26),
    "arm7": partial(_in_blocks, arm7, 16),
}
