"""Code needs every function: a formula with one that is left abstract is refused before it is printed."""

from __future__ import annotations

from symdiff.errors import UnsupportedError
from symdiff.expr import Call, walk
from symdiff.tape import Tape


def refuse_abstract(tape: Tape) -> None:
    """Raise UnsupportedError where a step calls a function that nothing is known of, naming it and what to say."""
    for step in tape.steps:
        for part in walk(step.expr):
            if isinstance(part, Call) and part.op in ("apply", "apply_partial"):
                name = part.options[0]
                raise UnsupportedError(
                    f"code needs to know the function {name}: bind it with bind({name}=...), on the command line "
                    f"with --let {name}=relu, for example"
                )
