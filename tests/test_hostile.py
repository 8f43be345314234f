"""Hostile text is refused with one clear error and nothing else; odd but right text works in every language."""

from __future__ import annotations

import importlib.util
import os
import re
import resource
import subprocess
import sys
import time
import tracemalloc
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from mpmath import mp, mpf
from reference import DIGITS, Reference

import symdiff

ROOT = Path(__file__).resolve().parent.parent


def _corpus() -> ModuleType:
    path = Path(__file__).parent / "data" / "hostile.py"
    spec = importlib.util.spec_from_file_location("hostile_corpus", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


CORPUS = _corpus()
HOSTILE, HOSTILE_BYTES, VALID = CORPUS.HOSTILE, CORPUS.HOSTILE_BYTES, CORPUS.VALID
GIB = 1 << 30


def text_of(name: str) -> str:
    text = HOSTILE[name][0]
    return text() if callable(text) else text


def refuse(text: str) -> Any:
    """Read `text` and go on to code: limits on the number of steps may bite only there."""
    return symdiff.formula(text).gradient().source("python")


def test_the_corpus_is_large() -> None:
    assert len(HOSTILE) >= 170
    assert len(VALID) >= 60


# -- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_is_refused(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = text_of(name)
    wanted = tuple(getattr(symdiff, kind) for kind in HOSTILE[name][1].split("|"))
    begin = time.process_time()  # of this process alone: what else the machine does is no matter
    with pytest.raises(symdiff.SymdiffError) as caught:
        refuse(text)
    seconds = time.process_time() - begin
    error = caught.value
    assert isinstance(error, wanted), f"{type(error).__name__}: {error}"
    assert seconds < 15
    assert not any(tmp_path.iterdir()), "a file was created"
    message = str(error)
    assert message.isascii() and all(c.isprintable() or c == "\n" for c in message), "unprintable message"
    assert len(message) < 1000
    if isinstance(error, symdiff.ParseError):
        assert error.line is not None and error.column is not None
    if error.line is not None:
        assert f"line {error.line}" in message and f"column {error.column}" in message
        lines = text.split("\n")
        assert 1 <= error.line <= len(lines)
        assert 1 <= error.column <= len(lines[error.line - 1]) + 1


NEAR = {
    "near_miss_sin": "sin",
    "near_miss_sqrt": "sqrt",
    "near_miss_case": "sin",
    "caret": r"\*\*",
    "greek_theta": "theta",
}


@pytest.mark.parametrize("name", NEAR)
def test_the_error_suggests_what_was_meant(name: str) -> None:
    with pytest.raises(symdiff.ParseError, match=NEAR[name]):
        refuse(text_of(name))


@pytest.mark.parametrize("text", [None, 3, 2.5, b"x + 1", ["x"], {"x": 1}, object()])
def test_what_is_no_text_is_refused(text: Any) -> None:
    with pytest.raises((symdiff.SymdiffError, TypeError)):
        symdiff.formula(text)


def test_memory_of_a_refusal_is_a_small_multiple_of_the_text() -> None:
    for name in ("open_brackets", "letters", "minus_megabyte", "words", "quotes", "unicode_megabyte"):
        text = text_of(name)
        tracemalloc.start()
        with pytest.raises(symdiff.SymdiffError):
            refuse(text)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 100 * len(text), f"{name}: {peak} bytes"


# -- the command line ------------------------------------------------------------------------------------------------

# Run before the CLI: refuse every process, file and socket that Python would make on the text's account.
_GUARD = """
import sys, runpy
FORBIDDEN = {
    "os.system", "os.exec", "os.posix_spawn", "os.fork", "os.forkpty", "subprocess.Popen", "socket.connect",
    "os.mkdir", "os.rename", "os.link", "os.symlink", "os.remove",
}
def guard(event, args):
    forbidden = event in FORBIDDEN
    named = event == "open" and isinstance(args[1], str) and any(c in args[1] for c in "wax+")
    flagged = event == "open" and isinstance(args[2], int) and args[2] & 3
    if forbidden or ((named or flagged) and args[0] != "/dev/null"):
        sys.__stderr__.write(f"GUARD {event} {args!r}\\n")
        sys.__stderr__.flush()
        import os
        os._exit(99)
sys.dont_write_bytecode = True
sys.argv = ["symdiff", *sys.argv[1:]]
sys.addaudithook(guard)
runpy.run_module("symdiff", run_name="__main__", alter_sys=False)
"""


def _limits() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (GIB, GIB))
    resource.setrlimit(resource.RLIMIT_CPU, (20, 20))


def cli(arguments: list[str], stdin: bytes, directory: Path) -> subprocess.CompletedProcess[bytes]:
    environment = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "COLUMNS")}
    environment |= {"PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "NO_COLOR": "1"}
    return subprocess.run(
        [sys.executable, "-c", _GUARD, *arguments],
        input=stdin,
        capture_output=True,
        cwd=directory,
        env=environment,
        preexec_fn=_limits,
        timeout=30,
        check=False,
    )


def one_clear_error(done: subprocess.CompletedProcess[bytes], directory: Path, seconds: float) -> None:
    shown = done.stderr.decode("utf-8", "replace")
    assert done.returncode == 2, (done.returncode, shown[-2000:])
    assert done.stdout == b""
    assert "Traceback" not in shown
    assert "GUARD" not in shown
    assert shown.strip(), "nothing on stderr"
    assert len(re.findall(r"(?im)^\s*(?:symdiff: )?(?:\w+)?error\b", shown)) <= 1, shown
    assert len(shown) < 2000 and len(shown.strip().splitlines()) <= 8, shown
    assert "\x1b" not in shown and "\x00" not in shown
    assert not any(directory.iterdir()), "a file was created"
    assert seconds < 60


ARGUMENTS = [
    "attribute_chain", "import_call", "lambda_called", "fstring", "cyrillic_a", "right_to_left", "emoji", "caret",
    "near_miss_sin", "no_input", "power_tower", "literal_large", "divide_by_zero", "template_jinja", "tex_write",
    "shell_substitution", "shell_backticks", "c_comment", "docstring_end", "newline_header", "html_script", "path",
]  # fmt: skip
INPUTS = [
    "open_brackets", "close_brackets", "minus_megabyte", "powers", "nul", "surrogate", "letters", "words",
    "helper_explosion", "nested_calls", "digits", "unicode_megabyte", "eval_call", "empty",
]  # fmt: skip


@pytest.mark.parametrize("name", ARGUMENTS)
def test_cli_refuses_an_argument(name: str, tmp_path: Path) -> None:
    begin = time.perf_counter()
    done = cli(["check", "--", text_of(name)], b"", tmp_path)
    one_clear_error(done, tmp_path, time.perf_counter() - begin)


@pytest.mark.parametrize("name", INPUTS)
def test_cli_refuses_standard_input(name: str, tmp_path: Path) -> None:
    begin = time.perf_counter()
    done = cli(["generate", "-"], text_of(name).encode("utf-8", "surrogatepass"), tmp_path)
    one_clear_error(done, tmp_path, time.perf_counter() - begin)


@pytest.mark.parametrize("name", HOSTILE_BYTES)
def test_cli_refuses_bytes(name: str, tmp_path: Path) -> None:
    begin = time.perf_counter()
    done = cli(["generate", "-"], HOSTILE_BYTES[name], tmp_path)
    one_clear_error(done, tmp_path, time.perf_counter() - begin)


# -- a whole corpus in one small process -----------------------------------------------------------------------------

_WHOLE = """
import importlib.util, resource, sys
import symdiff
spec = importlib.util.spec_from_file_location("hostile_corpus", sys.argv[1])
corpus = importlib.util.module_from_spec(spec)
spec.loader.exec_module(corpus)
resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
for name, (text, _) in corpus.HOSTILE.items():
    try:
        symdiff.formula(text() if callable(text) else text).gradient().source("python")
    except symdiff.SymdiffError:
        continue
    except BaseException as error:
        print(name, type(error).__name__)
    else:
        print(name, "accepted")
"""


def test_the_corpus_fits_in_one_gibibyte(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-B", "-c", _WHOLE, str(Path(__file__).parent / "data" / "hostile.py")],
        capture_output=True,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"},
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert not any(tmp_path.iterdir())


# -- what is odd, and right ------------------------------------------------------------------------------------------


def close(got: float, want: Any) -> bool:
    with mp.workdps(DIGITS):
        return bool(abs(mpf(float(got)) - want) <= mpf(10) ** -10 * abs(want))


def check_kernel(kernel: Any, name: str) -> None:
    source, point = VALID[name]
    reference = Reference(source)
    assert list(kernel.inputs) == reference.inputs
    value, gradient = kernel(**point)
    assert close(value, reference.value(point)), f"value {value!r}"
    wanted = reference.gradient(point)
    assert len(gradient) == len(wanted)
    for index, (variable, want) in enumerate(wanted.items()):
        assert close(gradient[index], want), f"d/d{variable} {gradient[index]!r}"
    batch_value, batch_gradient = kernel(**{key: np.full(3, x) for key, x in point.items()})
    assert np.shape(batch_value) == (3,)
    assert all(np.shape(part) == (3,) for part in batch_gradient)
    assert np.allclose(batch_value, value, rtol=1e-12, atol=0)


@pytest.mark.parametrize("name", VALID)
def test_odd_text_in_numpy(name: str) -> None:
    program = symdiff.formula(VALID[name][0]).gradient()
    text = program.source("python")
    assert text.isascii()
    compile(text, "generated", "exec")
    check_kernel(program.compile(backend="numpy"), name)


@pytest.mark.compiler
@pytest.mark.parametrize("name", VALID)
def test_odd_text_in_c(name: str) -> None:
    check_kernel(symdiff.formula(VALID[name][0]).gradient().compile(backend="c"), name)


@pytest.mark.compiler
def test_odd_text_compiles_without_a_warning(tmp_path: Path) -> None:
    """All C sources with their headers in one run of the compiler."""
    sources = []
    for index, name in enumerate(VALID):
        program = symdiff.formula(VALID[name][0]).gradient()
        code, header = program.source("c", name=f"case_{index}"), program.source("h", name=f"case_{index}")
        assert code.isascii() and header.isascii()
        directory = tmp_path / f"case_{index}"
        directory.mkdir()
        for included in re.findall(r'#include "([^"]+)"', code):
            (directory / included).write_text(header, "ascii")
        path = directory / f"case_{index}.c"
        path.write_text(code, "ascii")
        sources.append(str(path))
    compiler = os.environ.get("CC", "gcc").split()
    flags = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-c"]
    done = subprocess.run([*compiler, *flags, *sources], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-4000:]


def test_a_string_is_always_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of that name changes nothing."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x").write_text("y**2")
    (tmp_path / "a.sd").write_text("y**2")
    assert list(symdiff.formula("x").inputs) == ["x"]
    for text in ("a.sd", "@a.sd", str(tmp_path / "a.sd")):
        with pytest.raises(symdiff.ParseError):
            symdiff.formula(text)
