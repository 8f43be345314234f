"""`generated/` holds the package of every example, byte for byte.

`pytest tests/test_generated.py --update` rewrites it. What is tested here is generated anew, so the other tests also
hold while goldens are being rewritten.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cdriver import Example, driver

from symdiff import examples
from symdiff.runtime.compiler import has_vector_functions

GENERATED = Path(__file__).resolve().parent.parent / "generated"
POINTS = tomllib.loads(examples.path("points.toml").read_text("utf-8"))
# What a build or a later step leaves in the folder, what is no text, and what the trainings write (`-o generated`).
IGNORED_FOLDERS, IGNORED_SUFFIXES = {"__pycache__", "_built"}, {".html", ".pdf", ".png", ".svg", ".pyc"}
TRAINED = "_run.txt"
GENERATE = r"""
import sys, tomllib
from pathlib import Path
import symdiff
from symdiff import examples, optim
points, bindings, updates = (tomllib.loads(examples.path(table).read_text("utf-8")) for table in examples.TABLES)

def differentiated(name, formula):
    program, (rule, settings) = formula.gradient(), (updates.get(name, {}).get("rule"), updates.get(name, {}))
    if rule is None:
        return program
    return program.update(optim.named(rule).set({key: value for key, value in settings.items() if key != "rule"}))

for name in examples.names():
    formula, folder = symdiff.formula(examples.path(name)), Path(sys.argv[1], name)
    differentiated(name, formula.bind(**bindings.get(name, {}))).write(folder, at=points[name])
    if name in bindings:  # the derivation with the functions left abstract
        program = differentiated(name, formula)
        for suffix, text in (("tex", program.latex(name=name)), ("md", program.markdown(name=name))):
            (folder / f"{name}_abstract.{suffix}").write_text(text, "ascii", newline="\n")
"""
WARNINGS = ("-std=c99", "-Wall", "-Wextra", "-Werror")
SANITIZERS = ("-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
SIMD = ("-O2", "-march=native", "-fopenmp-simd", "-DSYMDIFF_SIMD", "-fno-math-errno", "-fno-trapping-math")
VECTOR_NAMES = ("sin", "cos", "exp", "log", "pow", "erfc", "log1p", "hypot")


def _run(command: Sequence[object], **variables: str) -> str:
    done = subprocess.run(
        [*map(str, command)], env={**os.environ, **variables}, text=True, timeout=300, check=False,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-6000:]
    return done.stdout


def _generate(folder: Path, seed: str) -> Path:
    root = str(GENERATED.parent)
    path = os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])])
    _run([sys.executable, "-c", GENERATE, folder], PYTHONHASHSEED=seed, PYTHONPATH=path)
    return folder


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the package of every example, generated now."""
    return _generate(tmp_path_factory.mktemp("generated"), "1")


def contents(folder: Path) -> dict[str, bytes]:
    """Relative path -> bytes of every text file in the folder of an example."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
        and path.parent != folder
        and not IGNORED_FOLDERS & set(path.parts)
        and path.suffix not in IGNORED_SUFFIXES
        and not path.name.endswith(TRAINED)
    }


def test_every_example_has_a_point() -> None:
    assert sorted(POINTS) == sorted(examples.names())


def test_the_readme_of_generated_names_every_folder_and_file_that_is_there() -> None:
    linked = set(re.findall(r"\]\(([^)]+)\)", (GENERATED / "README.md").read_text("utf-8")))
    assert not [target for target in linked if not (GENERATED / target).exists()]
    trained = {
        path.relative_to(GENERATED).as_posix()
        for kind in ("*_run.txt", "*.html", "*.pdf", "*.svg")
        for path in GENERATED.glob(f"*/{kind}")
    }
    assert trained <= linked
    assert {*examples.names()} <= linked


def test_generated_holds_what_the_examples_give(fresh: Path, update_goldens: bool) -> None:
    new = contents(fresh)
    if update_goldens:
        for name in contents(GENERATED).keys() - new.keys():
            (GENERATED / name).unlink()
        for name, content in new.items():
            (GENERATED / name).parent.mkdir(parents=True, exist_ok=True)
            (GENERATED / name).write_bytes(content)
    old = contents(GENERATED)
    hint = "; pytest tests/test_generated.py --update rewrites generated/"
    assert sorted(old) == sorted(new), hint
    assert [name for name in new if old[name] != new[name]] == [], hint


def test_the_bytes_do_not_depend_on_the_hash_seed(fresh: Path, tmp_path: Path) -> None:
    assert contents(_generate(tmp_path / "again", "2")) == contents(fresh)


def test_derivations_show_at_most_twelve_digits(fresh: Path) -> None:
    """Of what is computed with libm, which differs in the last digit. Constants of the code are exact."""
    number = re.compile(r"(?<![\w.])\d[\d]*\.?\d*")
    for path in [*fresh.glob("*/*.tex"), *fresh.glob("*/*.md")]:
        source = (path.parent / f"{path.parent.name}.c").read_text("ascii")
        for found in set(number.findall(path.read_text("ascii"))):
            digits = found.replace(".", "").strip("0")
            assert len(digits) <= 12 or found in source, f"{path.name}: {found}"


def test_every_self_check_passes(fresh: Path) -> None:
    for name in examples.names():
        assert "comparisons passed" in _run([sys.executable, "-I", fresh / name / f"check_{name}.py"])


def _compiler(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"needs {name} (apt-get install {name})")
    return found


def _each(commands: Sequence[Sequence[object]]) -> None:
    """Runs the commands, as many at a time as there are processors (two at most: pytest has two workers)."""
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(_run, commands))


COMPILERS = [
    pytest.param("gcc", (), marks=pytest.mark.compiler, id="gcc"),
    pytest.param("gcc", SIMD, marks=pytest.mark.compiler, id="gcc-simd"),
    pytest.param("clang", (), marks=pytest.mark.clang, id="clang"),
]


@pytest.mark.parametrize(("compiler", "flags"), COMPILERS)
def test_every_c_file_compiles_without_a_warning(
    fresh: Path, tmp_path: Path, compiler: str, flags: tuple[str, ...]
) -> None:
    command = [_compiler(compiler), *WARNINGS, "-pedantic", *(flags or ("-O1",)), "-c"]  # SIMD has -O2
    _each([[*command, fresh / n / f"{n}.c", "-o", tmp_path / f"{n}.o"] for n in examples.names()])


@pytest.mark.parametrize(("compiler", "flags"), COMPILERS)
def test_every_c_function_runs_clean_under_the_sanitizers(
    fresh: Path, tmp_path: Path, compiler: str, flags: tuple[str, ...]
) -> None:
    if flags and not has_vector_functions(VECTOR_NAMES):
        pytest.skip("needs vector functions in the C library (glibc on x86-64)")
    # of scalars; tests/render/test_c_arrays.py runs those of arrays, with buffers of exactly their sizes
    found, names = _compiler(compiler), [name for name in examples.names() if "_arrays(" in _header(fresh / name)]
    assert 0 < len(names) < len(examples.names())
    made = []
    for name in names:
        header = _header(fresh / name)
        point = {**dict.fromkeys(_inputs(fresh / name), 1.0), **POINTS[name]}
        made.append(Example(name, header, point, len(re.findall(r": derivative of the value by ", header))))
    (tmp_path / "drive.c").write_text(driver(made), "ascii")
    common = [found, *WARNINGS, *(flags or ("-O1",)), *SANITIZERS]
    sources = [*(fresh / name / f"{name}.c" for name in names), tmp_path / "drive.c"]
    objects = [tmp_path / f"{source.stem}.o" for source in sources]
    include = [f"-I{fresh / name}" for name in names]
    _each([[*common, *include, "-c", s, "-o", o] for s, o in zip(sources, objects, strict=True)])
    _run([*common, *objects, "-o", tmp_path / "drive", *(["-lmvec"] if flags else []), "-lm"])
    assert _run([tmp_path / "drive"], ASAN_OPTIONS="detect_leaks=0") == f"{2 * len(names)} functions called\n"


def _header(package: Path) -> str:
    return (package / f"{package.name}.h").read_text("ascii")


def _inputs(package: Path) -> list[str]:
    """Names of the inputs in order, from the self-check."""
    found = re.search(r"^INPUTS = \((.*)\)$", (package / f"check_{package.name}.py").read_text("ascii"), re.MULTILINE)
    assert found
    return re.findall(r'"(\w+)"', found[1])


@pytest.mark.compiler
def test_every_header_is_cplusplus(fresh: Path, tmp_path: Path) -> None:
    (tmp_path / "all.cc").write_text("".join(f'#include "{name}.h"\n' for name in examples.names()))
    include = [f"-I{fresh / name}" for name in examples.names()]
    _run([_compiler("g++"), "-Wall", "-Wextra", "-Werror", "-fsyntax-only", *include, tmp_path / "all.cc"])


def test_the_driver_notices_an_element_that_depends_on_its_place(tmp_path: Path) -> None:
    bad = """
    #include <stddef.h>
    int bad_value_packed(const double *in, double *out);
    int bad_value_arrays(size_t n, const double *const *in, const ptrdiff_t *in_stride,
        double *const *out, const ptrdiff_t *out_stride);
    """
    body = """
    #include "bad.h"
    int bad_value_packed(const double *in, double *out) { out[0] = in[0]; return 0; }
    int bad_value_arrays(size_t n, const double *const *in, const ptrdiff_t *in_stride,
        double *const *out, const ptrdiff_t *out_stride)
    {
        for (size_t i = 0; i < n; ++i)
            out[0][(ptrdiff_t)i * out_stride[0]] =
                in[0][(ptrdiff_t)i * in_stride[0]] * (i + 1 == n && n % 64 ? 1.5 : 1.0);
        return 0;
    }
    """
    (tmp_path / "bad.h").write_text(bad)
    (tmp_path / "bad.c").write_text(body)
    (tmp_path / "drive.c").write_text(driver([Example("bad", bad, {"x": 2.0}, None)]))
    _run([_compiler("gcc"), tmp_path / "bad.c", tmp_path / "drive.c", f"-I{tmp_path}", "-o", tmp_path / "drive", "-lm"])
    done = subprocess.run([tmp_path / "drive"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "bad_value: other results for n = 7" in done.stdout
