"""One thing that `symdiff doctor` says, and what makes sure that asking for it never fails."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

State = Literal["ok", "missing", "unknown"]


@dataclass(frozen=True)
class Fact:
    """`text` says what was found, `remedy` what is lost and how to get it; `data` is the same for programs."""

    name: str
    state: State
    text: str
    remedy: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"name": self.name, "state": self.state, "text": self.text, "remedy": self.remedy, **self.data}


def gathered(questions: Iterable[tuple[str, Callable[[], Fact]]]) -> list[Fact]:
    """The answer to every question; where one raises, which odd machines bring about, the answer is "unknown"."""
    return [_answer(name, ask) for name, ask in questions]


def _answer(name: str, ask: Callable[[], Fact]) -> Fact:
    try:
        return ask()
    except Exception as error:  # a diagnosis must not need one itself
        return Fact(name, "unknown", f"unknown ({type(error).__name__})")


def without_home(path: object) -> str:
    """A text or path with the user's own directory as `~`: reports are pasted into public places."""
    text, home = str(path), os.path.expanduser("~").rstrip(os.sep)
    return re.sub(rf"{re.escape(home)}(?!\w)", "~", text) if len(home) > 1 else text
