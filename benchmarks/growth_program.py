"""The long program of the runs on growth: recurrent, six elementary steps to a line, a state of sixteen numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

WIDTH, STATE = 12, 16  # of the input and of the state that the program carries along


def program(x: Any, steps: int, tanh: Callable[[Any], Any], sin: Callable[[Any], Any]) -> Any:
    """About `steps` elementary steps on numbers or symbols."""
    state = [x[k % WIDTH] for k in range(STATE)]
    for k in range(steps // 6):
        i = k % STATE
        state[i] = tanh(state[i] * state[i - 3] + state[i - 7]) - sin(state[i - 5]) * 0.5
    total = state[0]
    for each in state[1:]:
        total = total + each
    return total


def program_text(steps: int) -> str:
    """The same program in the formula language."""
    lines = [f"x{k}: ()" for k in range(WIDTH)]
    state = [f"x{k % WIDTH}" for k in range(STATE)]
    for k in range(steps // 6):
        i = k % STATE
        lines.append(f"s{k} = tanh({state[i]}*{state[i - 3]} + {state[i - 7]}) - sin({state[i - 5]})*0.5")
        state[i] = f"s{k}"
    return "\n".join([*lines, " + ".join(state)])


__all__ = ["STATE", "WIDTH", "program", "program_text"]
