"""Small numeric functions that generated NumPy code carries with it, because NumPy lacks them.

The source of a function is copied into the generated module together with the functions and
constants it names, so everything here needs ``np`` alone. Arguments are arrays or scalars; the
result has the broadcast shape and the float type of the argument. Nothing raises: outside its
domain a function returns NaN or an infinity. Call them under ``np.errstate(all="ignore")``.

The C twins are ``templates/c/helpers/NAME.c.j2`` (erf, erfc, gamma and lgamma come from libm there).
Polynomial coefficients stand highest power first. They are our own: tests/ops/make_coefficients.py
computes and prints them. "DLMF" is the NIST Digital Library of Mathematical Functions,
https://dlmf.nist.gov. tests/ops/test_helpers.py holds the error bounds.
"""

import numpy as np


def _like(value: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Give the value the float type of x; a 0-d array becomes a scalar."""
    dtype = np.result_type(np.asarray(x).dtype, np.float32)
    result: np.ndarray = np.asarray(value, dtype=dtype)[()]
    return result


def _polynomial(coefficients: tuple[float, ...], x: np.ndarray) -> np.ndarray:
    """Horner's rule, highest power first."""
    value = np.full_like(x, coefficients[0])
    for c in coefficients[1:]:
        value *= x
        value += c
    return value


# ---- Neural network functions: one exponential of a negative argument, then a selection ----


def sigmoid(x: np.ndarray) -> np.ndarray:
    """exp(x)/(1 + exp(x)): the left tail is exact. 1e38 stands for all larger exponentials, whose result is 1."""
    e: np.ndarray = np.minimum(np.exp(x), 1e38)
    return e / (1.0 + e)


def softplus(x: np.ndarray) -> np.ndarray:
    """log(1 + exp(x)), which is x where rounding leaves less: 1e38 stands for all larger exponentials."""
    return _like(np.maximum(np.log1p(np.minimum(np.exp(x), 1e38)), x), x)


def silu(x: np.ndarray) -> np.ndarray:
    """x*sigmoid(x); far on the left exp(x), which underflows before x*exp(x) does, is put in as two square roots."""
    x_left = np.where(x < -1000.0, -1000.0, np.asarray(x, np.float64))  # keeps -inf from giving -inf*0
    far = x_left < -700.0
    e = np.exp(np.where(far, -0.5, -1.0) * np.abs(x_left))
    rest = np.where(far, e, 1.0)
    return _like(np.where(x >= 0, x, (x_left * e) * rest) / (1.0 + e * rest), x)


def gelu(x: np.ndarray) -> np.ndarray:
    """x*Phi(x) = (x/2) erfc(-x/sqrt(2)): no cancellation on the left (Hendrycks and Gimpel 2016).

    The relative error is that of rounding x: about x^2 ulp in the left tail.
    """
    x_left = np.where(x < -1000.0, -1000.0, x)  # Phi(-1000) is 0: keeps -inf from giving -inf*0
    return _like((0.5 * x_left) * erfc(-0.7071067811865476 * x_left), x)


# ---- Choices: the same comparisons as in the C code, so that both languages choose alike ----


def xlogy(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """x*log(y), and 0 where x is 0 unless y is NaN."""
    result: np.ndarray = np.where((x == 0) & ~np.isnan(y), 0.0, x * np.log(y))[()]
    return result


def sign(x: np.ndarray) -> np.ndarray:
    """-1, 0 or 1; NaN stays NaN and both zeros give 0.0."""
    return _like(np.where(x > 0, 1.0, np.where(x < 0, -1.0, np.where(x == 0, 0.0, x))), x)


def maximum(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The larger one; NaN wins, and a tie (0.0 and -0.0 too) gives a."""
    result: np.ndarray = np.where((a >= b) | np.isnan(a), a, b)[()]
    return result


def minimum(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The smaller one; NaN wins, and a tie (0.0 and -0.0 too) gives a."""
    result: np.ndarray = np.where((a <= b) | np.isnan(a), a, b)[()]
    return result


# ---- Error function ----

# erf(x)/x in x^2 for |x| <= 1; relative error 1.4e-17
_ERF = (
    5.960685338520971e-11,
    -1.137495573607015e-09,
    1.466032872274226e-08,
    -1.6350396222864617e-07,
    1.64610084778027e-06,
    -1.4925595772180906e-05,
    0.0001205533113295582,
    -0.0008548326981425542,
    0.005223977624828431,
    -0.026866170645077875,
    0.11283791670954885,
    -0.3761263890318375,
    1.1283791670955126,
)

# (1 + 2x) exp(x^2) erfc(x) in (x - 3)/(x + 3) for 1/2 <= x <= 28; relative error 4.5e-17
_ERFC = (
    7.1854083429326844e-09,
    7.267008158164415e-08,
    -8.071228643371007e-08,
    -5.876221253809789e-07,
    2.9940789366342017e-07,
    3.456238194386269e-06,
    -6.991519618967296e-07,
    -2.0095119120263966e-05,
    4.938075884919034e-06,
    0.000125098221422836,
    -0.00010515726101732228,
    -0.0007798321300500339,
    0.0018886900108495415,
    0.0025293918058535815,
    -0.02377051489094221,
    0.06830802734435486,
    -0.11927366341643471,
    0.12964515870275486,
    -0.047562294353432934,
    -0.13562110612458114,
    1.2530080582697296,
)


def erf(x: np.ndarray) -> np.ndarray:
    """Error function: an own minimax polynomial for |x| < 1, else 1 - erfc."""
    z = np.asarray(x, dtype=np.float64)
    size = np.abs(z)
    inner = size < 1.0
    outer = ~inner
    result = np.empty_like(z)
    result[inner] = z[inner] * _polynomial(_ERF, z[inner] * z[inner])
    result[outer] = np.copysign(1.0 - _erfc_tail(size[outer]), z[outer])
    return _like(result, x)


def erfc(x: np.ndarray) -> np.ndarray:
    """Complementary error function 1 - erf(x), with full relative accuracy in the right tail."""
    z = np.asarray(x, dtype=np.float64)
    left = z < 0.5
    right = ~left
    result = np.empty_like(z)
    result[left] = 1.0 - erf(z[left])
    result[right] = _erfc_tail(z[right])
    return _like(result, x)


def _erfc_tail(x: np.ndarray) -> np.ndarray:
    """erfc for x >= 1/2 (own polynomial, bilinear variable as in Schonfelder 1978, Math. Comp. 32, 1232).

    exp(-x^2) is split at h, x in 24 bits: h*h is exact, and x^2 - h^2 = (x - h)(x + h) is small.
    """
    x = np.minimum(x, 28.0)  # erfc(28) is 0 in float64
    h = x.astype(np.float32).astype(np.float64)
    gauss = np.exp(-h * h) * np.exp((h - x) * (h + x))
    return np.asarray(gauss * _polynomial(_ERFC, (x - 3.0) / (x + 3.0)) / (1.0 + 2.0 * x))


# ---- Gamma function and its logarithm ----

# (1/Gamma(1 + z) - 1)/(z (1 - z)) in z - 1/2 for -1/2 <= z <= 3/2; relative error 1.4e-16
_RECIPROCAL_GAMMA = (
    7.128266464269445e-12,
    -7.382869171217034e-11,
    2.7176538081682465e-10,
    9.11135279489665e-10,
    -1.7037886688640738e-08,
    8.936541025920813e-08,
    -6.220035121253428e-08,
    -2.1338634191710964e-06,
    1.388125479664111e-05,
    -2.588867014166276e-05,
    -0.00014888730681852458,
    0.0011042580868917534,
    -0.002157953269323482,
    -0.006336833305075275,
    0.04161568105120953,
    -0.05255106857397702,
    -0.16469810578113242,
    0.5135166683820503,
)

# B_2k/(2k (2k - 1)) for k = 6, ..., 1
_STIRLING = (
    -0.0019175269175269176,
    0.0008417508417508417,
    -0.0005952380952380953,
    0.0007936507936507937,
    -0.002777777777777778,
    0.08333333333333333,
)


def gamma(x: np.ndarray) -> np.ndarray:
    """Gamma function (DLMF 5.5.1, 5.11.1, reflection 5.5.3); -inf and negative integers give NaN."""
    z = np.asarray(x, dtype=np.float64)
    reflected = z < -0.5
    y = np.where(reflected, -z, z)
    near = y < 13.0
    far = ~near
    a, b = np.empty_like(z), np.ones_like(z)  # Gamma(y) = a*b, in two factors that do not overflow
    a[near] = _gamma_near(y[near])
    a[far], b[far] = _gamma_far(y[far])
    value = np.where(reflected, -np.pi / (z * _sin_pi(z)) / a / b, a * b)
    return _like(np.where(reflected & (z == np.floor(z)), np.nan, value), x)


def lgamma(x: np.ndarray) -> np.ndarray:
    """log|Gamma(x)| (DLMF 5.5.1, 5.11.1, reflection 5.5.3); the poles give +inf."""
    z = np.asarray(x, dtype=np.float64)
    reflected = z < -0.5
    value = _lgamma_right(np.where(reflected, 1.0 - z, z))
    value = np.where(reflected, 1.1447298858494002 - np.log(np.abs(_sin_pi(z))) - value, value)
    return _like(np.where(reflected & (z == np.floor(z)), np.inf, value), x)


def _reciprocal_gamma(z: np.ndarray) -> np.ndarray:
    """1/Gamma(1 + z) - 1 for -1/2 <= z <= 3/2, exactly 0 at 0 and 1 (own minimax polynomial)."""
    return np.asarray(z * (1.0 - z) * _polynomial(_RECIPROCAL_GAMMA, z - 0.5))


def _gamma_near(x: np.ndarray) -> np.ndarray:
    """Gamma for -1/2 <= x < 13: step down to x <= 2 by Gamma(x) = (x - 1) Gamma(x - 1)."""
    product = np.ones_like(x)
    for _ in range(11):
        above = x > 2.0
        x = np.where(above, x - 1.0, x)
        product = np.where(above, product * x, product)
    below = x < 0.5
    product = np.where(below, product / x, product)
    return np.asarray(product / (1.0 + _reciprocal_gamma(np.where(below, x, x - 1.0))))


def _gamma_far(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Two factors of Gamma = sqrt(2 pi) x^(x - 1/2) exp(-x) exp(series) for x >= 13 (DLMF 5.11.1)."""
    x = np.minimum(x, 200.0)  # the product of the factors has overflowed long before
    half_power = x ** (0.5 * x - 0.25)
    body = half_power * np.exp(-x) * (2.5066282746310007 * np.exp(_stirling(x)))
    return body, half_power


def _lgamma_right(x: np.ndarray) -> np.ndarray:
    """log|Gamma| for x >= -1/2; on [1/2, 5/2] a log1p, accurate next to the zeros 1 and 2."""
    low = x <= 2.5
    middle = (x > 2.5) & (x < 13.0)
    high = ~(low | middle)
    result = np.empty_like(x)
    y = x[low]
    below = y < 0.5
    log_step = np.where(below, np.log(np.abs(y)), 0.0)
    result[low] = 0.0 - np.log1p(_reciprocal_gamma(np.where(below, y, y - 1.0))) - log_step
    result[middle] = np.log(_gamma_near(x[middle]))
    y = x[high]
    # (x - 1/2) log x - x + log(2 pi)/2 with less cancellation; the constant is (log(2 pi) - 1)/2
    result[high] = (y - 0.5) * (np.log(y) - 1.0) + 0.4189385332046727 + _stirling(y)
    return result


def _stirling(x: np.ndarray) -> np.ndarray:
    """Stirling's series 1/(12 x) - ... (DLMF 5.11.1), below 1e-17 after six terms for x >= 13."""
    return np.asarray(_polynomial(_STIRLING, 1.0 / (x * x)) / x)


def _sin_pi(x: np.ndarray) -> np.ndarray:
    """sin(pi x), reduced exactly by the nearest integer."""
    n = np.rint(x)
    s = np.sin(np.pi * (x - n))
    return np.asarray(np.where(n % 2.0 == 0.0, s, -s))


# ---- Digamma and polygamma ----

# the positive zero of digamma in two parts
_DIGAMMA_ROOT = 1.4616321449683622
_DIGAMMA_ROOT_LOW = 9.549995429965697e-17

# digamma(x)/(x - root) - 1/(x root) in x - 3/2 for 1 <= x <= 2; absolute error 5.7e-17
_DIGAMMA = (
    -2.1014026742858384e-07,
    5.153907278794159e-07,
    -1.0807144014487914e-06,
    2.7190254674407717e-06,
    -6.9087648094935944e-06,
    1.7361033787910738e-05,
    -4.3717913856577605e-05,
    0.00011050240520782795,
    -0.00028067907627475717,
    0.0007181572700743852,
    -0.0018581181880804208,
    0.0048927018290944755,
    -0.013260889120712289,
    0.037826433340934225,
    -0.11955334493165157,
    0.4949447615071198,
)

# B_2k/(2k) for k = 7, ..., 1
_DIGAMMA_TAIL = (
    0.08333333333333333,
    -0.021092796092796094,
    0.007575757575757576,
    -0.004166666666666667,
    0.003968253968253968,
    -0.008333333333333333,
    0.08333333333333333,
)

# B_2k/(2k)! for k = 1, ..., 12
_POLYGAMMA_TAIL = (
    0.08333333333333333,
    -0.001388888888888889,
    3.306878306878307e-05,
    -8.267195767195768e-07,
    2.08767569878681e-08,
    -5.284190138687493e-10,
    1.3382536530684679e-11,
    -3.3896802963225827e-13,
    8.586062056277845e-15,
    -2.174868698558062e-16,
    5.5090028283602295e-18,
    -1.3954464685812522e-19,
)


def digamma(x: np.ndarray) -> np.ndarray:
    """Derivative of log Gamma (DLMF 5.5.2, 5.11.2, reflection 5.5.4); +-0 gives -+inf, other poles NaN."""
    z = np.asarray(x, dtype=np.float64)
    reflected = z <= 0.0
    y = np.where(reflected, 1.0 - z, z)
    near = y < 10.0
    far = ~near
    value = np.empty_like(z)
    value[near] = _digamma_near(y[near])
    value[far] = _digamma_far(y[far])
    value = np.where(reflected, value - np.pi * _cot_pi(z), value)
    return _like(np.where((z < 0.0) & (z == np.floor(z)), np.nan, value), x)


def _digamma_near(x: np.ndarray) -> np.ndarray:
    """Digamma for 0 < x < 10: step into [1, 2], where (x - root) is a factor (own minimax polynomial)."""
    total = np.zeros_like(x)
    for _ in range(8):
        above = x > 2.0
        x = np.where(above, x - 1.0, x)
        total = np.where(above, total + 1.0 / x, total)
    below = x < 1.0
    total = np.where(below, -1.0 / x, total)
    x = np.where(below, x + 1.0, x)
    distance = (x - _DIGAMMA_ROOT) - _DIGAMMA_ROOT_LOW
    return np.asarray(total + distance * (1.0 / (x * _DIGAMMA_ROOT) + _polynomial(_DIGAMMA, x - 1.5)))


def _digamma_far(x: np.ndarray) -> np.ndarray:
    """Digamma for x >= 10: log x - 1/(2x) - series (DLMF 5.11.2)."""
    u = 1.0 / (x * x)
    return np.asarray(np.log(x) - 0.5 / x - u * _polynomial(_DIGAMMA_TAIL, u))


def _cot_pi(x: np.ndarray) -> np.ndarray:
    """cot(pi x), reduced exactly by the nearest integer; exactly 0 at half-integers."""
    r = np.where(np.abs(x) < 0.5, x, x - np.rint(x))
    size = np.abs(r)
    return np.where(size <= 0.25, 1.0 / np.tan(np.pi * r), np.copysign(np.tan(np.pi * (0.5 - size)), r))


def polygamma(order: int, x: np.ndarray) -> np.ndarray:
    """Derivative number order of digamma (reflection: DLMF 5.15.6); for x <= 0 up to order 170, then NaN.

    A pole gives +inf for odd orders and NaN for even ones; order 0 is digamma.
    """
    if order == 0:
        return digamma(x)
    z = np.asarray(x, dtype=np.float64)
    reflected = z <= 0.0
    value = _polygamma_right(order, np.where(reflected, 1.0 - z, z))
    even = order % 2 == 0
    result = -value if even else value
    if np.any(reflected):
        result = np.where(reflected, _cot_pi_derivative(order, z) - value, result)
        pole = np.where(z == -np.inf, np.nan, np.nan if even else np.inf)
        result = np.where(reflected & (z == np.floor(z)), pole, result)
    return _like(result, x)


def _polygamma_right(n: int, x: np.ndarray) -> np.ndarray:
    """|polygamma(n, x)| for x > 0: recurrence up to n + 12 (DLMF 5.15.5), then series (DLMF 5.15.9)."""
    start = n + 12.0
    total = np.zeros_like(x)
    for _ in range(n + 12):
        below = x < start
        total = np.where(below, total + _power_term(n, x), total)
        x = np.where(below, x + 1.0, x)
    term = np.ones_like(x)
    series = 1.0 + n / (2.0 * x)
    for k in range(12):
        term = term * ((n + 2 * k) / x) * ((n + 2 * k + 1) / x)
        series = series + _POLYGAMMA_TAIL[k] * term
    return np.asarray(total + _power_term(n - 1, x) * series)


def _power_term(n: int, x: np.ndarray) -> np.ndarray:
    """n!/x^(n + 1) as a product of j/x, which neither overflows nor underflows on its way."""
    value = 1.0 / x
    for j in range(1, n + 1):
        value = value * (j / x)
    return np.asarray(value)


def _cot_pi_derivative(n: int, x: np.ndarray) -> np.ndarray:
    """-pi times the n-th derivative of cot(pi x), as a polynomial in t = cot(pi x).

    From d cot/dx = -pi (1 + t^2): P_0 = t, P_k = (1 + t^2) P_(k-1)'/k and the result is
    (-1)^(n+1) n! pi^(n+1) P_n(t). All coefficients are >= 0, so nothing cancels.
    """
    if n > 170:
        return np.full_like(x, np.nan)
    p = [0.0] * (n + 3)
    p[1] = 1.0
    for k in range(1, n + 1):
        low = [(j + 1) * p[j + 1] for j in range(n + 2)]
        high = [0.0, 0.0] + [j * p[j] for j in range(1, n + 1)]
        p = [(a + b) / k for a, b in zip(low, high, strict=True)] + [0.0]
    even = n % 2 == 0
    t = _cot_pi(x)
    value = -t if even else np.ones_like(t)
    value = value * _polynomial(tuple(p[n + 1 :: -2]), t * t)
    for j in range(n + 1):
        value = value * (np.pi * max(j, 1))
    return np.asarray(value)
