"""What `growth` measures of each tool, every cell in a process of its own:

    first   from the program to its first value and gradient
    kernel  from the program to a compiled kernel that has been called once

symdiff reads the program as a text; the others run it as Python on their own symbols. The child imports the tool and
makes a short program first, so what is timed is the program and not the import.
"""

from __future__ import annotations

import cmath
import ctypes
import importlib.util
import json
import math
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

from benchmarks.growth_program import STATE, WIDTH, program, program_text

POINT = [0.3 + 0.01 * k for k in range(WIDTH)]
IMPORT = 10.0  # seconds that a tool has for its import and the short program
_WARM = 3 * STATE  # steps of the program that is made before the clock runs; no length that is measured
Result = tuple[float, Sequence[float], str]  # value, gradient, how it was computed


# -- first gradient ----------------------------------------------------------------------------------------------------


def symdiff_first(steps: int) -> Result:
    """`compile()` as it is: the backend that symdiff chooses by itself."""
    return _symdiff(steps, "auto")


def symdiff_kernel(steps: int) -> Result:
    """The C kernel; the cache is new and empty."""
    return _symdiff(steps, "c")


def _symdiff(steps: int, backend: Any) -> Result:
    import symdiff

    limits = symdiff.Limits(steps=2 * steps + 100, length=100 * steps + 10_000)
    kernel = symdiff.formula(program_text(steps), limits=limits).gradient().compile(backend)
    value, gradient = kernel(*POINT)
    return value, list(gradient), "C" if kernel.backend == "c" else "NumPy, step by step"


def casadi_first(steps: int) -> Result:
    """SX graph, run by CasADi's virtual machine."""
    function = _casadi(steps)
    value, gradient = function(POINT)
    return float(value), gradient.full().ravel().tolist(), "virtual machine"


def _casadi(steps: int) -> Any:
    import casadi

    x = casadi.SX.sym("x", WIDTH)
    value = program([x[k] for k in range(WIDTH)], steps, casadi.tanh, casadi.sin)
    return casadi.Function("f", [x], [value, casadi.gradient(value, x)])


def jax_first(steps: int) -> Result:
    """`jit` of `value_and_grad`."""
    import jax

    jax.config.update("jax_enable_x64", True)
    import jax.numpy as jnp

    compiled = jax.jit(jax.value_and_grad(lambda x: program(x, steps, jnp.tanh, jnp.sin)))
    value, gradient = compiled(jnp.array(POINT))
    return float(value), [float(each) for each in gradient], "XLA"


def sympy_first(steps: int) -> Result:
    """`diff`, `cse` and `lambdify` over `math`."""
    import sympy

    x = sympy.symbols(f"x0:{WIDTH}")
    value = program(x, steps, sympy.tanh, sympy.sin)
    function = sympy.lambdify(x, [value, *(value.diff(each) for each in x)], modules="math", cse=True)
    value, *gradient = function(*POINT)
    return value, gradient, "Python"


def symengine_first(steps: int) -> Result:
    """`diff`, and `Lambdify` by LLVM where the package has it."""
    import symengine

    x = symengine.symbols(f"x0:{WIDTH}")
    value = program(x, steps, symengine.tanh, symengine.sin)
    wanted = [value, *(value.diff(each) for each in x)]
    backend = "llvm" if getattr(symengine, "have_llvm", False) else "lambda"
    value, *gradient = symengine.Lambdify(x, wanted, cse=True, backend=backend)(POINT)
    return value, gradient, {"llvm": "LLVM", "lambda": "lambdas"}[backend]


def heyoka_first(steps: int) -> Result:
    """`diff_tensors` and `cfunc` (LLVM)."""
    import heyoka

    x = [heyoka.expression(f"x{k}") for k in range(WIDTH)]
    value = program(x, steps, heyoka.tanh, heyoka.sin)
    gradient = heyoka.diff_tensors([value], diff_args=x, diff_order=1).gradient
    value, *partials = heyoka.cfunc([value, *gradient], vars=x)(POINT)
    return float(value), [float(each) for each in partials], "LLVM"


# -- compiled kernel ---------------------------------------------------------------------------------------------------


def _casadi_kernel(flags: Callable[[str], Sequence[str]]) -> Callable[[int], Result]:
    """CasADi's C of value and gradient, compiled by the compiler that symdiff takes."""

    def kernel(steps: int) -> Result:
        from symdiff.runtime.compiler import find_compiler

        with tempfile.TemporaryDirectory() as folder:
            function, here = _casadi(steps), os.getcwd()
            os.chdir(folder)  # generate() wants a bare name
            function.generate("f.c")
            os.chdir(here)
            source, library = Path(folder) / "f.c", Path(folder) / "f.so"
            chosen = flags(source.read_text("utf-8"))
            command = [*find_compiler().command, *chosen, "-fPIC", "-shared", str(source), "-o", str(library), "-lm"]
            subprocess.run(command, check=True)
            return *_call_casadi(library), f"C, {chosen[0]}"

    return kernel


def _call_casadi(library: Path) -> tuple[float, list[float]]:
    """CasADi's C interface: arrays of pointers to arguments and results, and work vectors."""
    function = ctypes.CDLL(str(library)).f
    sizes = [ctypes.c_longlong() for _ in range(4)]
    ctypes.CDLL(str(library)).f_work(*map(ctypes.byref, sizes))
    pointer = ctypes.POINTER(ctypes.c_double)
    x, value, gradient = (ctypes.c_double * WIDTH)(*POINT), (ctypes.c_double * 1)(), (ctypes.c_double * WIDTH)()
    arguments = (pointer * max(1, sizes[0].value))(ctypes.cast(x, pointer))
    results = (pointer * max(2, sizes[1].value))(ctypes.cast(value, pointer), ctypes.cast(gradient, pointer))
    integers = (ctypes.c_longlong * max(1, sizes[2].value))()
    numbers = (ctypes.c_double * max(1, sizes[3].value))()
    assert not function(arguments, results, integers, numbers, 0)
    return value[0], list(gradient)


def _own_flags(source: str) -> Sequence[str]:
    """The flags that symdiff compiles a long program with."""
    from symdiff.runtime.compiler import find_compiler, flag_sets

    return [flag for flag in flag_sets(find_compiler(), statements=10**9)[0] if flag not in ("-fPIC", "-shared")]


FIRST: dict[str, tuple[str, Callable[[int], Result]]] = {
    "symdiff": ("symdiff", symdiff_first),
    "casadi": ("CasADi SX", casadi_first),
    "symengine": ("symengine", symengine_first),
    "heyoka": ("heyoka", heyoka_first),
    "jax": ("JAX", jax_first),
    "sympy": ("SymPy", sympy_first),
}
KERNEL: dict[str, tuple[str, Callable[[int], Result]]] = {
    "symdiff": ("symdiff, C", symdiff_kernel),
    "casadi": ("CasADi, C, symdiff's flags", _casadi_kernel(_own_flags)),
    "casadi-O1": ("CasADi, C, -O1", _casadi_kernel(lambda source: ["-O1"])),
    "casadi-O2": ("CasADi, C, -O2", _casadi_kernel(lambda source: ["-O2"])),
    "casadi-O3": ("CasADi, C, -O3 -march=native", _casadi_kernel(lambda source: ["-O3", "-march=native"])),
    "heyoka": ("heyoka (LLVM)", heyoka_first),
    "jax": ("JAX (XLA)", jax_first),
}
TASKS = {"first": FIRST, "kernel": KERNEL}


def missing(name: str) -> bool:
    """Whether the tool of a contestant is not installed."""
    return importlib.util.find_spec(name.partition("-")[0]) is None


# -- the judge ---------------------------------------------------------------------------------------------------------


def expected(steps: int) -> tuple[float, list[float]]:
    """Value and gradient by complex steps, which need no difference: exact to the last digits."""
    tiny, found = 1e-40, []
    for place in range(WIDTH):
        x = [complex(number, tiny * (k == place)) for k, number in enumerate(POINT)]
        value = program(x, steps, cmath.tanh, cmath.sin)
        found.append(value.imag / tiny)
    return value.real, found


def is_right(steps: int, value: float, gradient: Sequence[float]) -> bool:
    """Whether a result has nine digits, measured by the largest partial: the program is long, and adds up errors."""
    wanted, partials = expected(steps)
    scale = max(1e-300, *map(abs, partials))
    near = all(abs(a - b) <= 1e-9 * scale for a, b in zip(gradient, partials, strict=True))
    return near and math.isclose(value, wanted, rel_tol=1e-9, abs_tol=1e-12)


def child(task: str, name: str, steps: int) -> None:
    """One measurement in this process, printed as JSON."""
    sys.setrecursionlimit(1_000_000)  # JAX and SymPy recurse
    with tempfile.TemporaryDirectory() as cache:
        os.environ["SYMDIFF_CACHE"] = str(Path(cache) / "symdiff")
        run = TASKS[task][name][1]
        run(_WARM)
        start = perf_counter()
        value, gradient, how = run(steps)
        seconds = perf_counter() - start
        print(json.dumps({"seconds": seconds, "value": value, "gradient": list(gradient), "how": how}))


def measured(task: str, name: str, steps: int, limit: float) -> dict[str, Any]:
    """What `child` prints in a process of its own, ended after `limit` seconds; else `failed` with the reason."""
    if missing(name):
        return {"failed": "not installed"}
    if task == "kernel" and name.startswith(("symdiff", "casadi")) and shutil.which("cc") is None:
        return {"failed": "no compiler"}
    root = Path(__file__).resolve().parents[1]
    path = os.pathsep.join(filter(None, [str(root), os.environ.get("PYTHONPATH")]))
    code = f"from benchmarks.growth_tools import child; child({task!r}, {name!r}, {steps})"
    command = [sys.executable, "-c", code]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=root,
        env={**os.environ, "PYTHONPATH": path}, start_new_session=True,
    ) as process:  # fmt: skip
        try:
            output, _ = process.communicate(timeout=limit + IMPORT)
        except subprocess.TimeoutExpired:
            return {"failed": f"> {limit:g}"}
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)  # with its compiler
    if process.returncode:
        return {"failed": "crashed"}
    made: dict[str, Any] = json.loads(output.splitlines()[-1])
    if made["seconds"] > limit:
        return {"failed": f"> {limit:g}"}
    return made if is_right(steps, made["value"], made["gradient"]) else {"failed": "wrong"}
