"""Sheet -> the files of a package that stands alone: code, header, derivation, builder, self-check.

NAME/__init__.py       value, gradient, backend
NAME/NAME.sd           the formula, unless it is very long
NAME/NAME_numpy.py     the formula in NumPy
NAME/NAME.c, NAME.h    the formula in C
NAME/NAME.tex, .md     the derivation, unless the program is very long
NAME/build.py          python -m NAME.build
NAME/check_NAME.py     tests the derivatives by numbers
NAME/_runtime/         symdiff/runtime, copied as it is
NAME/README.md
"""

from __future__ import annotations

import keyword
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from symdiff.render.c import c_module
from symdiff.render.context import Sheet
from symdiff.render.environment import render
from symdiff.render.identity import identity
from symdiff.render.names import PYTHON_RESERVED, mangled
from symdiff.render.points import ArrayPoint, array_point, check_point
from symdiff.render.python import python_module
from symdiff.shapes import described, shape_text, size_text

_COPIED = "Copied unchanged from symdiff/runtime/{name}; the same in every generated package. Do not edit."
_COMMENTS = {".py": "# {}\n", ".c": "/* {} */\n"}
_WIDTH = 80  # of a call shown as an example
_CHECKED = 200  # variables, at most, that the self-check moves one at a time
_GROUPS = ("group_kernel.py",)  # files of the runtime for traced functions, and for training
_TRAINING = (
    "c_train.py",
    "checkpoint.py",
    "interrupt.py",
    "train_data.py",
    "train_engines.py",
    "train_package.py",
    "training.py",
)
_DOCUMENTS = {".md": "the derivation, for GitHub and editors", ".tex": "the derivation, for LaTeX"}


def package_files(sheet: Sheet, texts: Mapping[str, str]) -> dict[str, str]:
    """Relative path -> text of the package of `sheet`; `texts` (the derivation) are files that go along.

    The self-check starts from `sheet.at`, or else from a point that is found here. The same sheet gives the same bytes.
    """
    made = c_module(sheet)
    name, gradient = sheet.name, sheet.kind == "gradient"
    shaped = sheet.people.is_array or bool(sheet.formula.groups)
    own = _array_parts(sheet, texts) if shaped else _scalar_parts(sheet, texts)
    common = {"sheet": sheet, "name": name, "gradient": gradient, **_spec(sheet), "call": own.call}
    common["workspace"] = made.workspace
    if made.workspace:  # the call is more than a line then
        own.readme["c_call"] = ""
    files = {
        "__init__.py": render("python", "package.py.j2", **common),
        f"{name}_numpy.py": python_module(sheet),
        **({f"{name}.sd": "\n".join(sheet.formula_file) + "\n"} if sheet.has_file else {}),
        **({f"{name}.toml": "\n".join(sheet.point_file) + "\n"} if sheet.point_file else {}),
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
        "README.md": render("markdown", "package.md.j2", **common, **own.readme),
        **_runtime(_without(sheet)),
    }
    if gradient:
        files[f"check_{name}.py"] = render("python", own.check_template, **common, **own.check)
    return dict(sorted(files.items()))


@dataclass(frozen=True, slots=True)
class _Parts:
    """What differs between formulas of scalars and of arrays."""

    call: str
    readme: dict[str, Any]
    check_template: str
    check: dict[str, Any]


def _scalar_parts(sheet: Sheet, texts: Mapping[str, str]) -> _Parts:
    point = check_point(sheet, sheet.at)
    return _Parts(_call(point), _readme(sheet, point, texts), "check.py.j2", _check(sheet, point))


def _array_parts(sheet: Sheet, texts: Mapping[str, str]) -> _Parts:
    point = array_point(sheet)
    names = mangled([*sheet.formula.dimensions, *sheet.formula.arguments], PYTHON_RESERVED | {"rng"})
    call = ", ".join(names[given] for given in sheet.formula.arguments)
    return _Parts(
        call if len(call) <= _WIDTH else "...",
        _array_readme(sheet, point, texts, names),
        "check_arrays.py.j2",
        _array_check(sheet, point),
    )


def _spec(sheet: Sheet) -> dict[str, Any]:
    names, wrt = list(sheet.formula.arguments), _wrt(sheet)
    spec = sheet.kernel_shapes
    return {
        "inputs": _tuple(names),
        "defaults": repr(dict(sheet.formula.defaults)),
        "wrt": wrt,
        "wrt_literal": _tuple(wrt),
        "kinds": _tuple([*(["value", "gradient"] if wrt else ["value"]), *(["train"] if sheet.update else [])]),
        "training": _training(sheet),
        "array": "array" in spec,
        "grouped": "grouped" in spec,
        "shapes": [(name, _literal(shape)) for name, shape in spec.get("shapes", {}).items()],
        "shape_lines": [f"{name}: {described(shape)}" for name, shape in spec.get("shapes", {}).items()],
        "value_shape": _literal(spec.get("value_shape", ())),
        "requirements": [(_literal(terms), message) for terms, message in spec.get("requirements", ())],
    }


def _training(sheet: Sheet) -> dict[str, str] | None:
    """What the package's `train` is made from; None without an update rule."""
    update = sheet.update
    if update is None:
        return None
    return {
        "rule": update.rule.name,
        "settings": _dict((name, repr(number)) for _, name, number in update.settings),
        "states": _tuple(update.rule.states),
        "identity": _dict((name, f'"{text}"') for name, text in identity(sheet).items()),
    }


def _dict(items: Iterable[tuple[str, str]]) -> str:
    return "{" + ", ".join(f'"{name}": {text}' for name, text in items) + "}"


def _wrt(sheet: Sheet) -> list[str]:
    """What a caller differentiates by: of a traced function its arguments."""
    return [group.name for group in sheet.variables] if sheet.formula.groups else list(sheet.code.wrt)


def _literal(value: Any) -> str:
    """Nested tuples of numbers and names as ruff and black write them."""
    if not isinstance(value, tuple):
        return f'"{value}"' if isinstance(value, str) else repr(value)
    inside = ", ".join(map(_literal, value))
    return f"({inside},)" if len(value) == 1 else f"({inside})"


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
        "width": max([18, *(len(name) for name in sheet.code.wrt)]),
    }


def _readme(sheet: Sheet, point: Mapping[str, float], texts: Mapping[str, str]) -> dict[str, Any]:
    """The examples of the README."""
    inputs, wrt = list(sheet.formula.arguments), _wrt(sheet)
    access = [f"grads.{wrt[0]}, grads[0]  # the derivative by {wrt[0]}"] if wrt else []
    if access and (keyword.iskeyword(wrt[0]) or wrt[0].startswith("_")):
        access = [f"grads[0]  # the derivative by {wrt[0]}"]
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
        "setup": [],
        "shape_rows": [],
        "dims": [],
        "check_arguments": "`NAME=NUMBER` moves the point.",
    }


def _array_readme(
    sheet: Sheet, point: ArrayPoint, texts: Mapping[str, str], names: Mapping[str, str]
) -> dict[str, Any]:
    """The examples of the README: arrays of random numbers, a seed fixed."""
    dims, inputs = sheet.formula.dimensions, sheet.formula.arguments
    setup = ["rng = np.random.default_rng(0)"] if any(inputs.values()) else []
    if dims:
        values = ", ".join(str(point.sizes[size]) for size in dims)
        setup.append(f"{', '.join(names[size] for size in dims)} = {values}")
    for given, axes in inputs.items():
        shape = size_text(axes[0], names) if len(axes) == 1 else shape_text(axes, names)
        number = repr(sheet.formula.defaults.get(given, 0.5))
        setup.append(f"{names[given]} = {f'rng.normal(size={shape})' if axes else number}")
    settable = dims or not all(inputs.values())
    return {
        **_readme(sheet, {}, texts),
        "c_call": "",
        "setup": setup,
        "shape_rows": [(given, described(axes)) for given, axes in inputs.items()],
        "dims": list(dims),
        "check_arguments": "`NAME=NUMBER` sets sizes and scalar inputs." if settable else "",
    }


def _array_check(sheet: Sheet, point: ArrayPoint) -> dict[str, Any]:
    double = sheet.dtype == "float64"
    scalars = [name for name, axes in sheet.formula.arguments.items() if not axes]
    example = {**point.sizes, **dict.fromkeys(scalars, 0.5)}
    labels = [f"{name}, direction 1" for name in _wrt(sheet)]
    settable = [text for known, text in ((point.sizes, "sizes"), (scalars, "scalar inputs")) if known]
    return {
        "sizes": "{" + ", ".join(f'"{name}": {size}' for name, size in point.sizes.items()) + "}",
        "given": [(name, _nested(value)) for name, value in point.given.items()],
        "range": repr(point.range),
        "definite": repr(point.definite),
        "sample": " ".join(f"{name}={value!r}" for name, value in list(example.items())[:2]),
        "settable": f"NAME=NUMBER sets {' and '.join(settable)}. " if settable else "",
        "tolerance": "1e-6" if double else "2e-3",
        "loosest": "1e-4" if double else "2e-2",
        "width": max([18, *map(len, labels)]),
    }


def _nested(value: Any) -> str:
    """An array as nested lists of exact numbers."""
    return f"[{', '.join(map(_nested, value))}]" if isinstance(value, tuple | list) else repr(value)


def _without(sheet: Sheet) -> frozenset[str]:
    """Files of the runtime that the package has no use for."""
    needless = () if sheet.formula.groups else _GROUPS
    return frozenset([*needless, *(() if sheet.update is not None else _TRAINING)])


@cache
def _runtime(without: frozenset[str]) -> dict[str, str]:
    folder = Path(__file__).resolve().parents[1] / "runtime"
    return {
        f"_runtime/{path.name}": _COMMENTS[path.suffix].format(_COPIED.format(name=path.name))
        + path.read_text(encoding="utf-8")
        for path in sorted(folder.iterdir())
        if path.suffix in _COMMENTS and path.name not in without
    }


__all__ = ["check_point", "package_files"]
