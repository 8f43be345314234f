"""The mutation check itself, on a few ops and stages; all of it is `python tests/mutation.py`."""

from __future__ import annotations

import importlib

import mutation
import pytest

from symdiff.ops import TABLE


@pytest.mark.parametrize("op", ["sin", "div", "hypot", "sqrt", "maximum"])
def test_every_mutant_is_caught(op: str) -> None:
    report, kept = mutation.Report(), TABLE[op]
    mutation.check_rules([op], report)
    assert report.made >= 5 and not report.survivors
    assert TABLE[op] is kept


def test_mutants_are_many_and_different() -> None:
    found = [mutation.mutants(op) for op in TABLE]
    assert sum(map(len, found)) > 400
    rules = {(mutant.op, mutant.partials) for group in found for mutant in group}
    assert len(rules) == sum(map(len, found))


def test_a_mutant_that_is_the_same_function_is_proved() -> None:
    entry = TABLE["mul"]
    same = mutation.Mutant("mul", "times one", (entry.partials[0] * 1.0, entry.partials[1]))  # type: ignore[operator]
    assert mutation.is_equivalent(same)
    assert not mutation.is_equivalent(mutation.Mutant("mul", "exchanged", entry.partials[::-1]))


@pytest.mark.parametrize(
    "stage",
    [
        stage
        for stage in mutation.STAGES
        if stage[1] in ("mask dropped", "overwritten, not added", "branches exchanged")
    ],
    ids=lambda stage: f"{stage[0]}-{stage[1]}",
)
def test_stage_mutants_are_caught(stage: tuple[str, str, str, str]) -> None:
    module, _, old, new = stage
    assert mutation.stage_caught(module, old, new)
    source = importlib.import_module(f"symdiff.{module}")
    assert old in mutation.inspect.getsource(source)


def test_every_stage_mutant_fits_the_source() -> None:
    for module, how, old, _ in mutation.STAGES:
        text = mutation.inspect.getsource(importlib.import_module(f"symdiff.{module}"))
        assert text.count(old) == 1, (module, how)
