"""A C program that calls every function of generated C files, over ordinary and hard inputs and every memory layout.

Every array has exactly the elements that a call may touch, so an address sanitizer sees one step too far. An element's
result must have the same bits in every layout; the program says so if not, and exits with 1.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

_HEAD = """\
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef int packed_function(const double *in, double *out);
typedef int arrays_function(size_t n, const double *const *in, const ptrdiff_t *in_stride,
    double *const *out, const ptrdiff_t *out_stride);
struct task {
    const char *name;
    int inputs, outputs;
    const double *point;
    packed_function *packed, *one;
    arrays_function *arrays, *batch;
};
"""

_BODY = """
enum { MOST = 64, LONGEST = 1000 };

static double number(const struct task *t, int hard, int k, size_t i)
{
    static const double edges[] = {0.0, -0.0, 1.0, -1.0, 5e-324, -5e-324, 2.2250738585072014e-308, 1e-8, 1e300, -1e300,
        1.7976931348623157e308, 1e16, -1e5, 0.5, INFINITY, -INFINITY, NAN};
    if (hard && (i + (size_t)k) % 3 != 0)
        return edges[(i * 7 + (size_t)k * 5 + i / 17) % (sizeof edges / sizeof *edges)];
    return t->point[k] * (1.0 + 0.001 * (double)i);
}

static double *array(size_t n, ptrdiff_t stride, double **start)
{
    size_t step = (size_t)(stride < 0 ? -stride : stride), size = n == 0 ? 0 : (n - 1) * step + 1;
    double *memory = malloc(size * sizeof(double));
    if (memory == NULL && size > 0)
        abort();
    *start = stride < 0 && n > 0 ? memory + (size - 1) : memory;
    return memory;
}

static int same(double a, double b)
{
    return (a != a && b != b) || memcmp(&a, &b, sizeof a) == 0;
}

/* One batch: every input with in_stride, input number `fixed` with stride 0, outputs with out_stride. */
static int batch(const struct task *t, arrays_function *function, int hard, size_t n, ptrdiff_t in_stride,
    ptrdiff_t out_stride, int fixed, const double *expected)
{
    const double *in[MOST];
    double *out[MOST], *memory[2 * MOST];
    ptrdiff_t in_strides[MOST], out_strides[MOST];
    int wrong = 0;
    for (int k = 0; k < t->inputs; ++k) {
        double *start;
        in_strides[k] = k == fixed ? 0 : in_stride;
        memory[k] = array(n, in_strides[k], &start);
        for (size_t i = 0; i < n; ++i)
            start[(ptrdiff_t)i * in_strides[k]] = number(t, hard, k, in_strides[k] == 0 ? 0 : i);
        in[k] = start;
    }
    for (int k = 0; k < t->outputs; ++k) {
        out_strides[k] = out_stride;
        memory[MOST + k] = array(n, out_stride, &out[k]);
    }
    if (function(n, in, in_strides, out, out_strides) != 0)
        wrong = 1;
    for (int k = 0; expected != NULL && k < t->outputs; ++k)
        for (size_t i = 0; i < n; ++i)
            wrong |= !same(out[k][(ptrdiff_t)i * out_stride], expected[(size_t)k * LONGEST + i]);
    for (int k = 0; k < t->inputs; ++k)
        free(memory[k]);
    for (int k = 0; k < t->outputs; ++k)
        free(memory[MOST + k]);
    if (wrong)
        printf("%s: other results for n = %d, strides %d and %d, hard %d\\n", t->name, (int)n, (int)in_stride,
            (int)out_stride, hard);
    return wrong;
}

static int layouts(const struct task *t, arrays_function *function, int hard)
{
    static const size_t sizes[] = {0, 1, 7, 64, 65, LONGEST};
    static const ptrdiff_t in_strides[] = {1, 2, -1, 0}, out_strides[] = {1, 2, -1};
    double *expected = malloc((size_t)t->outputs * LONGEST * sizeof(double));
    const double *in[MOST];
    double *in_memory[MOST], *out[MOST];
    ptrdiff_t ones[MOST];
    int wrong = 0;
    if (expected == NULL)
        abort();
    for (int k = 0; k < MOST; ++k)
        ones[k] = 1;
    for (int k = 0; k < t->inputs; ++k) {
        in_memory[k] = array(LONGEST, 1, &in_memory[k]);
        for (size_t i = 0; i < LONGEST; ++i)
            in_memory[k][i] = number(t, hard, k, i);
        in[k] = in_memory[k];
    }
    for (int k = 0; k < t->outputs; ++k)
        out[k] = expected + k * LONGEST;
    wrong |= t->arrays(LONGEST, in, ones, out, ones) != 0;
    for (int k = 0; k < t->inputs; ++k)
        free(in_memory[k]);
    for (size_t a = 0; a < sizeof sizes / sizeof *sizes; ++a)
        for (size_t b = 0; b < sizeof in_strides / sizeof *in_strides; ++b)
            for (size_t c = 0; c < sizeof out_strides / sizeof *out_strides; ++c) {
                const double *known = in_strides[b] == 0 ? NULL : expected;
                wrong |= batch(t, function, hard, sizes[a], in_strides[b], out_strides[c], -1, known);
                wrong |= batch(t, function, hard, sizes[a], in_strides[b], out_strides[c], t->inputs - 1, NULL);
            }
    free(expected);
    return wrong;
}

static int points(const struct task *t, int hard)
{
    double *in = malloc((size_t)t->inputs * sizeof(double)), *out = malloc((size_t)t->outputs * sizeof(double));
    double *again = malloc((size_t)t->outputs * sizeof(double));
    int wrong = 0;
    if (in == NULL || out == NULL || again == NULL)
        abort();
    for (size_t i = 0; i < 200; ++i) {
        for (int k = 0; k < t->inputs; ++k)
            in[k] = number(t, hard, k, i);
        wrong |= t->packed(in, out) != 0;
        if (t->one != NULL) {
            wrong |= t->one(in, again) != 0;
            for (int k = 0; k < t->outputs; ++k)
                wrong |= !same(out[k], again[k]);
        }
    }
    free(in);
    free(out);
    free(again);
    if (wrong)
        printf("%s: other results at one point\\n", t->name);
    return wrong;
}

int main(void)
{
    int wrong = 0;
    for (size_t k = 0; k < sizeof tasks / sizeof *tasks; ++k)
        for (int hard = 0; hard < 2; ++hard) {
            wrong |= points(&tasks[k], hard);
            wrong |= layouts(&tasks[k], tasks[k].arrays, hard);
            if (tasks[k].batch != NULL)
                wrong |= layouts(&tasks[k], tasks[k].batch, hard);
        }
    printf("%d functions called\\n", (int)(sizeof tasks / sizeof *tasks));
    return wrong;
}
"""


@dataclass(frozen=True)
class Example:
    """A generated C file: prefix, header text, values of the inputs, number of derivatives (None: the value alone)."""

    name: str
    header: str
    point: Mapping[str, float]
    derivatives: int | None


def driver(examples: Iterable[Example]) -> str:
    """The program for `examples`, all with float64; their headers must be on the include path."""
    examples = list(examples)
    parts = [_HEAD, *(f'#include "{each.name}.h"\n' for each in examples), "\n"]
    tasks = []
    for each in examples:
        parts.append(f"static const double {each.name}_at[] = {{{', '.join(map(repr, each.point.values()))}}};\n")
        for kind in ("value",) if each.derivatives is None else ("value", "gradient"):
            outputs = 1 + (each.derivatives or 0) * (kind == "gradient")
            wrappers = ["NULL", "NULL"]
            if f"int {each.name}_{kind}_batch(" in each.header:
                wrappers = [f"{each.name}_{kind}_one", f"{each.name}_{kind}_named"]
                parts += _wrappers(f"{each.name}_{kind}", len(each.point), outputs)
            names = f"{each.name}_{kind}_packed, {wrappers[0]}, {each.name}_{kind}_arrays, {wrappers[1]}"
            tasks.append(f'    {{"{each.name}_{kind}", {len(each.point)}, {outputs}, {each.name}_at, {names}}},\n')
    return "".join([*parts, "static const struct task tasks[] = {\n", *tasks, "};\n", _BODY])


def _wrappers(function: str, inputs: int, outputs: int) -> list[str]:
    """The functions with named parameters, in the form of those with arrays."""
    one = ", ".join([*(f"in[{k}]" for k in range(inputs)), *(f"&out[{k}]" for k in range(outputs))])
    pairs = [f"in[{k}], in_stride[{k}]" for k in range(inputs)] + [f"out[{k}], out_stride[{k}]" for k in range(outputs)]
    return [
        f"static int {function}_one(const double *in, double *out)\n{{\n    return {function}({one});\n}}\n",
        f"static int {function}_named(size_t n, const double *const *in, const ptrdiff_t *in_stride,\n"
        "    double *const *out, const ptrdiff_t *out_stride)\n"
        f"{{\n    return {function}_batch(n, {', '.join(pairs)});\n}}\n",
    ]
