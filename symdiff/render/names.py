"""Users' names in other languages: one reversible, ASCII-only rule.

A name that a language reserves gets an underscore at its end, and so does a name that would then look like one of
those: `int` -> `int_`, `int_` -> `int__`. Taking one underscore off what was given one leads back, so no two names
meet.
"""

from __future__ import annotations

import builtins
import keyword
import re
from collections.abc import Iterable

from symdiff.ops import TABLE
from symdiff.reserved import C_KEYWORDS

# libm, also in its float (`sinf`) and long double (`sinl`) variants
_C_MATHEMATICS = (
    "acos asin atan atan2 cos sin tan acosh asinh atanh cosh sinh tanh exp exp2 expm1 frexp ilogb ldexp log log10 "
    "log1p log2 logb modf scalbn scalbln cbrt fabs hypot pow sqrt erf erfc lgamma tgamma ceil floor nearbyint "
    "rint lrint llrint round lround llround trunc fmod remainder remquo copysign nan nextafter nexttoward fdim "
    "fmax fmin fma j0 j1 jn y0 y1 yn gamma drem finite significand exp10 pow10 sincos "
).split()
_C_WORDS = (
    "asm typeof bool true false nullptr alignas alignof static_assert thread_local constexpr NULL EOF NAN "
    "INFINITY HUGE_VAL HUGE_VALF HUGE_VALL MATH_ERRNO MATH_ERREXCEPT math_errhandling FP_NAN FP_INFINITE FP_ZERO "
    "FP_SUBNORMAL FP_NORMAL FP_FAST_FMA FP_ILOGB0 FP_ILOGBNAN complex imaginary I linux unix i386 M_E M_LOG2E "
    "M_LOG10E M_LN2 M_LN10 M_PI M_PI_2 M_PI_4 M_1_PI M_2_PI M_2_SQRTPI M_SQRT2 M_SQRT1_2 size_t ptrdiff_t wchar_t "
    "float_t double_t errno signgam offsetof main abs labs div ldiv fpclassify isfinite isinf isnan isnormal "
    "signbit isgreater isgreaterequal isless islessequal islessgreater isunordered "
    # C++, for the header
    "and and_eq bitand bitor catch char8_t char16_t char32_t class co_await co_return co_yield compl concept "
    "consteval constinit typeof_unqual const_cast decltype delete dynamic_cast explicit export friend mutable "
    "namespace new noexcept not not_eq operator or or_eq private protected public reinterpret_cast requires "
    "static_cast template this throw try typeid typename using virtual xor xor_eq "
).split()
C_RESERVED = C_KEYWORDS.union(_C_WORDS) | {name + suffix for name in _C_MATHEMATICS for suffix in ("", "f", "l")}
PYTHON_RESERVED = (
    frozenset(keyword.kwlist)
    | frozenset({"np", "annotations", "Gradient", "value", "gradient", "match", "case", "type"})
    | frozenset(name for name in dir(builtins) if not name.startswith("_"))
    | frozenset(TABLE)
)


_UNDERSCORED = re.compile(r"(u_)*_")


def mangle(name: str, reserved: frozenset[str]) -> str:
    """`name` as an identifier of a language in which `reserved` are taken.

    A leading underscore, which C reserves and a named tuple refuses, is kept behind `u_`.
    """
    if name[0] in "u_" and _UNDERSCORED.match(name):
        name = "u_" + name
    if name.lower().startswith(("sd_", "symdiff_")) or name.rstrip("_") in reserved:
        return name + "_"
    return name


def mangled(names: Iterable[str], reserved: frozenset[str]) -> dict[str, str]:
    """Each name with its identifier."""
    table: dict[str, str] = {}
    taken: set[str] = set()
    for name in names:
        wish = mangle(name, reserved)
        while wish in taken:  # a clash of the suffixes of different rules, `sd_x` against `sd_x_`
            wish += "_"
        taken.add(wish)
        table[name] = wish
    return table
