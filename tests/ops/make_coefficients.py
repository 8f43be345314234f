"""Compute every coefficient that stands in symdiff/ops/helpers.py and templates/c/helpers.

Run it: ``python tests/ops/make_coefficients.py``. It needs mpmath alone and takes some seconds; what it
prints is Python text, and a test compares it with the code. Each polynomial is the best one of its degree
for the error that matters (relative or absolute), found by the exchange algorithm of Remez at 60 digits
and then rounded to float64 or float32; the printed error is that of the rounded polynomial.
"""

from __future__ import annotations

from collections.abc import Callable

import mpmath as mp

mp.mp.dps = 60
Function = Callable[[mp.mpf], mp.mpf]


def horner(coefficients: list[mp.mpf], x: mp.mpf) -> mp.mpf:
    """The polynomial with the highest power first, as the generated code evaluates it."""
    value = mp.mpf(0)
    for c in coefficients:
        value = value * x + c
    return value


def remez(f: Function, weight: Function, a: mp.mpf, b: mp.mpf, degree: int) -> list[mp.mpf]:
    """Minimise max |weight*(f - p)| on [a, b]; highest power first."""
    n = degree + 2
    nodes = [(a + b) / 2 - (b - a) / 2 * mp.cos(mp.pi * k / (n - 1)) for k in range(n)]
    fine = [(a + b) / 2 - (b - a) / 2 * mp.cos(mp.pi * k / (24 * n)) for k in range(24 * n + 1)]
    targets = [(x, f(x), weight(x)) for x in fine]
    solution: list[mp.mpf] = []
    for _ in range(8):
        system, right = mp.matrix(n, n), mp.matrix(n, 1)
        for i, x in enumerate(nodes):
            for j in range(degree + 1):
                system[i, j] = x ** (degree - j)
            system[i, degree + 1] = (-1) ** i / weight(x)
            right[i] = f(x)
        solved = mp.lu_solve(system, right)
        solution = [solved[j] for j in range(degree + 1)]
        error = [w * (y - horner(solution, x)) for x, y, w in targets]
        extremes = alternating_extremes(error)
        if len(extremes) < n:
            break
        while len(extremes) > n:  # drop the weaker end
            extremes.pop(0 if abs(error[extremes[0]]) < abs(error[extremes[-1]]) else -1)
        nodes = [fine[i] for i in extremes]
        sizes = [abs(error[i]) for i in extremes]
        if max(sizes) < min(sizes) * mp.mpf("1.02"):
            break
    return solution


def alternating_extremes(error: list[mp.mpf]) -> list[int]:
    """One index of largest size in each run of equal sign."""
    extremes = [0]
    for i, e in enumerate(error):
        if (e > 0) == (error[extremes[-1]] > 0):
            if abs(e) > abs(error[extremes[-1]]):
                extremes[-1] = i
        else:
            extremes.append(i)
    return extremes


def rounded(value: mp.mpf, bits: int) -> mp.mpf:
    """Nearest number with that many significant bits."""
    with mp.workprec(bits):
        return +value


def show(name: str, f: Function, weight: Function, a: object, b: object, degree: int, bits: int = 53) -> None:
    """Print one polynomial and the weighted error of its rounded form."""
    a, b = mp.mpf(a), mp.mpf(b)
    coefficients = [rounded(c, bits) for c in remez(f, weight, a, b, degree)]
    grid = [a + (b - a) * k / 1999 for k in range(2000)]
    worst = max(abs(weight(x) * (f(x) - horner(coefficients, x))) for x in grid)
    print(f"# {name}: degree {degree} on [{mp.nstr(a, 6)}, {mp.nstr(b, 6)}], error {mp.nstr(worst, 2)}")
    show_numbers(name, coefficients, bits)


def show_numbers(name: str, values: list[mp.mpf], bits: int = 53) -> None:
    """Print a tuple of literals: the shortest decimal of a float64, or nine digits of a float32."""
    print(f"{name} = (")
    for value in values:
        nearest = float(rounded(value, bits))
        print(f"    {nearest!r}," if bits == 53 else f"    {nearest:.9g},")
    print(")")


def taylor_safe(f: Function) -> Function:
    """Evaluate f with more digits, for quotients that cancel at a removable singularity."""

    def safe(x: mp.mpf) -> mp.mpf:
        with mp.workdps(140):
            if abs(x) < mp.mpf(10) ** -40:
                x = mp.mpf(10) ** -40
            return f(x)

    return safe


def special_functions() -> None:
    """erf, gamma and digamma."""
    root_pi = mp.sqrt(mp.pi)

    def erf_ratio(z: mp.mpf) -> mp.mpf:
        x = mp.sqrt(z)
        return mp.erf(x) / x

    show("_ERF", taylor_safe(erf_ratio), lambda z: root_pi / 2, 0, 1, 12)

    def scaled_erfc(w: mp.mpf) -> mp.mpf:
        x = 3 * (1 + w) / (1 - w)
        return mp.exp(x * x) * mp.erfc(x) * (1 + 2 * x)

    # w = (x - 3)/(x + 3) for x from 1/2 to 28
    low, high = mp.mpf("-2.5") / mp.mpf("3.5"), mp.mpf(25) / 31
    show("_ERFC", scaled_erfc, lambda w: 1 / scaled_erfc(w), low, high, 20)

    def gamma_bulge(t: mp.mpf) -> mp.mpf:
        z = t + mp.mpf("0.5")
        if abs(z) < mp.mpf(10) ** -40 or abs(z - 1) < mp.mpf(10) ** -40:
            z += mp.mpf(10) ** -40
        with mp.workdps(140):
            return (mp.rgamma(1 + z) - 1) / (z * (1 - z))

    show("_RECIPROCAL_GAMMA", gamma_bulge, lambda t: 1 / gamma_bulge(t), -1, 1, 17)

    root = mp.findroot(mp.digamma, mp.mpf("1.4616321449683623"))
    high_part = rounded(root, 53)
    print(f"_DIGAMMA_ROOT = {float(high_part)!r}")
    print(f"_DIGAMMA_ROOT_LOW = {float(root - high_part)!r}")

    def digamma_slope(t: mp.mpf) -> mp.mpf:
        x = t + mp.mpf("1.5")
        with mp.workdps(100):
            exact = mp.findroot(mp.digamma, root)
            if abs(x - exact) < mp.mpf(10) ** -30:
                x += mp.mpf(10) ** -30
            return mp.digamma(x) / (x - exact) - 1 / (x * exact)

    show("_DIGAMMA", digamma_slope, lambda t: mp.mpf(1), "-0.5", "0.5", 15)

    stirling = [mp.bernoulli(2 * k) / (2 * k * (2 * k - 1)) for k in range(6, 0, -1)]
    show_numbers("_STIRLING", stirling)
    show_numbers("_DIGAMMA_TAIL", [mp.bernoulli(2 * k) / (2 * k) for k in range(7, 0, -1)])
    show_numbers("_POLYGAMMA_TAIL", [mp.bernoulli(2 * k) / mp.factorial(2 * k) for k in range(1, 13)])
    print("LOG_PI =", float(mp.log(mp.pi)))
    print("SQRT_2_PI =", float(mp.sqrt(2 * mp.pi)))
    print("LGAMMA_CONSTANT =", float((mp.log(2 * mp.pi) - 1) / 2))


def sine_and_cosine() -> None:
    """The two polynomials and the three parts of pi/2, in float64 and in float32."""

    def sine(z: mp.mpf) -> mp.mpf:
        x = mp.sqrt(z)
        return (mp.sin(x) / x - 1) / z

    def cosine(z: mp.mpf) -> mp.mpf:
        return (mp.cos(mp.sqrt(z)) - 1 + z / 2) / z**2

    def cosine_weight(z: mp.mpf) -> mp.mpf:
        return z * z / mp.cos(mp.sqrt(z))

    for kind, bits, sine_degree, cosine_degree, slack in (("DOUBLE", 53, 5, 4, "0.001"), ("FLOAT", 24, 2, 2, "0.01")):
        top = (mp.pi / 4 + mp.mpf(slack)) ** 2
        show(f"SINE_{kind}", taylor_safe(sine), lambda z: z, "1e-20", top, sine_degree, bits)
        show(f"COSINE_{kind}", taylor_safe(cosine), cosine_weight, "1e-20", top, cosine_degree, bits)
        show_numbers(f"HALF_PI_{kind}", parts(mp.pi / 2, bits), bits)
        show_numbers(f"TWO_OVER_PI_{kind}", [2 / mp.pi], bits)


def exponential() -> None:
    """x coth(x/2) = 2 + z p(z) with z = x^2, the two parts of log 2 and its inverse. The error of p counts
    z^(3/2)/2 times in exp.
    """

    def ratio(z: mp.mpf) -> mp.mpf:
        x = mp.sqrt(z)
        return (x * mp.coth(x / 2) - 2) / z

    top = (mp.log(2) / 2 + mp.mpf("0.001")) ** 2
    show("EXPONENTIAL", taylor_safe(ratio), lambda z: mp.sqrt(z) * z / 2, "1e-20", top, 4)
    show_numbers("EXPONENTIAL_LOG_2", parts(mp.log(2), 53)[:2])
    show_numbers("EXPONENTIAL_OVER_LOG_2", [1 / mp.log(2)])


def parts(value: mp.mpf, bits: int) -> list[mp.mpf]:
    """Split into three numbers of that precision, each rounded down, so that all are positive."""
    result = []
    for _ in range(3):
        scale = mp.mpf(2) ** (bits - 1 - mp.floor(mp.log(value, 2)))
        result.append(mp.floor(value * scale) / scale)
        value -= result[-1]
    return result


if __name__ == "__main__":
    special_functions()
    sine_and_cosine()
    exponential()
