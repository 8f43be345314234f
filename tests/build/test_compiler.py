"""Finding a compiler, choosing flags, building and loading a library."""

import json
import os
import shutil
import stat
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from runtime.csource import c_source, vector_names

from symdiff.build import kernels
from symdiff.errors import BuildError
from symdiff.runtime import calls, compiler
from symdiff.runtime.compiler import CompileError, CompilerInfo
from symdiff.runtime.kernel import KernelSpec

ROOT = Path(__file__).resolve().parents[2]
CDEF = compiler.kernel_cdef("demo", ["gradient", "value"], "float64")
GCC = CompilerInfo(("gcc",), "gcc", "gcc 12")


def script(path: Path, text: str) -> Path:
    path.write_text("#!/bin/sh\n" + textwrap.dedent(text))
    path.chmod(0o755)
    return path


def build(out_dir: Path, **changes: Any) -> Path:
    settings: dict[str, Any] = {"module_name": "_demo", "cdef": CDEF, "out_dir": out_dir, "api": False} | changes
    return compiler.build_shared(settings.pop("source", c_source()), **settings)


def kernels_in(root: Path) -> list[dict[str, Any]]:
    """What the entries of a cache are made from, without the calls of all kernels."""
    parts = [json.loads(path.read_text())["parts"] for path in root.glob("*/manifest.json")]
    return [entry for entry in parts if entry["cdef"]]


# Finding


@pytest.mark.compiler
def test_the_compiler_is_found_and_described() -> None:
    found = compiler.find_compiler()
    assert os.path.isabs(found.command[0]) and found.version and found.kind in ("gcc", "clang", "other")
    assert compiler.find_compiler() is found


@pytest.mark.compiler
def test_cc_may_carry_arguments(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    real = compiler.find_compiler().command[0]
    spaced = tmp_path / "with space"
    spaced.mkdir()
    (spaced / "cc").symlink_to(real)
    monkeypatch.setenv("CC", f"'{spaced}/cc' -DHELLO='a b'")
    assert compiler.find_compiler().command == (f"{spaced}/cc", "-DHELLO=a b")
    assert build(tmp_path).is_file()


@pytest.mark.parametrize("cc", ["/nowhere/cc", "no-such-compiler-here", "'unbalanced"])
def test_a_wrong_cc_is_an_error(monkeypatch: pytest.MonkeyPatch, cc: str) -> None:
    monkeypatch.setenv("CC", cc)
    with pytest.raises(CompileError, match="CC="):
        compiler.find_compiler()


def test_no_compiler(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CompileError, match="no C compiler found"):
        compiler.find_compiler()
    with pytest.raises(BuildError, match="no C compiler found"):
        kernels.compile_c(c_source(), KernelSpec("demo", ("x", "y"), ("x", "y")))


def test_kinds_by_version_text(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, text, kind in [
        ("a", "cc (Debian 12) 12.2\nCopyright (C) 2022 Free Software Foundation, Inc.", "gcc"),
        ("b", "Debian clang version 14.0.6", "clang"),
        ("c", "Apple clang version 15", "clang"),
        ("d", "tcc version 0.9", "other"),
    ]:
        monkeypatch.setenv("CC", str(script(tmp_path / name, f"echo '{text}'")))
        assert compiler.find_compiler().kind == kind
    monkeypatch.setenv("CC", str(script(tmp_path / "e", "exit 1")))
    assert compiler.find_compiler() == CompilerInfo((str(tmp_path / "e"),), "other", "unknown")


# Flags


def test_flags_never_relax_arithmetic() -> None:
    for kind in ("gcc", "clang", "other"):
        for statements in (0, 5000):
            info = CompilerInfo(("cc",), kind, "")
            for flags in compiler.flag_sets(info, statements=statements):
                assert "-ffp-contract=off" in flags and not {"-ffast-math", "-Ofast"} & set(flags)


def test_large_functions_get_cheap_register_allocation() -> None:
    small, large = (compiler.flag_sets(GCC, statements=n)[0] for n in (2000, 2001))
    assert "-O3" in small and "-O1" not in small
    assert "-O1" in large and "-fira-algorithm=priority" in large and "-O3" not in large
    assert (
        "-fira-algorithm=priority" not in compiler.flag_sets(CompilerInfo(("clang",), "clang", ""), statements=9999)[0]
    )


def test_vector_functions_need_libmvec(monkeypatch: pytest.MonkeyPatch) -> None:
    if not compiler.has_vector_functions(("sin",)):
        pytest.skip("needs glibc's libmvec")
    assert compiler.has_vector_functions(("sinf", "pow", "powf", "exp"))
    assert not compiler.has_vector_functions(("sin", "lgamma"))
    fast, portable = compiler.flag_sets(GCC, vector_functions=("sin",))
    assert "-DSYMDIFF_SIMD" in fast and "-DSYMDIFF_SIMD" not in portable
    assert compiler.libraries(fast, ("sin",)) == ("-lmvec", "-lm") and compiler.libraries(portable, ("sin",)) == (
        "-lm",
    )
    assert compiler.libraries(fast, ()) == ("-lm",)
    for flags in (
        compiler.flag_sets(CompilerInfo(("clang",), "clang", ""), vector_functions=("sin",))[0],
        compiler.flag_sets(GCC, vector_functions=("lgamma",))[0],
    ):
        assert "-DSYMDIFF_SIMD" not in flags


def test_vector_symbols() -> None:
    assert list(compiler._vector_symbols("erf")) == ["_ZGVbN2v_erf", "_ZGVcN4v_erf", "_ZGVdN4v_erf", "_ZGVeN8v_erf"]
    assert list(compiler._vector_symbols("powf"))[0::3] == ["_ZGVbN4vv_powf", "_ZGVeN16vv_powf"]


def test_own_flags_come_from_one_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CFLAGS", "-DWRONG")
    monkeypatch.setenv("SYMDIFF_CFLAGS", "-g '-DNAME=a b'")
    for flags in compiler.flag_sets(GCC):
        assert flags[-2:] == ("-g", "-DNAME=a b") and "-DWRONG" not in flags


RELAXED = (
    "-Ofast -ffast-math -funsafe-math-optimizations -ffinite-math-only -fassociative-math -freciprocal-math "
    "-fno-signed-zeros -mdaz-ftz -ffp-contract=fast -ffp-contract=on -ffp-contract=fast-honor-pragmas "
    "-ffp-model=fast -ffp-model=precise -fapprox-func -fno-honor-nans -fno-honor-infinities"
).split()


@pytest.mark.parametrize("flag", RELAXED)
def test_flags_that_relax_arithmetic_are_refused(monkeypatch: pytest.MonkeyPatch, flag: str) -> None:
    monkeypatch.setenv("SYMDIFF_CFLAGS", f"-g {flag}")
    with pytest.raises(CompileError, match=f"SYMDIFF_CFLAGS has {flag},"):
        compiler.flag_sets(GCC)
    monkeypatch.setenv("CC", f"gcc '{flag}'")
    with pytest.raises(CompileError, match=f"CC has {flag},"):
        compiler.find_compiler()
    with pytest.raises(BuildError, match=f"CC has {flag},"):
        kernels.compile_c(c_source(), KernelSpec("demo", ("x", "y"), ("x", "y")))


def test_strict_flags_are_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    strict = ("-ffp-contract=off", "-ffp-model=strict", "-fno-fast-math", "-fsigned-zeros", "-mno-daz-ftz", "-O2")
    monkeypatch.setenv("SYMDIFF_CFLAGS", " ".join(strict))
    assert all(flags[-len(strict) :] == strict for flags in compiler.flag_sets(GCC))


def test_platform_key_names_what_a_library_depends_on() -> None:
    key = compiler.platform_key(GCC)
    assert set(compiler.platform_key()) == set(key) - {"compiler", "compiler_version"}
    assert all(isinstance(value, str) for value in key.values()) and key["python"] and key["machine"]


# Building


@pytest.mark.compiler
@pytest.mark.parametrize("api", [True, False])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_build_and_load(tmp_path: Path, api: bool, dtype: str, capfd: pytest.CaptureFixture[str]) -> None:
    if api and compiler.python_headers() is None:
        pytest.skip("needs Python.h")
    cdef = compiler.kernel_cdef("demo", ["gradient"], dtype)
    name = f"_demo_{api}_{dtype}"
    path = build(
        tmp_path, source=c_source(dtype), cdef=cdef, api=api, module_name=name, vector_functions=vector_names(dtype)
    )
    assert list(tmp_path.iterdir()) == [path] and path.name == compiler.library_name(name, api=api)
    for ffi, lib, second in (
        compiler.load(path, name, cdef, api=api),
        compiler.load_image(path.read_bytes(), name, cdef, api=api),
    ):
        out = ffi.new("double[3]" if dtype == "float64" else "float[3]")
        assert lib.demo_gradient_packed([2.0, 0.0], out) == 0
        assert list(out) == [0.0, 0.0, 2.0] and second is None
    assert capfd.readouterr() == ("", "")


@pytest.mark.compiler
def test_each_image_is_loaded_as_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """dlopen knows libraries by path: a path used twice would give the first library again, unread."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setattr(compiler.tempfile, "tempdir", str(home))
    results = []
    for factor in (2, 3, 2):
        source = c_source().replace("in[0]*", f"{factor}*in[0]*")
        ffi, lib, _ = compiler.load_image(build(tmp_path, source=source).read_bytes(), "_demo", CDEF, api=False)
        out = ffi.new("double[3]")
        assert lib.demo_gradient_packed([1.0, 0.0], out) == 0
        results.append(out[2])
    assert results == [2.0, 3.0, 2.0] and list(home.iterdir()) == []


@pytest.mark.compiler
def test_what_is_no_library_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "x.so").write_bytes(b"rubbish")
    for api in (True, False):
        with pytest.raises(CompileError, match="cannot be loaded"):
            compiler.load(tmp_path / "x.so", "_x", CDEF, api=api)
        with pytest.raises(CompileError, match="cannot be loaded"):
            compiler.load_image(b"rubbish", "_x", CDEF, api=api)


@pytest.mark.compiler
def test_a_refused_source_is_kept_and_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiler.tempfile, "tempdir", str(tmp_path))
    broken = "int f(void) { return nowhere; }\n" + "".join(f"int g{i}(void) {{ return none{i}; }}\n" for i in range(40))
    with pytest.raises(CompileError) as caught:
        build(tmp_path, source=broken)
    error = caught.value
    assert error.source is not None and error.source.read_text() == broken
    assert "-ffp-contract=off" in error.command and len(error.output.splitlines()) == 20
    assert error.command in str(error) and error.output in str(error) and str(error.source) in str(error)
    assert stat.S_IMODE(error.source.parent.stat().st_mode) == 0o700

    monkeypatch.setenv("SYMDIFF_CACHE", str(tmp_path / "cache"))
    with pytest.raises(BuildError, match=r"failed with status(.|\n)*error(.|\n)*source kept in"):
        kernels.compile_c(broken, KernelSpec("demo", ("x", "y"), ("x", "y")))
    assert kernels_in(tmp_path / "cache") == [] and list((tmp_path / "cache" / "locks").iterdir()) == []


@pytest.mark.compiler
def test_a_module_of_calls_that_does_not_compile_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody is told of it, as cffi makes calls then, so nobody would ever look at what is kept."""
    monkeypatch.setenv("SYMDIFF_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(compiler.tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(calls, "source", lambda: "#error no\n")
    assert kernels._calls() is None
    assert list(tmp_path.glob("symdiff-build-*")) == []


@pytest.mark.compiler
def test_without_a_path_the_compiler_has_the_one_it_was_found_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As under cron or `env -i`: gcc looks for the linker in PATH, and nowhere without one."""
    found = shutil.which("cc", path=os.defpath)
    monkeypatch.delenv("PATH")
    monkeypatch.setenv("CC", found or "")
    (tmp_path / "out").mkdir()
    if found is None:
        pytest.skip("no compiler in the system's own folders")
    assert build(tmp_path / "out").is_file()


@pytest.mark.compiler
def test_a_refused_flag_leads_to_the_portable_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = compiler.find_compiler().command[0]
    text = f"""\
        for a in "$@"; do case $a in -march=*) echo "unknown option $a" >&2; exit 1;; esac; done
        exec {real} "$@"
    """
    monkeypatch.setenv("CC", str(script(tmp_path / "cc", text)))
    out = tmp_path / "out"
    out.mkdir()
    assert build(out, vector_functions=("sin", "cos")).is_file()


@pytest.mark.skipif(os.name == "nt", reason="process groups")
def test_a_hanging_compiler_is_killed_with_its_children(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    alive = tmp_path / "alive"
    text = f"""\
        [ "$1" = --version ] && exit 0
        (sleep 2; touch {alive}) &
        sleep 60
    """
    monkeypatch.setenv("CC", str(script(tmp_path / "cc", text)))
    monkeypatch.setattr(compiler.tempfile, "tempdir", str(tmp_path))
    start = time.monotonic()
    with pytest.raises(CompileError, match=r"more than 0\.3 s"):
        build(tmp_path, timeout=0.3)
    assert time.monotonic() - start < 2
    time.sleep(2.2)
    assert not alive.exists()


@pytest.mark.compiler
def test_a_full_target_is_an_os_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(source: object, target: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(compiler.os, "replace", full)
    with pytest.raises(OSError, match="No space"):
        build(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.compiler
def test_without_python_h_a_plain_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYMDIFF_CACHE", str(tmp_path / "cache"))
    spec = KernelSpec("demo", ("x", "y"), ("x", "y"))
    source = c_source(comment=str(tmp_path))  # a source that this process has not loaded yet
    usual = kernels.compile_c(source, spec, vector_functions=vector_names())
    monkeypatch.setattr(compiler, "python_headers", lambda: None)
    plain = kernels.compile_c(source, spec, vector_functions=vector_names())
    assert plain(2.0, 3.0) == usual(2.0, 3.0)
    assert plain([1.0, 2.0], 3.0)[0].tolist() == usual([1.0, 2.0], 3.0)[0].tolist()
    assert sorted(entry["api"] for entry in kernels_in(tmp_path / "cache")) == [False, True]


@pytest.mark.compiler
def test_without_a_thread_to_spare_all_is_compiled_in_turn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setenv("SYMDIFF_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(kernels, "_loaded", {})
    monkeypatch.setattr(threading.Thread, "start", refused)
    spec = KernelSpec("demo", ("x", "y"), ("x", "y"))
    kernel = kernels.compile_c(c_source(), spec, vector_functions=vector_names("float64"))
    assert kernel(2.0, 0.0)[0] == 0.0 and len(kernels_in(tmp_path / "cache")) == 1


def test_without_cffi(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiler, "has_cffi", lambda: False)
    with pytest.raises(BuildError, match="pip install cffi"):
        kernels.compile_c(c_source(), KernelSpec("demo", ("x", "y"), ("x", "y")))


@pytest.mark.compiler
def test_a_kernel_leaves_the_floating_point_mode_alone() -> None:
    """In a process of its own: denormals still work after building, loading and running."""
    program = """
        import sys
        from runtime.csource import c_source, vector_names
        from symdiff.build.kernels import compile_c
        from symdiff.runtime.kernel import KernelSpec
        k = compile_c(c_source(), KernelSpec("demo", ("x", "y"), ("x", "y")), vector_functions=vector_names())
        k(1.0, 2.0), k([1.0] * 100, 2.0)
        tiny = float(sys.argv[1])
        assert tiny * 1.0 != 0 and tiny / 2 * 2 == 0 and 2.3e-308 / 4 != 0
        assert k([5e-324] * 70, 1.5)[0].tolist() == [5e-324] * 70
    """
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests"), *sys.path])
    command = [sys.executable, "-c", textwrap.dedent(program), "5e-324"]
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_runtime_modules_import_nothing_but_numpy() -> None:
    program = """
        import sys
        sys.path.insert(0, sys.argv[1])
        import runtime.kernel, runtime.compiler
        assert not {"cffi", "_cffi_backend", "symdiff", "ctypes.util"} & set(sys.modules), sys.modules.keys()
    """
    command = [sys.executable, "-c", textwrap.dedent(program), str(Path(compiler.__file__).parents[1])]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd="/")
    assert (done.returncode, done.stderr) == (0, "")
