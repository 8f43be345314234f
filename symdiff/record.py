"""Dataclasses for what a long program has by the hundred thousand."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dataclasses import dataclass as record
else:
    from dataclasses import dataclass

    def record(*, frozen, slots):
        """`dataclass`, whose `frozen` is for the type checker, which refuses assignments.

        At run time a frozen dataclass sets each field by a call, and an object takes four times as long to make: that
        was a seventh of all the time of a long program. What is made here is plain, and hashed as a frozen one is.
        """
        return dataclass(slots=slots, unsafe_hash=frozen)


__all__ = ["record"]
