"""Formulas sent to a running server: what comes back is what the library gives, and nothing hostile gets further."""

from __future__ import annotations

import base64
import importlib.util
import io
import json
import threading
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest

import symdiff
from symdiff import examples

pytestmark = [pytest.mark.peer("starlette"), pytest.mark.peer("uvicorn")]

SYSTEM_B = "1/(sin(w1*x1)**2 + cos(w2*x2) + 2)"
AT_B = {"w1": "-3", "x1": "-2", "w2": "2", "x2": "-1"}
POINT_B = {name: float(text) for name, text in AT_B.items()}


def test_the_answer_is_what_the_library_gives(site) -> None:
    found = site.ask(SYSTEM_B, values=AT_B, name="b")
    program = symdiff.formula(SYSTEM_B).gradient()
    assert found["numbers"] == program.trace(POINT_B).json()
    parts = found["parts"]
    assert parts["latex"] == program.latex(POINT_B, name="b")
    assert parts["fragment"] == program.latex(POINT_B, name="b", fragment=True)
    assert parts["markdown"] == program.markdown(POINT_B, name="b")
    assert parts["html"] == program.html(POINT_B, name="b")
    assert parts["graph"] == program.graph(POINT_B, name="b")
    assert [parts[kind] for kind in ("python", "c", "h")] == [
        program.source(kind, name="b") for kind in ("python", "c", "h")
    ]
    assert found["notes"] == {} and found["missing"] == [] and found["fields"] == {}


def test_without_values_there_is_a_derivation_without_numbers(site) -> None:
    found = site.ask(SYSTEM_B, values={"w1": "3"})
    assert found["missing"] == ["x1", "w2", "x2"] and found["numbers"] is None
    assert found["parts"]["latex"] == symdiff.formula(SYSTEM_B).gradient().latex()


def test_a_wrong_value_is_said_at_its_field(site) -> None:
    found = site.ask("W: (2, 2)\nx: 2\nsum(W @ x)", values={"W": "1 2\n3", "x": "1 two"})
    assert "row 2" in found["fields"]["W"] and "'two'" in found["fields"]["x"]
    assert found["numbers"] is None and "python" in found["parts"]


def test_arrays_that_do_not_fit_are_said(site) -> None:
    found = site.ask("W: (2, 2)\nsum(W)", values={"W": "1 2 3\n4 5 6"})
    assert "axis 1 has size 3 and not 2" in found["notes"]["numbers"]


def test_the_variables_are_chosen(site) -> None:
    assert list(site.ask("x*y", wrt=["y"], values={"x": "2", "y": "3"})["numbers"]["gradient"]) == ["y"]
    value = site.ask("x: 2\nx*3", wrt=[], values={"x": "1 2"})
    assert value["numbers"]["value"] == [3, 6] and value["numbers"]["gradient"] == {}
    assert "'z'" in site.ask("x*y", wrt=["z"])["error"]["message"]


def test_inputs_are_told_also_where_no_gradient_is_possible(site) -> None:
    found = site.ask("x: 2\ny: const(2) = [1, 2]\nx*y")
    assert "one number" in found["error"]["message"]
    assert [(one["name"], one["rank"], one["constant"], one["default"]) for one in found["inputs"]] == [
        ("x", 1, False, None),
        ("y", 1, True, "1 2"),
    ]


def test_abstract_functions_are_bound_by_text(site) -> None:
    text = "phi: function\nx: ()\nphi(x)**2"
    free = site.ask(text, values={"x": "1"})
    assert free["functions"] == ["phi"] and "abstract" in free["notes"]["python"] and "latex" in free["parts"]
    assert free["notes"]["numbers"] == "the function 'phi' is abstract; say below the inputs what it is, such as tanh"
    bound = site.ask(text, values={"x": "1"}, bindings={"phi": "def phi(z): return 3*z"})
    assert bound["numbers"]["value"] == 9


@pytest.mark.parametrize("name", examples.names())
def test_every_example_works_at_its_point(site, name: str) -> None:
    everything = site.send("GET", "/examples.json", Cookie=site.own["Cookie"]).json
    found = site.ask(**everything[name], name=name)
    assert found["notes"] == {} and found["fields"] == {} and found["missing"] == []
    assert found["numbers"] is not None


@pytest.mark.parametrize("text", [SYSTEM_B, "log(-x)*sqrt(y - 5)", "A: (n, n)\nb: n\ndot(b, solve(A, b)) + logdet(A)"])
def test_values_are_suggested_at_which_everything_is_finite(site, text: str) -> None:
    values = site.ask(text, want="values")["values"]
    found = site.ask(text, values=values)
    assert found["fields"] == {} and "nan" not in json.dumps(found["numbers"]["gradient"]).lower()
    assert isinstance(found["numbers"]["value"], float)


def test_the_options_of_a_derivation_are_kept(site) -> None:
    chosen = {"style": "steps", "level": "statement", "digits": 4}
    found = site.ask(SYSTEM_B, values=AT_B, **chosen)["parts"]
    program = symdiff.formula(SYSTEM_B).gradient()
    assert found["latex"] == program.latex(POINT_B, **chosen) != program.latex(POINT_B)
    assert found["html"] == program.html(POINT_B, **chosen)
    assert found["markdown"] == program.markdown(POINT_B, **chosen)
    wrong = site.ask(SYSTEM_B, style="no", digits=99)["notes"]
    assert "style: expected one of" in wrong["latex"]


def test_the_package_is_the_one_that_the_command_writes(site, tmp_path: Path) -> None:
    packed = base64.b64decode(site.ask(SYSTEM_B, want="package", name="b", values=AT_B)["package"])
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        found = {name: archive.read(name) for name in archive.namelist()}
    folder = symdiff.formula(SYSTEM_B).gradient().write(tmp_path / "b", at=POINT_B)
    assert found == {
        path.relative_to(tmp_path).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }
    assert base64.b64decode(site.ask(SYSTEM_B, want="package", name="b", values=AT_B)["package"]) == packed


def test_the_page_of_a_derivation_runs_without_an_origin(site) -> None:
    found = site.ask(SYSTEM_B, values=AT_B)
    page = site.send("GET", found["document"], Cookie=site.own["Cookie"])
    assert page.body.decode() == found["parts"]["html"]
    policy = page.headers["content-security-policy"]
    assert policy.startswith("sandbox allow-scripts; default-src 'none'") and "same-origin" not in policy
    assert "connect-src" not in policy and "frame-ancestors 'self'" in policy
    assert site.send("GET", found["document"]).status == 403


# -- what is wrong -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "place", "said"),
    [
        ("x + sni(y)", (1, 5, 3), "did you mean 'sin'"),
        ("a: ()\n\na*bb", (3, 3, 2), "bb"),
        ("x^2", (1, 2, 1), "**"),
        ("x +", (1, 4, 1), "end of the text"),
        ("", (1, 1, 1), "expected a formula"),
    ],
)
def test_an_error_has_a_place(site, text: str, place: tuple[int, int, int], said: str) -> None:
    error = site.ask(text)["error"]
    assert (error["line"], error["column"], error["length"]) == place
    assert said in error["message"] and "line" not in error["message"]


HOSTILE = {
    "code": "__import__('os').system('touch owned')",
    "template": "{{7*7}}",
    "statement": "{% for x in y %}",
    "markup": "<script>alert(1)</script>",
    "file": "@/etc/passwd",
    "reference": "symdiff/cli.py:main",
    "path": "/etc/passwd",
    "tex": "\\input{/etc/passwd}",
    "power": "x**(10**9)",
    "tower": "x**9**9**9",
    "deep": "(" * 5000 + "x" + ")" * 5000,
    "minus": "-" * 15_000 + "x",
    "long": "x+" * 9000 + "x",
    "doubling": "\n".join(
        f"def f{k}(a): return f{k - 1}(f{k - 1}(a))" if k else "def f0(a): return a*a" for k in range(40)
    )
    + "\nf39(x)",
    "name": "x" * 10_000,
    "unicode": "\u0430 + \u202e x",
    "surrogate": "x + \ud800",
    "zero": "x + \x00",
    "nothing": " \n" * 9000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_gives_one_clean_error(site, name: str) -> None:
    begin = time.monotonic()
    error = site.ask(HOSTILE[name], values={"x": "1"})["error"]
    assert time.monotonic() - begin < 3
    message = error["message"]
    assert message.isascii() and message.isprintable() and len(message) < 400
    assert "symdiff failed" not in message and "Traceback" not in message
    assert error["line"] is not None


def _corpus() -> Any:
    path = Path(__file__).parents[1] / "data" / "hostile.py"
    spec = importlib.util.spec_from_file_location("hostile_corpus_of_the_page", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_all_of_the_hostile_corpus_is_refused(site) -> None:
    corpus = {
        name: text for name, (text, _) in _corpus().HOSTILE.items() if isinstance(text, str) and len(text) < 10_000
    }
    assert len(corpus) > 100
    for name, text in corpus.items():
        error = site.ask(text).get("error")
        assert error is not None, name
        assert "symdiff failed" not in error["message"], name


@pytest.mark.parametrize("binding", ["@/etc/passwd", " @/etc/passwd", "@", "__import__('os')", "open", "lambda z: z"])
def test_a_binding_is_no_file_and_no_code(site, binding: str) -> None:
    error = site.ask("phi: function\nx: ()\nphi(x)", bindings={"phi": binding})["error"]
    assert "root:x" not in error["message"] and error["line"] is None


def test_an_error_in_a_binding_names_the_binding(site) -> None:
    error = site.ask("phi: function\nx: ()\nphi(x)", bindings={"phi": "def phi(z): return z + sni(z)"})["error"]
    assert error["message"].startswith("'binding of phi', line 1, column 24: ") and error["line"] is None


@pytest.mark.parametrize("name", ["../x", "a b", "", "numpy", "x" * 80, "<b>", "a/b", "while"])
def test_a_name_is_an_identifier(site, name: str) -> None:
    assert "cannot name" in site.ask("x**2", name=name)["error"]["message"]


def test_text_reaches_markup_only_escaped(site) -> None:
    found = site.ask("# <script>alert(1)</script> {{7*7}}\nx: ()\nx**2", values={"x": "<img src=x onerror=alert(1)>"})
    assert "<script>alert" not in json.dumps(found["parts"]) and "49" not in found["parts"]["latex"]
    assert "<img" in found["fields"]["x"]  # as text; the page puts it in as text


# -- limits ------------------------------------------------------------------------------------------------------------

SLOW = "x + sum(inv(eye(1500)))"


def test_memory_is_limited(site) -> None:
    found = site.ask("x + sum(zeros((20000, 20000)))", values={"x": "1"})
    assert "too large" in found["error"]["message"] or "memory" in found["error"]["message"]
    assert site.ask("x**2", values={"x": "3"})["numbers"]["value"] == 9


def test_many_numbers_are_not_sent(site) -> None:
    assert "at most" in site.ask("x + sum(ones((200, 200)))", values={"x": "1"})["notes"]["numbers"]


def test_a_formula_that_takes_too_long_is_given_up_and_its_worker_is_killed() -> None:
    from serve.conftest import running, wait_until

    with running(seconds=1.0) as site:
        site.ask("x**2")
        begin = time.monotonic()
        assert "longer than 1 s" in site.ask(SLOW, values={"x": "1"})["error"]["message"]
        assert time.monotonic() - begin < 6
        wait_until(lambda: site.processes() == 1)
        again = site.ask("x**2", want="values")
        assert "error" not in again and float(again["values"]["x"]) > 0, again


def test_a_newer_question_of_the_page_takes_the_place_of_the_older(site) -> None:
    old: list[Any] = []
    body = json.dumps({"page": "one", "text": SLOW, "values": {"x": "1"}}).encode()
    thread = threading.Thread(target=lambda: old.append((site.post(body).status, time.monotonic())))
    begin = time.monotonic()
    thread.start()
    time.sleep(0.3)
    assert site.ask("x**2", page="one", values={"x": "3"})["numbers"]["value"] == 9
    thread.join(10)
    ((status, end),) = old
    assert status == 409 and end - begin < 2


def test_pages_do_not_wait_for_each_other(site) -> None:
    body = json.dumps({"page": "slow", "text": SLOW, "values": {"x": "1"}}).encode()
    slow = threading.Thread(target=site.post, args=(body,))
    slow.start()
    time.sleep(0.2)
    assert site.ask("x**2", page="quick", values={"x": "3"})["numbers"]["value"] == 9
    assert slow.is_alive(), "the slow page was answered first"
    site.ask("x**2", page="slow")  # so that nobody waits for the slow one any more
    slow.join(10)
    assert not slow.is_alive()


# -- the walls of a worker ---------------------------------------------------------------------------------------------

GUARDED = """
import os, socket, subprocess, sys
from symdiff.serve import worker
import numpy
worker._guard()
def refused(act):
    try:
        act()
    except PermissionError as error:
        return "may not" in str(error)
    return False
print([refused(act) for act in (
    lambda: open("/etc/passwd"), lambda: open(sys.argv[1], "w"), lambda: os.open(sys.argv[1], os.O_CREAT | os.O_WRONLY),
    lambda: os.system("true"), lambda: subprocess.run(["true"]), lambda: socket.create_connection(("127.0.0.1", 9)),
    os.fork, lambda: os.mkdir(sys.argv[1]), lambda: os.remove(sys.argv[0]),
    lambda: open(numpy.__path__[0] + "/../../../../../../../../../../etc/passwd"), lambda: open(numpy.__file__, "a"),
)])
open(numpy.__file__).close()
import colorsys
"""


def test_the_guard_refuses_files_processes_and_the_network(tmp_path: Path) -> None:
    import os
    import subprocess
    import sys

    paths = os.pathsep.join([str(Path(symdiff.__file__).parents[1]), *sys.path])
    done = subprocess.run(
        [sys.executable, "-c", GUARDED, str(tmp_path / "owned")],
        env=os.environ | {"PYTHONPATH": paths},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout.strip() == str([True] * 11), done.stdout + done.stderr
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "owned").exists()
