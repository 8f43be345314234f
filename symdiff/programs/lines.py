"""The line of the user's program that is being run: errors name it, and say what was probably meant there.

    Place ::= file, line number, the line, the expression in it that is being computed

The same symbol without a value is asked for its truth by `if`, `while` and `and`, and for a float by `float(x)`,
`math.exp(x)` and `a[0] = x`; Python does not tell which, and the text of the expression does.
"""

from __future__ import annotations

import ast
import itertools
import linecache
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TypeVar

import numpy as np

from symdiff.errors import SymdiffError, UnsupportedError
from symdiff.ops import PUBLIC

# files whose frames are not the user's; folders with their separator, so that numpy does not hide numpyro
_HIDDEN = (
    str(Path(__file__).parent / "_")[:-1],
    str(Path(__file__).parents[1] / "pipeline" / "_")[:-1],
    str(Path(np.__file__).parent / "_")[:-1],
)
E = TypeVar("E", bound=SymdiffError)
Advice = tuple[str, str]  # what is wrong, and what to write instead


@dataclass(frozen=True)
class Place:
    """A line of a program; `node` is the expression that is being computed, None where that is not known."""

    file: str
    line: int
    text: str
    node: ast.expr | None

    def says(self, kind: type[E], message: str) -> E:
        """An error that names the line and shows it."""
        shown = "".join(c if c.isascii() and c.isprintable() else "?" for c in self.text[:100])
        return kind(f"{message}\n  {self.file}, line {self.line}" + (f"\n    {shown}" if shown else ""))


def here() -> Place | None:
    """Where the user's program is; None where no frame is the user's."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename.startswith(_HIDDEN):
        frame = frame.f_back
    return None if frame is None else _place(frame, frame.f_lineno, frame.f_lasti)


def located(kind: type[E], message: str) -> E:
    """An error that names the line of the user's program that is being run, and shows it."""
    place = here()
    return kind(message) if place is None else place.says(kind, message)


def refusal(advice: Advice, place: Place | None) -> UnsupportedError:
    """The error that gives the advice."""
    message = f"{advice[0]}; write {advice[1]}"
    return UnsupportedError(message) if place is None else place.says(UnsupportedError, message)


def _place(frame: FrameType, line: int, instruction: int) -> Place:
    code = frame.f_code
    text = linecache.getline(code.co_filename, line, frame.f_globals)
    first, last, start, stop = next(
        itertools.islice(code.co_positions(), instruction // 2, None), (None, None, None, None)
    )
    node = None
    if first == last == line and start is not None and stop is not None:
        node = _parsed(text.encode()[start:stop].decode(errors="replace"))  # Python counts bytes
    return Place(code.co_filename, line, text.strip(), node)


def _parsed(text: str) -> ast.expr | None:
    try:
        return ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError):
        return None


# -- what was probably meant -----------------------------------------------------------------------------------------


def no_branch(condition: str, place: Place | None) -> Advice:
    """For a comparison that is asked whether it is true."""
    what = f"{condition} is neither true nor false here"
    text, node = ("", None) if place is None else (place.text, place.node)
    if not isinstance(node, ast.Call):  # max(x, 0) inside such a line is a matter of its own
        if re.match(r"while\b", text):
            return (
                f"{what}, so it cannot end a loop: a program that is recorded needs a fixed number of passes",
                "for k in range(20): with symdiff.functions.where(c, new, old) for what a pass may leave as it is",
            )
        if (isinstance(node, ast.Compare) and len(node.ops) > 1) or re.search(r"\b(and|or)\b", text):
            return (
                f"{what}, so it cannot be joined to another one by `and`, `or` or a chain such as 0 < x < 1",
                "one where inside another: where(x > 0, where(x < 1, a, b), b) for `a if x > 0 and x < 1 else b`",
            )
    return (
        f"{what}, so the program cannot branch on it (if, while, and, or, not, in, max, min, sorted, an index)",
        "symdiff.functions.where(c, a, b), maximum(a, b) or minimum(a, b)",
    )


def no_float(place: Place | None) -> Advice:
    """For a symbol that is to become a float."""
    node = None if place is None else place.node
    if isinstance(node, ast.Call):
        name = ast.unparse(node.func)
        last = name.rpartition(".")[2]
        if last == "int":
            return NO_INT
        if last in ("float", "float64", "float32"):
            return f"{name}(x): a symbol has no value", "x itself: arithmetic and symdiff.functions take it as it is"
        if last == "astype":
            return "an array of symbols cannot become one of floats", "the array without .astype(...)"
        if name.startswith("math.") or (name == last and last in PUBLIC):
            known = f"symdiff.functions.{last}(x)" if last in PUBLIC else "it with the functions of symdiff.functions"
            return f"{name} takes floats, and a symbol has no value", known
    return (
        "a float array cannot hold symbols, which have no value",
        "symdiff.functions.array([...]) or np.empty(3, dtype=object) for the array; and symdiff.functions.exp(x) for "
        "math.exp(x)",
    )


NO_INT = (
    "int(x), or x stored in an array of whole numbers: a symbol has no value",
    "the program without rounding, and dtype=object for an array that symbols go into",
)
NO_ROUNDING = "the program without rounding (it has no derivative)"
NO_MOD = (
    "//, % and pow(x, y, n) have no useful derivative",
    "the program without them: sin and cos of an angle need no reduction, and x - n*p with a whole n known beforehand "
    "has a derivative",
)
NO_NONE = (
    "an operand is None: np.empty(3, dtype=object) holds None until something is put in, and a function without return "
    "gives it",
    "a value into every element first, or np.zeros(3, dtype=object) for the array",
)
MIXED = (
    "NumPy's functions do not know a plain array of objects that holds numbers beside symbols",
    "symdiff.functions.array([x, 1.0]) for np.array([x, 1.0]), and symdiff.functions.array(h) around an array h of "
    "dtype=object when it is full",
)
# NumPy, looking for a method of the elements of an array of objects
_NO_LOOP = r"loop of ufunc does not support argument \d of type ([\w.]+) which has no callable (\w+) method"
NO_INDEX = (
    "a symbol is no index and no count: these are whole numbers known while the function is traced",
    "them as Python ints (for k in range(3)), or symdiff.functions.where to choose by a symbol",
)


def explained(error: Exception) -> UnsupportedError | None:
    """The refusal behind an error that NumPy raised in a program on symbols; None for any other error.

    An error that mentions symbols otherwise, raised by a library that does not know them, gets a note.
    """
    if isinstance(error, SymdiffError):
        return None
    text = str(error)
    advice: Advice | None = None
    place = _raised_at(error)
    if isinstance(error, IndexError) and re.search("are valid indices|arrays used as indices", text):
        advice = (
            "an index must be a whole number that is known while the function is traced (or a slice of such), and no "
            "comparison of symbols",
            "it as a Python int (for k in range(3)), or symdiff.functions.where to choose by a symbol: "
            "np.where(W > 0, W, 0) for W[W > 0]",
        )
    elif isinstance(error, TypeError) and "scalar index" in text:
        advice = NO_INDEX
    elif isinstance(error, TypeError) and "converted to Python scalars" in text:
        advice = no_float(place)
    elif isinstance(error, TypeError) and re.search(r"dtype\('O'\)|safely coerced", text):
        node = None if place is None else place.node
        called = ast.unparse(node.func) if isinstance(node, ast.Call) else "this function of NumPy"
        advice = no_numpy(called)
    elif isinstance(error, TypeError) and "'NoneType'" in text and re.search(r"'(Symbol|OperandArray)'", text):
        advice = NO_NONE
    elif isinstance(error, TypeError) and re.search(r"or pow\(\): '\w+', '\w+', '\w+'", text):
        advice = NO_MOD
    elif isinstance(error, TypeError) and (found := re.search(_NO_LOOP, text)):
        kind, name = found.groups()
        if kind in ("Symbol", "Scalar"):
            advice = f"np.{name} is not known for symbols", "it with the functions of symdiff.functions"
        else:
            advice = NO_NONE if kind == "NoneType" else MIXED
    elif re.search(r"\b(Symbol|OperandArray)\b", text):
        error.add_note(
            "While a function is traced its arguments are symbols (or NumPy arrays of them), which other libraries do "
            "not know: write symdiff.functions.sin(x) for torch.sin(x), and so on."
        )
    return None if advice is None else refusal(advice, place)


def no_numpy(name: str) -> Advice:
    """For a function of NumPy that computes with floats alone."""
    what = f"{name} computes with floats, not with symbols"
    if name.rpartition(".")[2] in ("inv", "pinv", "solve", "lstsq", "det", "slogdet", "cholesky", "tensorsolve"):
        return (
            what,
            "the elimination as loops over the elements, or the formula in the formula language, which has inv, "
            "solve, det, logdet and cholesky: symdiff.formula('A: (3, 3); b: 3; sum(solve(A, b))')",
        )
    return what, "it with loops over the elements and the functions of symdiff.functions"


def _raised_at(error: Exception) -> Place | None:
    """The user's line that the error comes from."""
    tb, found = error.__traceback__, None
    while tb is not None:
        if not tb.tb_frame.f_code.co_filename.startswith(_HIDDEN):
            found = tb
        tb = tb.tb_next
    return None if found is None else _place(found.tb_frame, found.tb_lineno, found.tb_lasti)


__all__ = [
    "NO_INDEX",
    "NO_INT",
    "NO_MOD",
    "NO_ROUNDING",
    "Place",
    "explained",
    "here",
    "located",
    "no_branch",
    "no_float",
    "no_numpy",
    "refusal",
]
