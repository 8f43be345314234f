"""The text of training in C: compiled strictly, run under sanitizers from a C program, and read by people."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from training import CASES, OWN, RULES, Given, descent, orders, trained

import symdiff
from symdiff import examples, optim
from symdiff.errors import UnsupportedError
from symdiff.render import c as render_c
from symdiff.render.c import c_module
from symdiff.rule import Rule

STRICT = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic"]
SANITIZED = ["-g0", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]


def program(text: Any, wrt: Sequence[str] | None = None, rule: Rule | None = None) -> Any:
    return symdiff.formula(text).gradient(wrt).update(rule or optim.adam())


def compiled(folder: Path, compiler: str, flags: list[str], *files: str) -> None:
    if shutil.which(compiler) is None:
        pytest.skip(f"{compiler} is not installed")
    done = subprocess.run([compiler, *flags, *files], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-4000:]


def written(folder: Path, name: str, program: Any) -> None:
    made = c_module(program.sheet(name))
    (folder / f"{name}.c").write_text(made.source)
    (folder / f"{name}.h").write_text(made.header)


# -- text --------------------------------------------------------------------------------------------------------------


def test_without_a_rule_there_is_no_training() -> None:
    formula = symdiff.formula(examples.path("ridge"))
    for text in (formula.gradient().source("c"), formula.gradient().source("h"), formula.value().source("c")):
        assert "train" not in text


def test_kernels_of_a_program_with_a_rule_are_those_without() -> None:
    """A kernel does not wait for a training to be compiled, and may be in float32."""
    for name in ("ridge", "rosenbrock10"):
        plain = symdiff.formula(examples.path(name)).gradient()
        ruled = plain.update(optim.adam())
        for dtype in ("float64", "float32"):
            texts = [c_module(each.sheet("f", dtype), ["gradient"]).source for each in (plain, ruled)]
            assert texts[0].replace("symdiff generate", "") == re.sub(r"symdiff generate| --update adam", "", texts[1])


def test_training_in_float32_is_refused() -> None:
    for name in ("ridge", "rosenbrock10"):
        with pytest.raises(UnsupportedError, match="float64"):
            program(examples.path(name)).source("c", dtype="float32")


def test_the_rule_stands_in_the_code_as_people_write_it() -> None:
    source = program(examples.path("ridge")).source("c")
    for line in (
        "const double beta1 = sd_settings[1];",
        "const double c1 = 1.0 - pow(beta1, t);",
        "const double m_new = beta1*m + (1.0 - beta1)*theta_bar;",
        "const double theta_new = theta - eta*(m_new/c1)/(sqrt(s_new/c2) + epsilon);",
    ):
        assert line in source
    assert "Adam (Kingma and Ba 2015, algorithm 1)" in source


def test_the_header_says_what_a_caller_must_know() -> None:
    header = program(examples.path("relu_network_rows"), ("w2", "W1", "b1", "b2")).source("h", name="net")
    for words in (
        "X, t, W1, b1, w2, b2",
        "0 for n",
        "w2 (vector of length 4), W1 (3 x 4 matrix), b1 (vector of length 4), b2",
        "eta (such as 0.001), beta1 (such as 0.9), beta2 (such as 0.999), epsilon (such as 1e-08)",
        "m, s",
        "theta_new = theta - eta*(m_new/c1)/(sqrt(s_new/c2) + epsilon)",
        "size_t net_train_workspace(const net_training *run);",
    ):
        assert words in header, words
    scalars = program(examples.path("rosenbrock10")).source("h")
    assert "sizes" not in scalars.partition("Training by")[2].partition("Returns")[0] and "gemm" not in scalars


def test_samples_lie_only_along_dimensions_that_no_parameter_has() -> None:
    text = "X: const(n, m)\nK: const(k, k)\nW: (m, 2)\nsum((X @ W)**2) + sum(K)"
    header = program(text).source("h")
    assert "0 for n" in header and " for m" not in header and " for k" not in header
    alone = "K: const(k, k)\nW: (3, 2)\nsum(K)*sum(W)"
    source = program(alone).source("c")
    assert "sd_gather" not in source and "return run->dimension < 0;" in source


def test_a_long_formula_says_how_much_workspace_it_needs() -> None:
    """By its own length, where the numbers in the test of the kernel are made small."""
    wide = " + ".join(f"x{k}*sin(a)" for k in range(4200))
    made = c_module(symdiff.formula(wide).gradient().sheet("f"), ["gradient"])
    assert made.workspace and "size_t f_gradient_packed_workspace(void);" in made.header
    assert "double sd_w[" not in made.source and "of stack, besides the workspace." in made.source
    narrower = " + ".join(f"x{k}*sin(a)" for k in range(1000))
    short = c_module(symdiff.formula(narrower).gradient().sheet("f"), ["gradient"])
    assert not short.workspace and "double sd_w[" in short.source and "of stack." in short.source


# -- compilers ---------------------------------------------------------------------------------------------------------


@pytest.mark.compiler
@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_compilers_have_nothing_to_say(tmp_path: Path, compiler: str) -> None:
    names = []
    for name, key in (
        ("autoencoder", "descent"),
        ("relu_network_rows", "momentum"),
        ("rosenbrock10", "descent"),
        ("gaussian_process", "adam"),
    ):
        written(tmp_path, name, program(examples.path(name), None, RULES[key][0]))
        names.append(f"{name}.c")
    for k, (text, _) in enumerate(OWN.values()):
        written(tmp_path, f"own_{k}", program("x: const()\nw: ()\nw*x", None, optim.rule(text)))
        names.append(f"own_{k}.c")
    compiled(tmp_path, compiler, [*STRICT, "-O2", "-c"], *names)


@pytest.mark.compiler
def test_names_that_the_training_uses_itself(tmp_path: Path) -> None:
    """Arguments, sizes and settings may be called as what the file defines, or as its local variables."""
    names = "run plan shapes rows start count result one state theta order f_train f_training sd_rule".split()
    text = "\n".join([*(f"{name}: const()" for name in names), "w: ()", "w**2*(" + " + ".join(names) + ")"])
    sized, plain = names[:7], names[7:]
    terms = " + ".join([*(f"sum(a_{name})" for name in sized), *plain])
    inputs = [*(f"a_{name}: const({name})" for name in sized), *(f"{name}: const()" for name in plain)]
    arrays = "\n".join([*inputs, "W: 3", f"sum(W**2)*({terms})"])
    for k, source in enumerate((text, arrays)):
        folder = tmp_path / str(k)
        folder.mkdir()
        written(folder, "f", program(source))
        compiled(folder, "gcc", [*STRICT, "-c"], "f.c")


@pytest.mark.compiler
def test_the_header_is_one_of_cpp_too(tmp_path: Path) -> None:
    written(tmp_path, "net", program(examples.path("relu_network_rows")))
    (tmp_path / "main.cpp").write_text(
        '#include "net.h"\nint main() { net_training run = net_training(); return net_train_workspace(&run) > 9; }\n'
    )
    compiled(tmp_path, "g++", ["-std=c++11", "-Wall", "-Wextra", "-Werror", "-fsyntax-only"], "main.cpp")


@pytest.mark.compiler
@pytest.mark.parametrize("name", ["autoencoder", "relu_network_rows", "rosenbrock10"])
def test_the_example_in_the_header_compiles(tmp_path: Path, name: str) -> None:
    rule = optim.gradient_descent() if name == "rosenbrock10" else optim.adam()
    ruled = program(examples.path(name), None, rule)
    written(tmp_path, "net", ruled)
    example = ruled.source("h", name="net").partition("numbers of its own:")[2].partition("Makes updates")[0]
    lines = [line.removeprefix(" *") for line in example.splitlines()]
    (tmp_path / "main.c").write_text(
        '#include <stdlib.h>\n#include "net.h"\n'
        "int f(const size_t *sizes, const double *const *data, const int *axis, double *theta, double *state,\n"
        "    const double *settings, double *values, size_t updates);\n"
        "int f(const size_t *sizes, const double *const *data, const int *axis, double *theta, double *state,\n"
        "    const double *settings, double *values, size_t updates)\n"
        "{\n    size_t done, place;\n    int status;\n    (void)sizes, (void)state;\n"
        + "\n".join(lines)
        + "    free(run.workspace);\n    return status;\n}\n"
    )
    compiled(tmp_path, "gcc", [*(flag for flag in STRICT if flag != "-Wextra"), "-c"], "main.c")


@pytest.mark.compiler
@pytest.mark.parametrize("text", ["X: const(d, n)\nW: (k, d)\nsum(tanh(W @ X))/n", "W: 3\nX: const(2, 3)\nsum(X @ W)"])
def test_the_example_in_the_header_runs(tmp_path: Path, text: str) -> None:
    """Samples along another dimension than the first one; no dimension at all."""
    ruled = program(text, ("W",), optim.gradient_descent())
    written(tmp_path, "net", ruled)
    header = ruled.source("h", name="net")
    assert (".dimension = 1, " if "n" in ruled.data.dimensions else ".dimension = -1, ") in header.replace("\n", " ")
    example = header.partition("numbers of its own:")[2].partition("Makes updates")[0]
    lines = [line.removeprefix(" *") for line in example.splitlines()]
    samples, axis = (100, 1) if "n" in ruled.data.dimensions else (1, -1)
    (tmp_path / "main.c").write_text(
        '#include <stdlib.h>\n#include "net.h"\n'
        "int main(void)\n{\n    static double X[300], theta[9], values[20];\n    const double settings[] = { 0.1 };\n"
        f"    const size_t sizes[] = {{ 3, 100, 2 }}; /* d, n, k */\n    const int axis[] = {{ {axis}, {axis} }};\n"
        f"    const double *const data[] = {{ {'X, NULL' if samples > 1 else 'NULL, X'} }};\n"
        "    size_t done, place, updates = 20;\n    int status;\n    (void)sizes;\n"
        + "\n".join(lines).replace("= 100", f"= {samples}")
        + "    free(run.workspace);\n    return status == 0 && done == 20 ? 0 : 10 + status;\n}\n"
    )
    flags = [*(flag for flag in STRICT if flag != "-Wextra"), *SANITIZED, "-o", "run"]
    compiled(tmp_path, "gcc", flags, "net.c", "main.c", "-lm")
    assert subprocess.run([tmp_path / "run"], check=False).returncode == 0


# -- from C ------------------------------------------------------------------------------------------------------------

DRIVER = r"""
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "f.h"

/* A copy with exactly as many bytes, so that a sanitizer sees one too many. */
static void *copy(const void *from, size_t size)
{
    void *to = malloc(size);
    if (size > 0)
        memcpy(to, from, size);
    return to;
}

%s
int main(void)
{
    const double *data[ARGUMENTS];
    double *memory[ARGUMENTS], *theta = copy(start, sizeof start);
    double *state = calloc(STATES * COUNT + !STATES, sizeof(double));
    double *setting = copy(settings, sizeof settings), *values = malloc(UPDATES * sizeof(double));
    size_t *rows = copy(order, sizeof order), done, place, needed;
    f_training run;
    int status;

    memset(&run, 0, sizeof run);
    for (int k = 0; k < ARGUMENTS; ++k)
        data[k] = memory[k] = learns[k] ? NULL : copy(given[k], lengths[k] * sizeof(double));
    run.data = data, run.axis = axis, run.samples = SAMPLES, run.batch = BATCH;
    run.theta = theta, run.state = STATES ? state : NULL, run.settings = setting, run.order = ORDER ? rows : NULL;
    %s
    needed = f_train_workspace(&run);
    run.workspace = malloc(needed * sizeof(double));
    memset(run.workspace, 0xff, needed * sizeof(double));
    status = f_train(&run, UPDATES, values, &done, &place);
    printf("%%d %%zu\n", status, done);
    for (int i = 0; i < UPDATES; ++i)
        printf("%%a ", values[i]);
    printf("\n");
    for (int i = 0; i < COUNT; ++i)
        printf("%%a ", theta[i]);
    printf("\n");
    for (int k = 0; k < ARGUMENTS; ++k)
        free(memory[k]);
    free(theta), free(state), free(setting), free(values), free(rows), free(run.workspace);
    return 0;
}
"""


def numbers(kind: str, name: str, values: Any) -> str:
    """A constant array; one number at least."""
    flat = list(np.ravel(values))
    texts = [float(v).hex() if kind == "double" else str(int(v)) for v in flat] or ["0"]
    return f"static const {kind} {name}[] = {{{', '.join(texts)}}};"


def main_of(formula: Any, given: Given, rule: Rule, order: np.ndarray | None, batch: int, updates: int) -> str:
    inputs, array = list(formula.inputs), formula.primal.is_array
    data = [np.asarray(given.data.get(name, 0.0), float) for name in inputs]
    lines = [
        f"enum {{ ARGUMENTS = {len(inputs)}, STATES = {len(rule.states)}, COUNT = {given.theta().size} }};",
        f"enum {{ SAMPLES = {given.samples}, BATCH = {batch}, UPDATES = {updates} }};",
        f"enum {{ ORDER = {int(order is not None)} }};",
        numbers("double", "start", given.theta()),
        numbers("double", "settings", list(rule.settings.values())),
        numbers("size_t", "order", [] if order is None else order),
        numbers("int", "learns", [name in given.start for name in inputs]),
        numbers("int", "axis", [given.axes.get(name, -1) for name in inputs]),
        numbers("size_t", "lengths", [each.size for each in data]),
        *(numbers("double", f"data_{k}", each) for k, each in enumerate(data)),
        f"static const double *const given[] = {{{', '.join(f'data_{k}' for k in range(len(data)))}}};",
    ]
    more = ""
    if array:
        dims = formula.data.dimensions
        lines.append(numbers("size_t", "sizes", [given.sizes[name] for name in dims] if given.sizes else []))
        more = f"run.sizes = sizes, run.dimension = {dims.index(given.dimension) if given.dimension else -1};"
    return DRIVER % ("\n".join(lines), more)


@pytest.mark.compiler
@pytest.mark.parametrize(
    ("case", "compiler"),
    [*((case, "gcc") for case in [*CASES, "growing", "workspace"]), ("columns", "clang"), ("grouped", "clang")],
)
def test_a_c_program_trains_and_sanitizers_are_silent(
    tmp_path: Path, case: str, compiler: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whole epochs in their order, batches that do not divide the samples, memory of exactly the sizes asked for."""
    if case == "growing":
        formula = symdiff.formula("X: const(n)\nk: const(m)\nw: ()\nsum(tanh(k[n:]*w)**2) + sum(tanh(X*w))")
        data = {"X": np.linspace(0, 1, 10), "k": np.linspace(-1, 1, 300)}
        given = Given({"w": 0.7}, data, {"X": 0}, "n", {"n": 10, "m": 300})
    elif case == "workspace":
        monkeypatch.setattr(render_c, "_LONGEST_FUSED", 10)
        monkeypatch.setattr(render_c, "_MOST_STACK", 10)
        formula, given = CASES["scalars"]()
    else:
        formula, given = CASES[case]()
    batch = max(1, given.samples - 3) // (1 if case == "growing" else 2) or 1
    updates = 2 * -(-given.samples // batch)
    order = None if case in ("growing", "columns") else orders(given.samples, 2)
    written(tmp_path, "f", formula.gradient(tuple(given.start)).update(optim.gradient_descent(eta=0.05)))
    (tmp_path / "main.c").write_text(main_of(formula, given, optim.gradient_descent(eta=0.05), order, batch, updates))
    compiled(tmp_path, compiler, [*STRICT, *SANITIZED, "-o", "run"], "f.c", "main.c", "-lm")
    done = subprocess.run([tmp_path / "run"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    head, values, theta = done.stdout.splitlines()
    assert head == f"0 {updates}"
    wanted, _, expected = trained(formula, given, descent(0.05), 0, order, batch, updates)
    np.testing.assert_allclose([float.fromhex(v) for v in values.split()], expected, rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose([float.fromhex(v) for v in theta.split()], wanted, rtol=1e-10, atol=1e-12)
