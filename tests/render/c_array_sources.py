"""C files around the array functions of generated code: exported for ctypes, and called from a C program."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from symdiff.render.c_array_helpers import NEEDS, array_helpers

STRICT = ("-std=c99", "-Wall", "-Wextra", "-Werror", "-ffp-contract=off", "-fPIC", "-shared")
VECTOR = ("exp", "log1p", "log")

HEAD = """\
#include <math.h>
#include <stddef.h>
typedef void (*t_gemm)(const char *ta, const char *tb, const int *m, const int *n, const int *k, const REAL *alpha,
    const REAL *a, const int *lda, const REAL *b, const int *ldb, const REAL *beta, REAL *c, const int *ldc);
#ifdef SYMDIFF_SIMD
#define SD_LOOP _Pragma("omp simd")
PROTOTYPES
#else
#define SD_LOOP
#endif
#if defined(__GNUC__)
#define SD_INLINE static inline __attribute__((always_inline, unused))
#define SD_CALLED static __attribute__((noinline))
#else
#define SD_INLINE static inline
#define SD_CALLED static
#endif
"""

CALLS = """
#define CALL(NAME) void c_##NAME(size_t o, size_t l, size_t i, const REAL *x, REAL *y) { sd_##NAME(o, l, i, x, y); }
CALL(amax) CALL(amin) CALL(prod) CALL(logsumexp) CALL(softmax) CALL(prod_others) CALL(cumsum) CALL(cumsum_reverse)
void c_exp_all(size_t n, const REAL *x, REAL *y) { sd_exp_all(n, x, y); }
void c_sum(size_t n, const REAL *x, REAL *y) { *y = sd_sum(n, x); }
void c_dot(size_t n, const REAL *x, const REAL *z, REAL *y) { *y = sd_dot(n, x, z); }
void c_inv(size_t n, const REAL *a, REAL *y, REAL *work) { sd_inv(n, a, y, work); }
void c_solve(size_t n, size_t m, const REAL *a, const REAL *b, REAL *y, REAL *work) { sd_solve(n, m, a, b, y, work); }
void c_det(size_t n, const REAL *a, REAL *y, REAL *work) { *y = sd_det(n, a, work); }
void c_logdet(size_t n, const REAL *a, REAL *y, REAL *work) { *y = sd_logdet(n, a, work); }
void c_cofactor(size_t n, const REAL *a, REAL *y, REAL *work) { sd_cofactor(n, a, y, work); }
void c_cholesky(size_t n, const REAL *a, REAL *y) { sd_cholesky(n, a, y); }
void c_cholesky_adjoint(size_t n, const REAL *l, const REAL *b, REAL *y) { sd_cholesky_adjoint(n, l, b, y, NULL); }
void c_gemm(t_gemm gemm, int ta, int tb, size_t m, size_t n, size_t k, const REAL *a, size_t lda,
    const REAL *b, size_t ldb, int add, REAL *c, size_t ldc)
{ sd_gemm(gemm, ta, tb, m, n, k, a, lda, b, ldb, add, c, ldc); }
void c_gemm_3(const REAL *a, const REAL *b, int add, REAL *c) { sd_gemm(NULL, 0, 1, 3, 3, 3, a, 3, b, 3, add, c, 3); }
#define LANES(M, N) void c_gemm_lanes_##M##_##N(size_t k, const REAL *a, size_t lda, const REAL *b, size_t ldb, \
    int add, REAL *c, size_t ldc) { sd_gemm(NULL, 1, 0, M, N, k, a, lda, b, ldb, add, c, ldc); }
LANES(1, 1) LANES(1, 8) LANES(3, 2) LANES(2, 3) LANES(5, 3) LANES(4, 4) LANES(16, 1)
#define TALL(N, K) void c_gemm_tall_##N##_##K(int ta, int tb, size_t m, const REAL *a, size_t lda, const REAL *b, \
    size_t ldb, int add, REAL *c, size_t ldc) \
{ \
    if (ta && tb) \
        sd_gemm(NULL, 1, 1, m, N, K, a, lda, b, ldb, add, c, ldc); \
    else if (ta) \
        sd_gemm(NULL, 1, 0, m, N, K, a, lda, b, ldb, add, c, ldc); \
    else if (tb) \
        sd_gemm(NULL, 0, 1, m, N, K, a, lda, b, ldb, add, c, ldc); \
    else \
        sd_gemm(NULL, 0, 0, m, N, K, a, lda, b, ldb, add, c, ldc); \
}
TALL(1, 1) TALL(2, 3) TALL(3, 2) TALL(7, 5) TALL(8, 8) TALL(16, 4)
void c_gemv(int ta, size_t m, size_t k, const REAL *a, size_t lda, const REAL *x, int add, REAL *y)
{ sd_gemv(ta, m, k, a, lda, x, add, y); }
void c_ger(size_t m, size_t n, const REAL *x, const REAL *y, int add, REAL *c) { sd_ger(m, n, x, y, add, c); }
"""

# Every function over arrays of exactly the elements that it may touch, many sizes and values.
DRIVER = """
#include <stdlib.h>
static REAL *array(size_t n, int fill)
{
    static const REAL values[] = {2, 0, -1, 3, -0.0, 1, 5, 1, -2, 4, 1, 0.5, 7, -3, 1, 6, 1};
    REAL *a = malloc(n * sizeof(REAL));
    if (a == NULL && n > 0)
        abort();
    for (size_t i = 0; i < n; ++i)
        a[i] = fill == 0 ? 0 : fill == 1 ? values[(i * i + 3 * i) % 17] : i % 5 == 1 ? (REAL)NAN
            : i % 7 == 2 ? (REAL)INFINITY : values[i % 17];
    return a;
}
static void fake(const char *ta, const char *tb, const int *m, const int *n, const int *k, const REAL *alpha,
    const REAL *a, const int *lda, const REAL *b, const int *ldb, const REAL *beta, REAL *c, const int *ldc)
{
    if (*m <= 0 || *n <= 0 || *k <= 0 || *lda < (*ta == 'N' ? *m : *k) || *ldb < (*tb == 'N' ? *k : *n) || *ldc < *m)
        abort();
    for (int j = 0; j < *n; ++j)
        for (int i = 0; i < *m; ++i) {
            REAL s = 0;
            for (int l = 0; l < *k; ++l)
                s += a[*ta == 'N' ? l * *lda + i : i * *lda + l] * b[*tb == 'N' ? j * *ldb + l : l * *ldb + j];
            c[j * *ldc + i] = *beta == 0 ? *alpha * s : *alpha * s + *beta * c[j * *ldc + i];
        }
}
static void views(int fill)
{
    typedef void view(size_t, size_t, size_t, const REAL *, REAL *);
    static view *const reduce[] = {c_amax, c_amin, c_prod, c_logsumexp};
    static view *const scan[] = {c_softmax, c_prod_others, c_cumsum, c_cumsum_reverse};
    static const size_t sizes[] = {0, 1, 2, 7, 8, 65, 130}, lengths[] = {0, 1, 3, 8, 17, 64, 65, 513, 1100};
    for (size_t o = 0; o < 7; ++o)
        for (size_t l = 0; l < 9; ++l)
            for (size_t i = 0; i < 7; ++i) {
                const size_t outer = sizes[o], length = lengths[l], inner = sizes[i], all = outer * length * inner;
                if (all > 100000)
                    continue;
                REAL *x = array(all, fill), *y = array(outer * inner, 0), *z = array(all, 0);
                for (int f = 0; f < 4; ++f) {
                    reduce[f](outer, length, inner, x, y);
                    scan[f](outer, length, inner, x, z);
                }
                free(x);
                free(y);
                free(z);
            }
}
static void matrices(int fill)
{
    for (size_t n = 0; n < 40; n += n < 9 ? 1 : 13)
        for (size_t m = 0; m < 140; m += m < 4 ? 1 : 63) {
            REAL *a = array(n * n, fill), *b = array(n * m, fill), *y = array(n * m, 0), *z = array(n * n, 0);
            REAL *work = array(n * n + n, 0), *wide = array(n * n + 2 * n, 0), one;
            c_solve(n, m, a, b, y, work);
            c_inv(n, a, z, work);
            c_det(n, a, &one, work);
            c_logdet(n, a, &one, work);
            c_cofactor(n, a, z, wide);
            c_cholesky(n, a, z);
            for (size_t i = 0; i < n * n; ++i)
                a[i] = i % (n + 1) == 0 ? (REAL)(n + 9) : (REAL)1 / (REAL)(1 + i % 3);
            c_cholesky(n, a, z);
            REAL *bar = array(n * n, 0);
            c_cholesky_adjoint(n, z, a, bar);
            c_inv(n, a, z, work);
            c_cofactor(n, a, z, wide);
            free(a), free(b), free(y), free(z), free(work), free(wide), free(bar);
        }
}
static void products(int fill)
{
    static const size_t sizes[] = {0, 1, 3, 4, 5, 16, 17, 33, 260};
    for (int c = 0; c < 9 * 9 * 9 * 16; ++c) {
        const size_t m = sizes[c / 16 % 9], n = sizes[c / 144 % 9], k = sizes[c / 1296 % 9], more = c / 8 % 2;
        const int ta = c % 2, tb = c / 2 % 2, add = c / 4 % 2;
        const size_t lda = (ta ? m : k) + more, ldb = (tb ? k : n) + more, ldc = n + more;
        const size_t rows_a = ta ? k : m, rows_b = tb ? n : k;
        if (m * n * k > 100000)
            continue;
        REAL *a = array(rows_a == 0 ? 0 : rows_a * lda - more, fill);
        REAL *b = array(rows_b == 0 ? 0 : rows_b * ldb - more, fill);
        REAL *y = array(m == 0 ? 0 : (m - 1) * ldc + n, 1);
        c_gemm(NULL, ta, tb, m, n, k, a, lda, b, ldb, add, y, ldc);
        c_gemm(fake, ta, tb, m, n, k, a, lda, b, ldb, add, y, ldc);
        free(a), free(b), free(y);
        if (n == 1) {
            a = array(m == 0 ? 0 : (m - 1) * (k + more) + k, fill);
            b = array(ta ? m : k, fill), y = array(ta ? k : m, 1);
            c_gemv(ta, m, k, a, k + more, b, add, y);
            free(a), free(b), free(y);
            a = array(m, fill), b = array(k, fill), y = array(m * k, 1);
            c_ger(m, k, a, b, add, y);
            if (m == k)
                c_dot(m, a, b, &(REAL){0});
            c_exp_all(m, a, a);
            free(a), free(b), free(y);
        }
    }
}
/* Of few columns: lengths around a block of rows. */
static void narrow(int fill)
{
    typedef void lanes(size_t, const REAL *, size_t, const REAL *, size_t, int, REAL *, size_t);
    typedef void tall(int, int, size_t, const REAL *, size_t, const REAL *, size_t, int, REAL *, size_t);
    static lanes *const few[] = {c_gemm_lanes_1_8, c_gemm_lanes_3_2, c_gemm_lanes_5_3, c_gemm_lanes_4_4,
        c_gemm_lanes_16_1};
    static tall *const many[] = {c_gemm_tall_2_3, c_gemm_tall_3_2, c_gemm_tall_7_5, c_gemm_tall_8_8, c_gemm_tall_16_4};
    static const size_t rows[] = {1, 3, 5, 4, 16}, columns[] = {8, 2, 3, 4, 1};
    static const size_t n[] = {2, 3, 7, 8, 16}, k[] = {3, 2, 5, 8, 4};
    for (int f = 0; f < 5; ++f)
        for (size_t m = 0; m < 70; ++m)
            for (int c = 0; c < 8; ++c) {
                const int ta = c % 2, tb = c / 2 % 2;
                REAL *a = array(m * rows[f], fill), *b = array(m * columns[f], fill);
                REAL *y = array(rows[f] * columns[f], 1);
                few[f](m, a, rows[f], b, columns[f], ta, y, columns[f]);
                free(a), free(b), free(y);
                a = array(m * k[f], fill), b = array(n[f] * k[f], fill), y = array(m * n[f], 1);
                many[f](ta, tb, m, a, ta ? m : k[f], b, tb ? k[f] : n[f], c / 4, y, n[f]);
                free(a), free(b), free(y);
            }
}
/* Of so many multiplications that they go to BLAS in parts. */
static void large(size_t m, size_t n, size_t k)
{
    for (int c = 0; c < 8; ++c) {
        const int ta = c % 2, tb = c / 2 % 2;
        REAL *a = array(m * k, 1), *b = array(k * n, 1), *y = array(m * n, 1);
        c_gemm(fake, ta, tb, m, n, k, a, ta ? m : k, b, tb ? k : n, c / 4, y, n);
        free(a), free(b), free(y);
    }
}
int main(void)
{
    REAL nine[9] = {1, 2, 3}, sum;
    c_gemm_3(nine, nine, 1, (REAL[9]){0});
    c_sum(9, nine, &sum);
    for (int fill = 0; fill < 3; ++fill) {
        views(fill);
        matrices(fill);
        products(fill);
        narrow(fill);
    }
    large(10, 9, 11200);
    large(21000, 5, 10);
    large(260, 11, 360);
    return 0;
}
"""


def source(dtype: str) -> str:
    real, suffix = ("float", "f") if dtype == "float32" else ("double", "")
    prototypes = "\n".join(
        f'extern {real} {name}{suffix}({real}) __attribute__((simd("notinbranch"), const));' for name in VECTOR
    )
    text = "\n\n".join(array_helpers(NEEDS, real, suffix, "t_gemm"))
    return re.sub(r"\bREAL\b", real, HEAD.replace("PROTOTYPES", prototypes)) + text + CALLS.replace("REAL", real)


def compiled(folder: Path, text: str, command: list[str]) -> None:
    (folder / "helpers.c").write_text(text)
    done = subprocess.run([*command[:1], "helpers.c", *command[1:]], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
