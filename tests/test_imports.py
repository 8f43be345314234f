"""What importing costs: a name is loaded when it is asked for, and SymPy when a derivation needs it."""

import subprocess
import sys

import pytest

import symdiff

HEAVY = ("sympy", "mpmath", "jinja2", "numpy", "cffi", "click")


def _loaded(program: str) -> set[str]:
    """Which of the heavy modules a fresh process has after the program."""
    ask = f"\nimport sys; print(*[name for name in {HEAVY} if name in sys.modules])"
    made = subprocess.run([sys.executable, "-c", program + ask], capture_output=True, text=True, check=True)
    return set(made.stdout.split())


def test_the_package_alone_imports_nothing() -> None:
    assert _loaded("import symdiff") == set()


def test_a_formula_and_its_code_need_no_sympy_and_no_mpmath() -> None:
    found = _loaded(
        "import symdiff; p = symdiff.formula('sum(exp(x)*y)').gradient(); p.source('c'); p.source('python')"
    )
    assert found == {"numpy", "jinja2"}


@pytest.mark.compiler
def test_nor_does_a_kernel() -> None:
    assert not _loaded("import symdiff; symdiff.gradient('x*sin(y)')(1.0, 2.0)") & {"sympy", "mpmath"}


def test_every_public_name_is_there_and_no_other() -> None:
    assert set(symdiff.__all__) <= set(dir(symdiff))
    assert all(getattr(symdiff, name) is not None for name in symdiff.__all__)
    with pytest.raises(AttributeError, match="no attribute 'gradiant'"):
        symdiff.gradiant  # noqa: B018  # reading it is the test


def test_formula_is_the_function_whatever_was_imported_before() -> None:
    """A submodule's name would hide the function: there is none of that name."""
    program = "import symdiff.formula_data, symdiff.optim, symdiff.pipeline; assert callable(symdiff.formula)"
    subprocess.run([sys.executable, "-c", program], check=True)
