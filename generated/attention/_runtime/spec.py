# Copied unchanged from symdiff/runtime/spec.py; the same in every generated package. Do not edit.
"""What a kernel computes, without how: `KernelSpec`, and the errors of kernels.

The module is copied verbatim into generated packages.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from .sizes import Declared, Size, Terms, names_in, shape_text, size_text


class KernelError(ValueError):
    """A kernel cannot compute what it was asked for."""


class KernelShapeError(KernelError):
    """Shapes of arguments or outputs do not fit."""


@dataclass(frozen=True)
class KernelSpec:
    """Names, shapes and dtype of a kernel.

    `inputs` in positional order, `wrt` in gradient order (a subset of the inputs), `defaults` for inputs that a call
    may leave out: numbers, or nested tuples of numbers for arrays.

    Not `array`: every input and output is a scalar mapped over broadcast arrays. `array`: inputs have the `shapes` of
    whole numbers and dimension names, `()` where not mentioned; the value has `value_shape`; a gradient has the shape
    of its input. `requirements` are pairs (terms, message): a call for whose sizes the terms sum to less than 0 is
    refused with the message. `blas`: compiled code has matrix products, for which SciPy is looked up. `grouped`: inputs
    are arrays of scalars, of `shapes` of whole numbers, and may have leading axes, over which the function is mapped.

    Raises ValueError where these contradict each other.
    """

    name: str
    inputs: tuple[str, ...]
    wrt: tuple[str, ...] = ()
    kind: Literal["gradient", "value"] = "gradient"
    dtype: Literal["float64", "float32"] = "float64"
    defaults: Mapping[str, Any] = field(default_factory=dict)
    shapes: Mapping[str, Declared] = field(default_factory=dict)
    value_shape: tuple[Size, ...] = ()
    array: bool = False
    requirements: tuple[tuple[Terms, str], ...] = ()
    blas: bool = True
    grouped: bool = False

    def __post_init__(self) -> None:
        if not self.inputs or len(set(self.inputs)) < len(self.inputs) or len(set(self.wrt)) < len(self.wrt):
            raise ValueError("a kernel needs inputs, each named once")
        if not set(self.wrt) <= set(self.inputs) or not {*self.defaults, *self.shapes} <= set(self.inputs):
            raise ValueError("wrt, defaults and shapes name inputs of the kernel")
        if self.kind not in ("gradient", "value") or self.dtype not in ("float64", "float32"):
            raise ValueError(f"unknown kind {self.kind!r} or dtype {self.dtype!r}")
        if self.grouped and (self.array or self.defaults or self.dimensions):
            raise ValueError("a kernel of groups has shapes of whole numbers, and no defaults")
        shaped = not self.grouped and any(self.shapes.values())
        if not self.array and (self.value_shape or self.requirements or shaped):
            raise ValueError("a kernel that is not of arrays has no shapes")
        needed = {n for s in (*self.value_shape, *(terms for terms, _ in self.requirements)) for n in names_in(s)}
        if not needed <= set(self.dimensions):
            raise ValueError(f"no input has dimension {', '.join(sorted(needed - set(self.dimensions)))}")
        if self.value_shape and self.kind == "gradient":
            raise ValueError(f"the gradient of a value of shape {shape_text(self.value_shape)}")

    @property
    def dimensions(self) -> tuple[str, ...]:
        """Names of the dimensions, in order of appearance in the shapes of the inputs."""
        every = (size for name in self.inputs for size in self.shapes.get(name, ()))
        return tuple(dict.fromkeys(size for size in every if isinstance(size, str)))

    @property
    def outputs(self) -> tuple[str, ...]:
        """Labels of the outputs, in the order of `out`: the value, then the gradients."""
        return ("value", *(f"gradient {name}" for name in (self.wrt if self.kind == "gradient" else ())))

    @property
    def output_shapes(self) -> tuple[tuple[Size, ...], ...]:
        """Shapes of the outputs, in the order of `out`."""
        return (
            self.value_shape,
            *(self.shapes.get(name, ()) for name in (self.wrt if self.kind == "gradient" else ())),
        )

    @property
    def out_name(self) -> str:
        """The keyword for output arrays: `out`, with underscores added while an input has that name."""
        name = "out"
        while name in self.inputs:
            name += "_"
        return name

    @property
    def signature(self) -> str:
        """The shapes as a generalised ufunc signature, such as `(m,n),(n)->(),(m,n),(n)`."""
        inputs = (self.shapes.get(name, ()) for name in self.inputs)
        left, right = (
            ",".join(f"({','.join(map(size_text, s))})" for s in side) for side in (inputs, self.output_shapes)
        )
        return f"{left}->{right}"
