"""Sheet -> the files of a package that stands alone: code, header, derivation, builder, self-check.

NAME/__init__.py       value, gradient, backend
NAME/NAME.sd           the formula, unless it is very long
NAME/NAME_numpy.py     the formula in NumPy
NAME/NAME.c, NAME.h    the formula in C
NAME/NAME.tex, .md     the derivation
NAME/build.py          python -m NAME.build
NAME/check_NAME.py     tests the derivatives by numbers
NAME/_runtime/         symdiff/runtime, copied as it is
NAME/README.md
"""

from __future__ import annotations

import keyword
import math
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from symdiff.render.c import c_module
from symdiff.render.context import Sheet
from symdiff.render.environment import render
from symdiff.render.python import python_module
from symdiff.trace import Trace

_COPIED = "# Copied unchanged from symdiff/runtime/{name}; the same in every generated package. Do not edit.\n"
_WIDTH = 80  # of a call shown as an example
_CHECKED = 200  # variables, at most, that the self-check moves one at a time
_DOCUMENTS = {".md": "the derivation, for GitHub and editors", ".tex": "the derivation, for LaTeX"}
# The search for a point to check at: ranges that are tried in turn, how often, and how many steps may be worked out.
_RANGES = ((0.25, 1.75), (-1.0, 1.0), (1.0, 4.0), (0.05, 0.5), (-4.0, 4.0), (0.0, 25.0), (-100.0, 100.0))
_TRIES, _WORK = 12, 1_000_000
_GOLDEN = 0.6180339887498949


def package_files(sheet: Sheet, texts: Mapping[str, str]) -> dict[str, str]:
    """Relative path -> text of the package of `sheet`; `texts` (the derivation) are files that go along.

    The self-check starts from `sheet.at`, or else from a point that is found here. The same sheet gives the same bytes.
    """
    made = c_module(sheet)
    name, gradient = sheet.name, sheet.kind == "gradient"
    point = check_point(sheet, sheet.at)
    common = {"sheet": sheet, "name": name, "gradient": gradient, **_spec(sheet), "call": _call(point)}
    files = {
        "__init__.py": render("python", "package.py.j2", **common),
        f"{name}_numpy.py": python_module(sheet),
        **({f"{name}.sd": "\n".join(sheet.formula_file) + "\n"} if sheet.has_file else {}),
        f"{name}.c": made.source,
        f"{name}.h": made.header,
        **texts,
        "build.py": render(
            "python",
            "build.py.j2",
            name=name,
            statements=made.statements,
            vector_functions=_tuple(made.vector_functions),
        ),
        "README.md": render("markdown", "package.md.j2", **common, **_readme(sheet, point, texts)),
        **_runtime(),
    }
    if gradient:
        files[f"check_{name}.py"] = render("python", "check.py.j2", **common, **_check(sheet, point))
    return dict(sorted(files.items()))


def _spec(sheet: Sheet) -> dict[str, Any]:
    names = [given.name for given in sheet.formula.declared]
    return {
        "inputs": _tuple(names),
        "defaults": repr(dict(sheet.formula.defaults)),
        "wrt": list(sheet.code.wrt),
        "wrt_literal": _tuple(sheet.code.wrt),
        "kinds": _tuple(["value", "gradient"] if sheet.kind == "gradient" else ["value"]),
    }


def _tuple(names: Iterable[str]) -> str:
    """A tuple of names as ruff and black write it."""
    quoted = [f'"{name}"' for name in names]
    return f"({quoted[0]},)" if len(quoted) == 1 else f"({', '.join(quoted)})"


def _call(point: Mapping[str, float]) -> str:
    text = ", ".join(f"{name}={number!r}" for name, number in point.items())
    return text if len(text) <= _WIDTH else "..."


def _check(sheet: Sheet, point: Mapping[str, float]) -> dict[str, Any]:
    sample = list(sheet.code.wrt)[:2]
    double = sheet.dtype == "float64"
    return {
        "point": "{" + ", ".join(f'"{name}": {number!r}' for name, number in point.items()) + "}",
        "sample": " ".join(f"{name}={point[name]!r}" for name in sample),
        "tolerance": "1e-6" if double else "2e-3",
        "loosest": "1e-4" if double else "2e-2",
        "every": 1 + len(sheet.code.wrt) // _CHECKED,
        "width": max(18, *(len(name) for name in sheet.code.wrt)),
    }


def _readme(sheet: Sheet, point: Mapping[str, float], texts: Mapping[str, str]) -> dict[str, Any]:
    """The examples of the README."""
    inputs = [given.name for given in sheet.formula.declared]
    access = [f"grads.{sheet.code.wrt[0]}, grads[0]  # the derivative by {sheet.code.wrt[0]}"] if sheet.code.wrt else []
    if access and (keyword.iskeyword(sheet.code.wrt[0]) or sheet.code.wrt[0].startswith("_")):
        access = [f"grads[0]  # the derivative by {sheet.code.wrt[0]}"]
    outputs = ["value", *(f"d[{k}]" for k in range(len(sheet.code.wrt)))]
    real = "double" if sheet.dtype == "float64" else "float"
    numbers = ", ".join(f"{number!r}{'f' if real == 'float' else ''}" for number in point.values())
    call = f"{sheet.name}_{sheet.kind}({numbers}, {', '.join('&' + each for each in outputs)});"
    return {
        "input_names": inputs,
        "access": access,
        "derivation": bool(texts),
        "documents": [(file, _DOCUMENTS.get(Path(file).suffix, "")) for file in sorted(texts)],
        "c_declaration": f"{real} value{f', d[{len(sheet.code.wrt)}]' if sheet.code.wrt else ''};",
        "c_call": call if len(call) <= 110 else "",
        "c_value": "value",
    }


@cache
def _runtime() -> dict[str, str]:
    folder = Path(__file__).resolve().parents[1] / "runtime"
    return {
        f"_runtime/{path.name}": _COPIED.format(name=path.name) + path.read_text(encoding="utf-8")
        for path in sorted(folder.glob("*.py"))
    }


# -- the point of the self-check ---------------------------------------------------------------------------------------


def check_point(sheet: Sheet, at: Mapping[str, Any] | None = None) -> dict[str, float]:
    """A value for every input at which value and derivatives are finite, and if possible of ordinary size.

    `at` is taken as it is. Defaults are kept. Where nothing is found, the first candidate: the check asks for a point.
    """
    if at is not None:
        return dict(Trace(sheet.people, at).at)
    tries = max(1, _WORK // (len(sheet.people.steps) + 1))
    fallback: dict[str, float] | None = None
    first: dict[str, float] = {}
    for _, point in zip(range(tries), _candidates(sheet), strict=False):
        first = first or point
        trace = Trace(sheet.people, point)
        found = [trace.value, *trace.gradient.values()]
        if all(1e-6 < abs(number) < 1e6 for number in found):
            return point
        if fallback is None and all(map(math.isfinite, found)):
            fallback = point
    return fallback or first


def _candidates(sheet: Sheet) -> Iterator[dict[str, float]]:
    """Points spread evenly over one range after the other, in short numbers."""
    inputs = sheet.formula.declared
    for low, high in _RANGES:
        for k in range(_TRIES):
            spread = [((i + 1) * _GOLDEN + k * _GOLDEN**2) % 1.0 for i in range(len(inputs))]
            yield {
                given.name: given.default if given.default is not None else round(low + (high - low) * u, 2)
                for given, u in zip(inputs, spread, strict=True)
            }
