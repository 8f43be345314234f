"""Long sweeps in portions: a heading says which steps follow and which of the user's variables they end in."""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from typing import TypeVar

from symdiff.tape import Step

LONG = 40  # steps of a sweep that is shown in portions
_PORTION = 24
_NAMED = 4  # variables that a heading names
T = TypeVar("T")
B = TypeVar("B")


@dataclass(frozen=True)
class Group:
    """Steps `first` to `last` of the tape, both with their numbers; `names` are the user's variables among them."""

    first: int
    last: int
    names: tuple[str, ...]
    more: int = 0

    def title(self, names: Callable[[str], str], back: bool = False) -> str:
        """`Steps (1) to (12), which give $a$ and $b$`, in LaTeX or Markdown; no title for the only group."""
        if not self.first:
            return ""
        span = f"({self.first})" if self.first == self.last else f"({self.first}) to ({self.last})"
        if back:
            return f"Back through step{'' if self.first == self.last else 's'} " + (
                span if self.first == self.last else f"({self.last}) to ({self.first})"
            )
        shown = [names(name) for name in self.names]
        given = ", ".join(shown) + (", and others" if self.more else "")
        start = f"Step{'' if self.first == self.last else 's'} {span}"
        return f"{start}: {given}" if shown else start


WHOLE = Group(0, 0, ())


def groups_of(primal: Sequence[Step], named: Container[str]) -> list[Group]:
    """Portions of a forward sweep, which end where a statement does as long as that is possible."""
    if len(primal) <= LONG:
        return [WHOLE]
    found: list[list[Step]] = [[]]
    for step in primal:
        here = found[-1]
        ends = bool(here) and here[-1].name in named and len(here) >= _PORTION // 2
        if ends or len(here) >= _PORTION:
            found.append([])
        found[-1].append(step)
    made = []
    for steps in found:
        names = [step.name for step in steps if step.name in named]
        made.append(Group(steps[0].n, steps[-1].n, tuple(names[:_NAMED]), max(len(names) - _NAMED, 0)))
    return made


def portions(groups: Sequence[Group], items: Sequence[T], number: Callable[[T], int | None]) -> list[list[T]]:
    """The items of each group; those without a number of their own stay with the item before them."""
    if len(groups) == 1:
        return [list(items)]
    found: list[list[T]] = [[] for _ in groups]
    place = {n: k for k, group in enumerate(groups) for n in range(group.first, group.last + 1)}
    last: int | None = None
    waiting: list[T] = []
    for item in items:
        n = number(item)
        here = last if n is None else place.get(n, last)
        if here is None:
            waiting.append(item)
            continue
        found[here] += [*waiting, item]
        waiting, last = [], here
    return found


def headed(
    groups: Sequence[Group],
    items: Sequence[T],
    tag: Callable[[T], str],
    symbol: Callable[[str], str],
    block: Callable[[list[T]], B],
    back: bool,
) -> list[tuple[str, B]]:
    """A sweep in its groups: (title, `block` of its items); of the reverse sweep the last group comes first."""
    made = [
        (group.title(symbol, back), block(part))
        for group, part in zip(groups, portions(groups, items, lambda item: tag_number(tag(item))), strict=True)
        if part
    ]
    return made[::-1] if back else made


def tag_number(tag: str) -> int | None:
    """`12` of the tag `12'a`."""
    digits = tag.partition("'")[0]
    return int(digits) if digits.isdigit() else None


__all__ = ["LONG", "Group", "groups_of", "headed", "portions", "tag_number"]
