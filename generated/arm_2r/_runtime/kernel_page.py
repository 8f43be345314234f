# Copied unchanged from symdiff/runtime/kernel_page.py; the same in every generated package. Do not edit.
"""What a notebook shows of a kernel: its signature, its backend, and its inputs with their shapes.

Notebook front ends ask an object for `_repr_mimebundle_`, `_repr_html_` and `_repr_latex_`. The module is copied
verbatim into generated packages, so it imports nothing of symdiff. It has no style sheet: names are code, shapes are
text, and the colours are those of the notebook.
"""

from html import escape
from typing import Any

from .sizes import Size, shape_text, size_text
from .spec import KernelSpec

_ROWS = 40  # inputs of a longer table are counted
_CELL = 'style="text-align:left;padding:0.15em 1em 0.15em 0"'


class KernelPage:
    """The part of a kernel that notebooks ask."""

    spec: KernelSpec
    backend: str

    def _repr_html_(self) -> str | None:
        return self._repr_mimebundle_().get("text/html")

    def _repr_latex_(self) -> str | None:
        return self._repr_mimebundle_().get("text/latex")

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        """HTML, LaTeX and text; where that fails, text with the reason, because a notebook would show a traceback."""
        try:
            return {"text/html": kernel_html(self.spec, self.backend), "text/latex": kernel_latex(self.spec),
                    "text/plain": repr(self)}  # fmt: skip
        except Exception as error:
            return {"text/plain": f"{self!r}\n(its page cannot be made: {type(error).__name__}: {error})"}


def kernel_html(spec: KernelSpec, backend: str) -> str:
    """The signature on a line, and a table of the inputs."""
    call = f"{spec.name}.{spec.kind}({', '.join(_argument(spec, name) for name in spec.inputs[:_ROWS])}{_more(spec)})"
    result = "value" if spec.kind == "value" else f"value, ({', '.join(spec.wrt[:_ROWS])})"
    signature = spec.signature if len(spec.inputs) <= _ROWS else f"{len(spec.inputs)} inputs"
    facts = f"{spec.kind} kernel, {spec.dtype}, {backend}; shapes {signature}"
    rows = "".join(_row(spec, name) for name in spec.inputs[:_ROWS])
    head = "".join(f'<th scope="col" {_CELL}>{title}</th>' for title in ("Input", "Shape", "Use"))
    rest = f"<p>{len(spec.inputs) - _ROWS} more inputs</p>" if len(spec.inputs) > _ROWS else ""
    return (
        f'<div class="symdiff-kernel"><p><code>{escape(call)} &#8594; {escape(result)}</code><br/>{escape(facts)}</p>'
        f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>{rest}</div>"
    )


def kernel_latex(spec: KernelSpec) -> str:
    r"""`$(W, x) \mapsto (value, gradient)$` with the set of each."""
    inputs = [_member(name, spec.shapes.get(name, ())) for name in spec.inputs[:_ROWS]]
    value, *gradient = spec.output_shapes
    outputs = [_member("value", value)]
    outputs += [_member(name, shape, bar=True) for name, shape in zip(spec.wrt, gradient, strict=False)]
    dots = [r"\ldots"] if len(spec.inputs) > _ROWS else []
    left, right = (",\\; ".join(side) for side in ([*inputs, *dots], [*outputs[: _ROWS + 1], *dots]))
    return rf"$\displaystyle {_code(f'{spec.name}.{spec.kind}')}\colon\; ({left}) \mapsto ({right})$"


def _argument(spec: KernelSpec, name: str) -> str:
    default = spec.defaults.get(name)
    return f"{name}={default!r}" if isinstance(default, float | int) else f"{name}=..." if default is not None else name


def _more(spec: KernelSpec) -> str:
    return ", ..." if len(spec.inputs) > _ROWS else ""


def _row(spec: KernelSpec, name: str) -> str:
    alone = "a number" if spec.array or spec.grouped else "a number, or an array of points"
    shape = spec.shapes.get(name, ())
    shown = shape_text(shape) if shape else alone
    use = "differentiated" if name in spec.wrt and spec.kind == "gradient" else "held fixed" if spec.wrt else "input"
    if name in spec.defaults:
        use += ", may be left out"
    cells = (f"<code>{escape(name)}</code>", escape(shown), use)
    return f"<tr>{''.join(f'<td {_CELL}>{cell}</td>' for cell in cells)}</tr>"


def _member(name: str, shape: tuple[Size, ...], bar: bool = False) -> str:
    space = r"\mathbb{R}"
    if shape:
        sizes = r" \times ".join(map(size_text, shape))
        space += f"^{{{sizes}}}"
    symbol = rf"\overline{{{_code(name)}}}" if bar else _code(name)
    return rf"{symbol} \in {space}"


def _code(name: str) -> str:
    escaped = name.replace("_", r"\_")
    return rf"\mathtt{{{escaped}}}"


__all__ = ["KernelPage", "kernel_html", "kernel_latex"]
