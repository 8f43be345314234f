"""What both kinds of C files share: the result, the small functions that libm lacks, prototypes for SIMD."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from symdiff.render.c_function import LIBM, Words
from symdiff.render.context import Sheet
from symdiff.render.environment import environment

# Functions for which glibc's libmvec has vector variants at every width, and how many arguments they take.
VECTOR = {
    name: 2 if name in ("atan2", "pow", "hypot") else 1
    for name in (
        "sin cos tan asin acos atan atan2 sinh cosh tanh asinh acosh atanh exp expm1 log log1p log2 log10 cbrt pow "
        "hypot erf erfc"
    ).split()
}

_CALLED = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?=\()")


@dataclass(frozen=True)
class CSource:
    """Generated C: the file, its header, and what the compiler driver must know about it.

    `workspace`: the functions of a long formula of scalars take their workspace from the caller.
    """

    source: str
    header: str
    name: str
    vector_functions: tuple[str, ...]
    statements: int
    workspace: bool = False

    @property
    def single_file(self) -> str:
        """The file with its header written into it, for a compiler that is given one text."""
        return self.source.replace(f'#include "{self.name}.h"\n', self.header)


def wanted_kinds(sheet: Sheet, kinds: Iterable[str] | None) -> tuple[tuple[str, ...], bool]:
    """Kinds of functions to write, by default all that there are, and whether those of training are among them."""
    if kinds is None:
        every = ("value", "gradient") if sheet.kind == "gradient" else ("value",)
        return every, sheet.update is not None
    asked = tuple(kinds)
    return tuple(kind for kind in asked if kind != "train"), "train" in asked


def helper(name: str, real: str, suffix: str, words: Words) -> str:
    """Source of a small function that libm lacks."""
    template = environment("c").get_template(f"helpers/{name}.c.j2")
    return template.render(real=real, s=suffix, m=words).rstrip("\n")


def libm_used(texts: Iterable[str], suffix: str) -> list[str]:
    """libm functions that the texts call."""
    called = set(_CALLED.findall("\n".join(texts)))
    return [name for name in LIBM if name + suffix in called]


def prototype(name: str, real: str, suffix: str) -> str:
    """The declaration that gives a libm function its vector variants."""
    parameters = ", ".join([real] * VECTOR[name])
    return f'extern {real} {name}{suffix}({parameters}) __attribute__((simd("notinbranch"), const));'
