r"""What the less usual signs of a derivation mean; each is said where it occurs.

(sign that occurs, sentence)
"""

from __future__ import annotations

import re

LATEX_SIGNS: tuple[tuple[str, str], ...] = (
    (r"\odot ", r"$A \odot B$ is the product element by element"),
    (r"^{\odot", r"$A^{\odot p}$ is the power of every element"),
    (r"\oslash", r"$A \oslash B$ is the quotient element by element"),
    (
        r"\mathbf{1}",
        r"$\mathbf{1}_{n}$ is the column of $n$ ones, so that $b \, \mathbf{1}_{n}^{\top}$ repeats the column $b$ and "
        r"$\mathbf{1}_{n} \, b^{\top}$ the row $b^{\top}$, which is how a smaller array broadcasts against a larger "
        r"one, and $A \, \mathbf{1}_{n}$ sums every row of $A$",
    ),
    (r"\mathbf{0}", r"$\mathbf{0}$ is an array of zeros"),
    (r"I_{", r"$I_{n}$ is the identity matrix"),
    (
        r"\operatorname{diag}",
        r"$\operatorname{diag}$ of a vector, a column or a row is the matrix with it on its diagonal, of another "
        r"matrix its diagonal",
    ),
    (r"\operatorname{tr}", r"$\operatorname{tr}$ is the trace"),
    (r"\lVert", r"$\lVert \cdot \rVert$ is the square root of the sum of the squares of all elements"),
    (r"\rVert_{\mathrm{F}}", r"$\lVert A \rVert_{\mathrm{F}}$ is this norm, of a matrix"),
    (
        r"\operatorname{softmax}",
        r"$\operatorname{softmax}(u)_{i} = e^{u_{i}} / \sum_{j} e^{u_{j}}$, of a matrix along each row or each column "
        r"as the subscript says",
    ),
    (r"\operatorname{cumsum}", r"$\operatorname{cumsum}(u)_{i} = u_{1} + \cdots + u_{i}$"),
    (r"\operatorname{cumsum}^{\top}", r"$\operatorname{cumsum}^{\top}$ sums from the last element backwards"),
    (r"\operatorname{others}", r"$\operatorname{others}(u)_{i}$ is the product of all elements but $u_{i}$"),
    (r"\operatorname{cof}", r"$\operatorname{cof}(A)$ is the matrix of signed minors"),
    (
        r"\operatorname{chol}",
        r"$\operatorname{chol}(A)$ is the lower triangular $L$ with $L \, L^{\top} = A$, read off the lower triangle "
        r"of $A$",
    ),
    (
        r"\operatorname{chol}^{\ast}",
        r"$\operatorname{chol}^{\ast}(L, \bar{L})$ is the lower triangle of $P + P^{\top}$ with the diagonal of $P$, "
        r"where $P = L^{-\top} \, \Phi(L^{\top} \bar{L}) \, L^{-1}$ and $\Phi$ keeps the lower triangle and halves its "
        r"diagonal",
    ),
    (
        "{:}",
        r"$a{:}b$ in square brackets stands for the indices from $a$ up to and without $b$",
    ),
    (
        r"\operatorname{put}",
        r"$\operatorname{put}_{[a{:}b]}(u)$ is an array of zeros with $u$ in the places of the brackets",
    ),
    (r"\operatorname{reshape}", r"$\operatorname{reshape}$ takes the elements row by row into another shape"),
    (r"\operatorname{concat}", r"$\operatorname{concat}$ joins arrays along an axis"),
    (r"\operatorname{stack}", r"$\operatorname{stack}$ puts arrays side by side along a new axis"),
    (r"\operatorname{broadcast}", r"$\operatorname{broadcast}$ repeats an array to the shape below it"),
    (r"\operatorname{transpose}", r"$\operatorname{transpose}$ puts the axes in the order below it"),
    (r"\delta_{", r"$\delta_{ij}$ is $1$ for $i = j$ and $0$ otherwise"),
    ("^{-", r"$A^{-\top}$ is the transpose of $A^{-1}$"),
)

TEXT_SIGNS: tuple[tuple[str, str], ...] = (
    ("*", "a*b is the product element by element, a @ b the matrix product"),
    (".T", "A.T is the transpose"),
    ("outer(", "outer(a, b) is the matrix of all products a[i]*b[j]"),
    ("broadcast(", "broadcast(a, shape) repeats a to a shape"),
    (
        "diag(",
        "diag of a vector, a column or a row is the matrix with it on the diagonal, of another matrix its diagonal",
    ),
    ("eye(", "eye(n) is the identity matrix"),
    ("cofactor(", "cofactor(A) is the matrix of signed minors"),
    ("prod_others(", "prod_others(a)[i] is the product of all elements but a[i]"),
    ("cumsum_reverse(", "cumsum_reverse sums from the last element backwards"),
    ("put(", "put(a, shape, places) is an array of zeros with a in these places"),
    (
        "cholesky_adjoint(",
        "cholesky_adjoint(L, L_bar) is the lower triangle of P + P.T with the diagonal of P, where "
        "P = inv(L).T @ Phi(L.T @ L_bar) @ inv(L) and Phi keeps the lower triangle and halves its diagonal",
    ),
    ("einsum(", "einsum is the sum over the indices that stand left of the arrow only"),
    ("[:, None]", "a[:, None] is the column of a vector, a[None, :] its row"),
)


_COUNTED = "indices in square brackets count from $0$, as in the formula, and subscripts count from $1$"


def latex_definitions(content: str, kronecker: bool, indexed: bool = False) -> list[str]:
    """Sentences for the signs that occur in a document; `indexed` says that the formula has square brackets."""
    signs = [(sign, sentence) for sign, sentence in LATEX_SIGNS if kronecker or sign != r"\delta_{"]
    found = [sentence for sign, sentence in signs if sign in content]
    if not re.search(r"\^\{-\\top\}", content):
        found = [sentence for sentence in found if "A^{-\\top}" not in sentence]
    return [_COUNTED, *found] if indexed else found


def text_definitions(content: str) -> list[str]:
    """The same for plain text."""
    return [sentence for sign, sentence in TEXT_SIGNS if sign in content]


__all__ = ["latex_definitions", "text_definitions"]
