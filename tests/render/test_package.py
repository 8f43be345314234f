"""A generated package stands alone: it imports, computes, compiles, falls back and checks itself without symdiff."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import symdiff
from symdiff.build.package import write_package
from symdiff.render.package import check_point, package_files
from symdiff.runtime import MODULES

SYSTEM_B = "1/(sin(w1*x1)**2 + cos(w2*x2) + 2)"
AT = {"w1": -3.0, "x1": -2.0, "w2": 2.0, "x2": -1.0}
# Runs before every script: whatever imports symdiff fails.
NO_SYMDIFF = """
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "symdiff":
            raise ImportError("symdiff is out of bounds here")
sys.meta_path.insert(0, Refuse())
"""
SHOW = """
import json, warnings
with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always")
    import graph
value, grads = graph.gradient(w1=-3, x1=-2, w2=2, x2=-1)
print(json.dumps({
    "backend": graph.backend, "value": value, "grads": list(grads), "alone": graph.value(-3, -2, 2, -1),
    "warnings": [str(each.message) for each in said], "modules": sorted(sys.modules),
}))
"""


def run(*arguments: object, cwd: Path, status: int = 0, **variables: str) -> str:
    """Python with `arguments`, without PYTHONPATH and without the checkout; gives stdout and stderr together."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | variables
    done = subprocess.run(
        [sys.executable, *map(str, arguments)], cwd=cwd, env=environment, text=True, timeout=120, check=False,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    assert done.returncode == status, done.stdout
    return done.stdout


def show(folder: Path, **variables: str) -> dict[str, object]:
    """What a fresh process sees that imports the package in `folder`."""
    result: dict[str, object] = json.loads(run("-c", NO_SYMDIFF + SHOW, cwd=folder, **variables))
    return result


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Holds the package `graph` of system B."""
    symdiff.formula(SYSTEM_B).gradient().write(tmp_path / "graph", at=AT)
    return tmp_path


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with its library; to be copied, not changed."""
    folder = tmp_path_factory.mktemp("built")
    symdiff.formula(SYSTEM_B).gradient().write(folder / "graph", at=AT)
    output = run("-m", "graph.build", cwd=folder)
    assert re.fullmatch(r"built .*/graph/_built/graph-[0-9a-f]{16}\.\S+\n", output)
    return folder


def manifest_of(folder: Path) -> Path:
    return folder / "graph" / "_built" / "manifest.json"


def library_of(folder: Path) -> Path:
    return manifest_of(folder).parent / json.loads(manifest_of(folder).read_text())["library"]


# -- what is in it -----------------------------------------------------------------------------------------------------


def test_the_files(folder: Path) -> None:
    names = {path.relative_to(folder / "graph").as_posix() for path in (folder / "graph").rglob("*") if path.is_file()}
    runtime = {f"_runtime/{name}.py" for name in ("__init__", *MODULES)} | {"_runtime/calls.c"}
    own = {"graph.sd", "graph.c", "graph.h", "graph.tex", "graph.md", "graph_numpy.py", "check_graph.py"}
    assert names == {"README.md", "__init__.py", "build.py"} | own | runtime


def test_the_runtime_is_copied_as_it_is(folder: Path, root: Path) -> None:
    for copy in (folder / "graph" / "_runtime").iterdir():
        first, _, rest = copy.read_text("ascii").partition("\n")
        mark = {".py": "#", ".c": "/*"}[copy.suffix]
        assert first.startswith(f"{mark} Copied unchanged from symdiff/runtime/{copy.name};")
        assert rest == (root / "symdiff" / "runtime" / copy.name).read_text("utf-8")


@pytest.mark.parametrize(
    "text",
    [
        SYSTEM_B,
        "S: ()\nr: const() = 1e-3\nT: () = 2\ndef g(z, w): return z**-w - -z\na = g(S, r)/(T - (r - S))\n-a**2*3",
        "where(x > 0, sin(x), cos(y))*max(x, y)**(2 - y) - (x*y)/(y/x)",
    ],
)
def test_the_formula_in_it_makes_the_same_package(tmp_path: Path, text: str) -> None:
    at = {"w1": 1, "x1": 2, "w2": 3, "x2": 4} if text == SYSTEM_B else {"S": 2} if "S:" in text else {"x": 1, "y": 2}
    one = symdiff.formula(text).gradient().write(tmp_path / "one" / "graph", at=at)
    two = symdiff.formula(one / "graph.sd").gradient().write(tmp_path / "two" / "graph", at=at)
    for path in one.rglob("*.*"):
        assert path.read_bytes() == (two / path.relative_to(one)).read_bytes(), path


def test_every_file_is_ascii_without_dates_or_paths_of_this_machine(folder: Path, root: Path) -> None:
    for path in (folder / "graph").rglob("*.*"):
        text = path.read_text("ascii")
        assert text.endswith("\n") and not text.endswith("\n\n")
        assert str(folder) not in text and str(root) not in text and str(Path.home()) + "/" not in text
        assert not re.search(r"\b20[2-9][0-9]-[0-1][0-9]-", text)
        assert not any(line != line.rstrip() for line in text.splitlines()), path


def test_the_same_sheet_gives_the_same_files() -> None:
    one, two = (package_files(symdiff.formula(SYSTEM_B).gradient().sheet("graph", at=AT), {}) for _ in range(2))
    assert list(one.items()) == list(two.items())


def test_names_of_every_language_come_through(tmp_path: Path) -> None:
    names = [
        "SD_BLOCK",
        "int_",
        "new",
        "n",
        "_x",
        "value",
        "grad",
        "INPUTS",
        "odd_value",
        "self",
        "np",
        "x",
        "X",
        "count",
    ]
    text = " + ".join(f"{k}*sin({name})" for k, name in enumerate(names, 2))
    symdiff.formula(text).gradient().write(tmp_path / "odd", at=dict.fromkeys(names, 0.5))
    call = f"import odd; print(odd.gradient(**dict.fromkeys({names!r}, 0.0))[1][:3], odd.gradient.inputs)"
    assert run("-c", call, cwd=tmp_path) == f"(2.0, 3.0, 4.0) {tuple(names)!r}\n"
    run("check_odd.py", cwd=tmp_path / "odd")


@pytest.mark.compiler
def test_the_header_is_c_and_cplusplus(tmp_path: Path) -> None:
    names = ["new", "this", "template", "SD_BLOCK", "unix", "errno"]
    written = symdiff.formula("*".join(names)).gradient().write(tmp_path / "odd")
    compiler = shutil.which("g++") or shutil.which("c++")
    if compiler is None:
        pytest.skip("needs a C++ compiler (apt-get install g++)")
    for language, source in (("c++", "odd.h"), ("c", "odd.c")):
        flags = ["-x", language, "-Wall", "-Wextra", "-Werror", "-fsyntax-only"]
        done = subprocess.run([compiler, *flags, source], cwd=written, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


# -- Python ------------------------------------------------------------------------------------------------------------


def test_it_imports_numpy_alone_and_gives_the_kernels_results(folder: Path) -> None:
    seen = show(folder)
    kernel = symdiff.formula(SYSTEM_B).gradient().compile("numpy")
    value, grads = kernel(**AT)
    assert (seen["backend"], seen["value"], seen["alone"], seen["grads"]) == ("numpy", value, value, list(grads))
    assert seen["warnings"] == []
    tops = {name.partition(".")[0] for name in seen["modules"]}  # type: ignore[attr-defined]
    assert not tops & {"cffi", "_cffi_backend", "symdiff", "sympy", "jinja2"}


def test_it_also_imports_from_inside_another_package(folder: Path) -> None:
    (folder / "outer" / "inner").mkdir(parents=True)
    shutil.move(folder / "graph", folder / "outer" / "inner" / "graph")
    probe = "from outer.inner import graph; print(graph.value(-3, -2, 2, -1))"
    assert float(run("-c", NO_SYMDIFF + probe, cwd=folder)) == pytest.approx(0.6017114415641729, rel=1e-15)


def test_two_packages_of_one_name_keep_apart(tmp_path: Path) -> None:
    for outer, text in (("a", "2*x"), ("b", "3*x")):
        symdiff.formula(text).gradient().write(tmp_path / outer / "same")
        run("-m", f"{outer}.same.build", cwd=tmp_path)
    probe = "import a.same, b.same; print(a.same.backend, b.same.backend, a.same.value(1), b.same.value(1))"
    assert run("-c", probe, cwd=tmp_path) == "c c 2.0 3.0\n"


def test_defaults_and_constants_stay(tmp_path: Path) -> None:
    symdiff.formula("x: ()\nk: const() = 2.5\nk*x**2").gradient().write(tmp_path / "given")
    probe = "import given; print(given.gradient(3), given.gradient(3, k=1), given.gradient.wrt)"
    assert run("-c", probe, cwd=tmp_path) == "(22.5, Gradient(x=15.0)) (9.0, Gradient(x=6.0)) ('x',)\n"


def test_a_package_of_the_value_alone(tmp_path: Path) -> None:
    symdiff.formula("x*y").value().write(tmp_path / "bare", at={"x": 2, "y": 3})
    assert run("-c", "import bare; print(bare.value(2, 3), dir(bare).count('gradient'))", cwd=tmp_path) == "6.0 0\n"
    assert not (tmp_path / "bare" / "check_bare.py").exists()


def test_float32_stays_float32(tmp_path: Path) -> None:
    symdiff.formula("x*exp(y)").gradient().write(tmp_path / "single", at={"x": 2, "y": 0.5}, dtype="float32")
    probe = "import numpy, single; print(single.value(numpy.ones(2, 'f4'), 1).dtype)"
    assert run("-c", probe, cwd=tmp_path) == "float32\n"
    assert "5 of 5 comparisons" in run("check_single.py", cwd=tmp_path / "single")


# -- the compiled library ----------------------------------------------------------------------------------------------


@pytest.mark.compiler
def test_after_building_the_backend_is_c(built: Path) -> None:
    seen, kernel = show(built), symdiff.formula(SYSTEM_B).gradient().compile("c")
    value, grads = kernel(**AT)
    assert (seen["backend"], seen["value"], seen["grads"], seen["warnings"]) == ("c", value, list(grads), [])


@pytest.mark.compiler
def test_batches_of_the_package_are_those_of_the_kernel(built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    probe = (
        "import graph, numpy, sys; x = numpy.linspace(-9, 9, 1001);"
        "v, g = graph.gradient(x, x[::-1], x*x, 0.25); sys.stdout.write(numpy.stack([v, *g]).tobytes().hex())"
    )
    packed = np.frombuffer(bytes.fromhex(run("-c", probe, cwd=built))).reshape(5, -1)
    x = np.linspace(-9, 9, 1001)
    value, grads = symdiff.formula(SYSTEM_B).gradient().compile("c")(x, x[::-1], x * x, 0.25)
    assert np.array_equal(packed, np.stack([value, *grads]))


@pytest.mark.compiler
def test_building_again_keeps_what_is_up_to_date(built: Path) -> None:
    before = manifest_of(built).stat().st_mtime_ns
    assert run("-m", "graph.build", cwd=built).startswith("up to date: ")
    assert manifest_of(built).stat().st_mtime_ns == before
    assert run("-m", "graph.build", "--force", cwd=built).startswith("built ")
    assert sorted(os.listdir(manifest_of(built).parent)) == sorted([library_of(built).name, "manifest.json"])


def _damage_library(folder: Path) -> None:
    image = bytearray(library_of(folder).read_bytes())
    image[len(image) // 2] ^= 1
    library_of(folder).write_bytes(image)


def _truncate_library(folder: Path) -> None:
    library_of(folder).write_bytes(library_of(folder).read_bytes()[:1000])


def _remove_library(folder: Path) -> None:
    library_of(folder).unlink()


def _other_source(folder: Path) -> None:
    with open(folder / "graph" / "graph.c", "a") as file:
        file.write("/* edited */\n")


def _foreign(folder: Path) -> None:
    manifest = json.loads(manifest_of(folder).read_text())
    manifest["platform"]["cpu"] = "Another processor"
    manifest_of(folder).write_text(json.dumps(manifest))


def _no_manifest(folder: Path) -> None:
    manifest_of(folder).unlink()


def _manifest_of_rubbish(folder: Path) -> None:
    manifest_of(folder).write_text("[" * 100_000)


def _manifest_points_away(folder: Path) -> None:
    manifest = json.loads(manifest_of(folder).read_text())
    shutil.copy(library_of(folder), folder / "planted.so")
    manifest_of(folder).write_text(json.dumps({**manifest, "library": "../../planted.so"}))


def _library_is_a_folder(folder: Path) -> None:
    library_of(folder).unlink()
    library_of(folder).mkdir()


@pytest.mark.compiler
@pytest.mark.parametrize(
    ("harm", "reason"),
    [
        (_damage_library, "damaged: wrong checksum"),
        (_truncate_library, "damaged: wrong checksum"),
        (_remove_library, "is missing or not a regular file"),
        (_other_source, r"compiled from another graph\.c"),
        (_foreign, r"another machine or Python \(other cpu\)"),
        (_no_manifest, "manifest.json is missing"),
        (_manifest_of_rubbish, "manifest of its compiled library is damaged"),
        (_manifest_points_away, "manifest of its compiled library is damaged"),
        (_library_is_a_folder, "not a regular file"),
    ],
)
def test_a_library_that_does_not_belong_is_never_loaded(
    built: Path, tmp_path: Path, harm: Callable[[Path], None], reason: str
) -> None:
    shutil.copytree(built / "graph", tmp_path / "graph")
    harm(tmp_path)
    seen = show(tmp_path)
    (warning,) = seen["warnings"]  # type: ignore[misc]
    assert re.search(reason, warning) and warning.endswith("to build it again: python -m graph.build")
    assert seen["backend"] == "numpy"
    assert seen["value"] == pytest.approx(0.6017114415641729, rel=1e-15)


@pytest.mark.compiler
def test_the_command_that_the_warning_names_helps(built: Path, tmp_path: Path) -> None:
    shutil.copytree(built / "graph", tmp_path / "graph")
    _truncate_library(tmp_path)
    assert run("-W", "error", "-m", "graph.build", cwd=tmp_path).startswith("built ")
    assert show(tmp_path)["backend"] == "c"


@pytest.mark.parametrize(
    ("variables", "message"), [({"CC": "no-such-compiler"}, "CC='no-such-compiler' was not found")]
)
def test_without_a_compiler_building_is_one_clear_line(folder: Path, variables: dict[str, str], message: str) -> None:
    output = run("-m", "graph.build", cwd=folder, status=1, **variables)
    assert re.fullmatch(rf"error: .*{message}\n", output)
    assert not (folder / "graph" / "_built").exists()


def test_without_cffi_building_is_one_clear_line(folder: Path) -> None:
    (folder / "graph" / "_runtime" / "compiler.py").write_text(
        (folder / "graph" / "_runtime" / "compiler.py").read_text().replace('find_spec("cffi")', 'find_spec("no_cffi")')
    )
    output = run("-m", "graph.build", cwd=folder, status=1)
    assert output == "error: compiled kernels need the package cffi (python -m pip install cffi)\n"


@pytest.mark.compiler
def test_a_failing_compiler_leaves_the_old_library(built: Path, tmp_path: Path) -> None:
    shutil.copytree(built / "graph", tmp_path / "graph")
    output = run(
        "-m", "graph.build", "--force", cwd=tmp_path, status=1, SYMDIFF_CFLAGS="-no-such-flag", TMPDIR=str(tmp_path)
    )
    assert "the compiler failed with status" in output and "no-such-flag" in output
    assert show(tmp_path)["backend"] == "c"


def test_build_py_as_a_script_says_how_to_run_it(folder: Path) -> None:
    output = run("graph/build.py", cwd=folder, status=1)
    assert output == "run this as a module, from the folder above: python -m graph.build\n"


@pytest.mark.compiler
def test_build_package_compiles_whatever_lies_around(folder: Path) -> None:
    (folder / "json.py").write_text("raise SystemExit('the wrong json')\n")
    assert symdiff.pipeline.build_package(folder / "graph").startswith("built ")
    with pytest.raises(symdiff.BuildError, match="no-such-compiler"), pytest.MonkeyPatch.context() as patch:
        patch.setenv("CC", "no-such-compiler")
        symdiff.pipeline.build_package(folder / "graph")


# -- the self-check ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "how", [("graph/check_graph.py",), ("-m", "graph.check_graph"), ("-I", "graph/check_graph.py")]
)
def test_the_check_passes_and_shows_both_sides(folder: Path, how: tuple[str, ...]) -> None:
    output = run(*how, cwd=folder)
    assert "at w1 = -3.0, x1 = -2.0, w2 = 2.0, x2 = -1.0" in output
    assert re.search(r"w1 +-0\.3885395959\d+ +-0\.3885395959\d+ +\S+  ok", output)
    assert "<y_bar, J x_dot>    <J^T y_bar, x_dot>" in output
    assert output.endswith("7 of 7 comparisons passed\n")


def test_the_check_runs_from_any_folder(folder: Path) -> None:
    assert "x1 = 0.5" in run(folder / "graph" / "check_graph.py", "x1=0.5", cwd=Path("/"))


@pytest.mark.compiler
def test_the_check_covers_the_compiled_library_too(built: Path) -> None:
    output = run("check_graph.py", cwd=built / "graph")
    assert "C, graph.c: value" in output and output.endswith("14 of 14 comparisons passed\n")


def _adjoint_lines(text: str) -> list[int]:
    """Lines of `gradient` that hold an adjoint step with arithmetic in it."""
    lines = text.splitlines()
    start = lines.index("    # reverse sweep: an adjoint X_bar is the derivative of the value by X")
    return [k for k in range(start + 1, len(lines)) if re.match(r"    \w+_bar \+?= ", lines[k])]


def test_the_check_fails_for_every_flipped_sign(folder: Path) -> None:
    module = folder / "graph" / "graph_numpy.py"
    original = module.read_text()
    lines = original.splitlines()
    flipped = _adjoint_lines(original)
    assert len(flipped) >= 8
    for number in flipped:
        changed = re.sub(r"= (.*?)  +#", r"= -(\1)  #", lines[number])
        assert changed != lines[number]
        module.write_text("\n".join([*lines[:number], changed, *lines[number + 1 :]]) + "\n")
        output = run("check_graph.py", cwd=folder / "graph", status=1)
        assert "FAILED" in output


@pytest.mark.parametrize("argument", ["y=1", "w1", "w1=one", "w1=1=2", "--help", ""])
def test_a_wrong_argument_of_the_check_is_explained(folder: Path, argument: str) -> None:
    assert "inputs are w1, x1, w2, x2" in run("check_graph.py", argument, cwd=folder / "graph", status=2)


def test_a_point_outside_the_domain_is_said_to_be_one(tmp_path: Path) -> None:
    symdiff.formula("log(x)*y").gradient().write(tmp_path / "edge")
    assert "name a point inside the domain" in run("check_edge.py", "x=-1", cwd=tmp_path / "edge", status=1)
    run("check_edge.py", cwd=tmp_path / "edge")


@pytest.mark.parametrize(
    "text",
    [
        "sqrt(x - 30)", "log(-x)", "asin(x)*acosh(y)", "x: ()\nk: const() = -7\nlog(-k)*sqrt(x)", "x*0 + 3",
        "log(x)/(x - y)",
        "acosh(x)*atanh(1/x)", "lgamma(x) + digamma(y)", "where(x > 0, log(x), log(-x))*y", "exp(1000*x)",
    ],
)  # fmt: skip
def test_the_point_of_the_check_lies_in_the_domain(text: str) -> None:
    program = symdiff.formula(text).gradient()
    point = check_point(program.sheet("f"))
    trace = program.trace(point)
    assert all(map(np.isfinite, [trace.value, *trace.gradient.values()]))
    assert point == check_point(program.sheet("f"))


def test_where_there_is_no_such_point_one_is_asked_for(tmp_path: Path) -> None:
    symdiff.formula("log(x - 1e9)").gradient().write(tmp_path / "far")
    assert "name a point inside the domain" in run("check_far.py", cwd=tmp_path / "far", status=1)
    run("check_far.py", "x=3e9", cwd=tmp_path / "far")


# -- arrays ------------------------------------------------------------------------------------------------------------

SYSTEM_D = """X: (n, 3)
W1: (3, 4)
b1: 4
W2: (4, 1)
b2: 1 = [0.25]
y: const(n, 1)
lam: const() = 0.01
C = sum((relu(X @ W1 + b1) @ W2 + b2 - y)**2)/n + lam*sum(X[1:3]**2)"""
SHOW_ARRAYS = """
import json, numpy as np, net
rng = np.random.default_rng(0)
at = {"X": rng.normal(size=(5, 3)), "W1": rng.normal(size=(3, 4)), "b1": np.ones(4), "W2": np.ones((4, 1)),
      "y": np.ones((5, 1))}
value, grads = net.gradient(**at)
try:
    net.value(**{**at, "X": np.ones((2, 3)), "y": np.ones((2, 1))})
    refused = ""
except ValueError as error:
    refused = str(error)
print(json.dumps({"backend": net.backend, "value": value, "grads": [grad.tolist() for grad in grads],
                  "alone": net.value(**at), "refused": refused}))
"""


def array_package(
    folder: Path, text: str = SYSTEM_D, at: Any = None, dtype: Any = "float64", name: str = "net"
) -> Path:
    sheet = symdiff.formula(text).gradient().sheet(name, dtype, at)
    return write_package(folder / name, package_files(sheet, {}))


def readme_code(path: Path) -> str:
    return path.read_text("ascii").partition("```python\n")[2].partition("```")[0]


def test_a_package_of_arrays_computes_with_and_without_its_library(tmp_path: Path) -> None:
    array_package(tmp_path)
    numpy = json.loads(run("-c", NO_SYMDIFF + SHOW_ARRAYS, cwd=tmp_path))
    assert numpy["backend"] == "numpy" and numpy["value"] == numpy["alone"]
    assert [np.shape(grad) for grad in numpy["grads"]] == [(5, 3), (3, 4), (4,), (4, 1), (1,)]
    assert "the slice 1:3 of an axis of size n" in numpy["refused"] and "n = 2" in numpy["refused"]
    run("-m", "net.build", cwd=tmp_path)
    compiled = json.loads(run("-c", NO_SYMDIFF + SHOW_ARRAYS, cwd=tmp_path))
    assert compiled["backend"] == "c" and compiled["refused"] == numpy["refused"]
    assert compiled["value"] == pytest.approx(numpy["value"], rel=1e-12)
    for one, two in zip(compiled["grads"], numpy["grads"], strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_the_check_of_arrays_passes_and_takes_sizes(tmp_path: Path, dtype: str) -> None:
    package = array_package(tmp_path, dtype=dtype)
    run("-m", "net.build", cwd=tmp_path)
    output = run("-c", NO_SYMDIFF + f"import runpy, sys; sys.argv = ['check', 'n=7', 'lam=0.5']; "
                 f"runpy.run_path({str(package / 'check_net.py')!r}, run_name='__main__')", cwd=tmp_path)  # fmt: skip
    assert output.count("NumPy, net_numpy.py") == output.count("C, net.c") == 1
    assert "X (7, 3)" in output and "lam = 0.5" in output and "FAILED" not in output
    assert "X[0, 0]" in output and "W1, direction 2" in output and "b2[0]" in output
    assert re.search(r"^(\d+) of \1 comparisons passed$", output, re.M)
    for wrong in ("n=-1", "n=1.5", "X=2", "m=3", "lam=x", "lam"):
        assert "not understood" in run(package / "check_net.py", wrong, cwd=tmp_path, status=2)


def test_the_check_of_arrays_finds_a_wrong_derivative(tmp_path: Path) -> None:
    package = array_package(tmp_path)
    module = package / "net_numpy.py"
    code = module.read_text("ascii")
    assert "W1_bar = X.T.dot(v2_bar)" in code
    module.write_text(code.replace("W1_bar = X.T.dot(v2_bar)", "W1_bar = 1.001*X.T.dot(v2_bar)"))
    output = run(package / "check_net.py", cwd=tmp_path, status=1)
    failed = {line.split()[0].rstrip(",") for line in output.splitlines() if line.endswith("FAILED")}
    assert "direction" in failed and "W1" in failed and not {"X", "b1", "b2", "W2"} & failed


def test_the_point_of_a_package_of_arrays_is_kept(tmp_path: Path) -> None:
    at = {"W": [[1, 2, 3], [3, 1, 2], [2, 3, 1]], "x": [[1], [1], [1]]}
    package = array_package(tmp_path, "W: (3, 3); x: (3, 1); f = norm(sigmoid(W @ x))**2", at)
    assert "value 2.98518260266" in run(package / "check_net.py", cwd=tmp_path)
    text = (package / "net.toml").read_text("ascii")
    assert tomllib.loads(text) == at and "--at net.toml" in (package / "README.md").read_text("ascii")


@pytest.mark.parametrize(
    "text",
    [SYSTEM_D, "A: (n, n); b: n; dot(b, solve(A, b)) + sum(cholesky(A))",
     "np: n; lambda_: (n, rng); rng2: (); sum(np @ lambda_)*rng2",
     "x: n; sum(x[90:])", "x: n; y: m; sum(x[:m]*y)", "x: n; y: m; sum(y[:n]*x)"],
)  # fmt: skip
def test_the_examples_of_the_readme_run_and_the_check_finds_a_point(tmp_path: Path, text: str) -> None:
    package = array_package(tmp_path, text)
    run("-c", readme_code(package / "README.md"), cwd=tmp_path)
    assert "comparisons passed" in run(package / "check_net.py", cwd=tmp_path)
    one = {path.name: path.read_bytes() for path in package.glob("*.*")}
    again = array_package(tmp_path / "again", (package / "net.sd").read_text("ascii"))
    assert one == {path.name: path.read_bytes() for path in again.glob("*.*")}
    for path in package.glob("*.*"):
        lines = path.read_text("ascii").splitlines()
        assert not any(line != line.rstrip() for line in lines), path
        assert "\n\n\n\n" not in path.read_text("ascii"), path


def test_a_package_of_an_array_value(tmp_path: Path) -> None:
    sheet = symdiff.formula("X: (n, 2); w: 2; concat(X @ w, w, axis=0)").value().sheet("net")
    write_package(tmp_path / "net", package_files(sheet, {}))
    script = "import net; print(net.backend, net.value([[1, 2], [3, 4]], [1, -1]).tolist())"
    assert run("-c", script, cwd=tmp_path) == "numpy [-1.0, -1.0, 1.0, -1.0]\n"
    run("-m", "net.build", cwd=tmp_path)
    assert run("-c", script, cwd=tmp_path) == "c [-1.0, -1.0, 1.0, -1.0]\n"
    run("-c", readme_code(tmp_path / "net" / "README.md"), cwd=tmp_path)
    assert not (tmp_path / "net" / "check_net.py").exists()


def test_the_check_in_float32_passes_with_the_library(tmp_path: Path) -> None:
    symdiff.formula("sin(x)*exp(x*y)").gradient().write(tmp_path / "graph", dtype="float32")
    run("-m", "graph.build", cwd=tmp_path)
    output = run(tmp_path / "graph" / "check_graph.py", cwd=tmp_path)
    assert "C, graph.c" in output and "10 of 10 comparisons passed" in output
