"""One array in every memory layout a kernel may be handed, and what tests compare with."""

from typing import Any

import numpy as np


class _Sub(np.ndarray[Any, Any]):
    pass


def unaligned(a: Any) -> Any:
    raw = np.empty(a.nbytes + 1, np.uint8)[1:].view(a.dtype).reshape(a.shape)
    raw[...] = a
    return raw


def _field(a: Any) -> Any:
    """Stride 12: no multiple of the item size."""
    record = np.empty(a.shape, np.dtype([("v", "f8"), ("w", "i4")]))
    record["v"] = a
    return record["v"]


def read_only(a: Any) -> Any:
    if isinstance(a, np.ndarray):
        a.flags.writeable = False
    return a


LAYOUTS = {
    "contiguous": lambda a: a,
    "strided": lambda a: np.repeat(a, 3, axis=-1)[..., ::3],
    "negative": lambda a: a[..., ::-1].copy()[..., ::-1],
    "fortran": lambda a: np.asfortranarray(a),
    "big-endian": lambda a: a.astype(">f8"),
    "unaligned": lambda a: unaligned(a),
    "field": lambda a: _field(a),
    "list": lambda a: a.tolist(),
    "subclass": lambda a: a.view(_Sub),
    "float32": lambda a: a.astype(np.float32),
    "float16": lambda a: a.astype(np.float16),
    "int16": lambda a: a.astype(np.int16),
}


def flat(result: Any) -> list[Any]:
    """Value and gradients of a call in one list."""
    return [result[0], *result[1]]


def same(one: Any, other: Any) -> bool:
    """Equal bits, shape and dtype."""
    one, other = np.asarray(one), np.asarray(other)
    return one.shape == other.shape and one.dtype == other.dtype and one.tobytes() == other.tobytes()
