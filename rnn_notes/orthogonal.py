"""Orthogonal matrices: Gram-Schmidt, Householder reflections, and sampling without a preferred direction."""

import numpy as np

from rnn_notes._checks import (
    check_array,
    check_choice,
    check_fits,
    check_float_type,
    check_generator,
    check_matrix_shape,
)


def gram_schmidt(A, method="modified") -> tuple[np.ndarray, np.ndarray]:
    """Return Q with orthonormal columns and upper triangular R with A = Q R, by the Gram-Schmidt process.

    Each column loses what points along the columns before it, and is then made one long.

    Parameters
    ----------
    A : ndarray of shape (m, n)
        Columns to make orthonormal, m >= n, float32 or float64.
    method : {"modified", "classical"}
        "classical" projects each column as it was. "modified" projects what is left of it after each
        subtraction. Without rounding they agree. With condition number κ(A) and rounding unit u, QᵀQ - I is
        of the order u κ(A) for "modified" (Björck 1967), and in practice up to u κ(A)² for "classical"; the
        proof (Giraud et al. 2005) needs the diagonal of R to be computed in another way (Smoktunowicz et al.
        2006).

    Returns
    -------
    Q : ndarray of shape (m, n)
        Orthonormal columns.
    R : ndarray of shape (n, n)
        Upper triangular with a positive diagonal.

    Raises
    ------
    ValueError
        If a column depends on those before it: what is left of it is no more than rounding, 10 √n ε times its
        length. If those are nearly dependent themselves, rounding can hide that. Also if R is too large for
        the type of `A`.

    References
    ----------
    Å. Björck, "Solving linear least squares problems by Gram-Schmidt orthogonalization", BIT 7:1-21, 1967,
    https://doi.org/10.1007/BF01934122.

    L. Giraud, J. Langou, M. Rozložník, J. van den Eshof, "Rounding error analysis of the classical
    Gram-Schmidt orthogonalization process", Numerische Mathematik 101:87-100, 2005,
    https://doi.org/10.1007/s00211-005-0615-4.

    A. Smoktunowicz, J. L. Barlow, J. Langou, "A note on the error analysis of classical Gram-Schmidt",
    Numerische Mathematik 105:299-313, 2006.

    Examples
    --------
    >>> import numpy as np
    >>> from rnn_notes import gram_schmidt
    >>> Q, R = gram_schmidt(np.array([[3.0, 1.0], [4.0, 7.0]]))
    >>> Q
    array([[ 0.6, -0.8],
           [ 0.8,  0.6]])
    >>> R
    array([[5. , 6.2],
           [0. , 3.4]])
    """
    m, n = _check_tall(A)
    check_choice("method", method, ("modified", "classical"))
    scaled, exponents = _scale_columns(A)
    Q, R = np.zeros((m, n), A.dtype), np.zeros((n, n), A.dtype)
    rounding = 10 * n**0.5 * np.finfo(A.dtype).eps
    for j in range(n):
        v = scaled[:, j].copy()
        if method == "classical":
            R[:j, j] = Q[:, :j].T @ v  # all projections of the column as it was
            v -= Q[:, :j] @ R[:j, j]
        else:
            for i in range(j):
                R[i, j] = Q[:, i] @ v  # the projection of what is left
                v -= R[i, j] * Q[:, i]
        R[j, j] = np.linalg.norm(v)
        if R[j, j] <= rounding * np.linalg.norm(scaled[:, j]):
            raise ValueError(
                f"A must have independent columns, got column {j} that depends on those before it"
            )
        Q[:, j] = v / R[j, j]
    return Q, _unscale_columns(A, R, exponents)


def householder_qr(A) -> tuple[np.ndarray, np.ndarray]:
    """Return Q with orthonormal columns and upper triangular R with A = Q R, by Householder reflections.

    Reflection j makes column j zero below the diagonal. Q is the product of the reflections, so it is
    orthogonal up to rounding whatever A is. `numpy.linalg.qr` does the same, in LAPACK, and faster.

    Parameters
    ----------
    A : ndarray of shape (m, n)
        Any matrix with m >= n, float32 or float64.

    Returns
    -------
    Q : ndarray of shape (m, n)
        Orthonormal columns.
    R : ndarray of shape (n, n)
        Upper triangular. Its diagonal has LAPACK's signs: opposite to the entry that was there before the
        reflection, which avoids a difference of nearly equal numbers.

    Raises
    ------
    ValueError
        If R is too large for the type of `A`.

    References
    ----------
    A. S. Householder, "Unitary triangularization of a nonsymmetric matrix", Journal of the ACM 5(4):339-342,
    1958, https://doi.org/10.1145/320941.320947.

    Examples
    --------
    The first column of Q points against the first column of A: that is the sign that LAPACK leaves.

    >>> import numpy as np
    >>> from rnn_notes import householder_qr
    >>> A = np.array([[3.0, 1.0], [4.0, 7.0]])
    >>> Q, R = householder_qr(A)
    >>> Q
    array([[-0.6, -0.8],
           [-0.8,  0.6]])
    >>> bool(np.allclose(Q @ R, A)), bool(np.allclose(Q, np.linalg.qr(A).Q))
    (True, True)
    """
    m, n = _check_tall(A)
    R, exponents = _scale_columns(A)
    Q = np.eye(m, n, dtype=A.dtype)
    normals = []
    for j in range(n):
        column = R[j:, j]
        if column[1:].any():  # otherwise the column is ready, and the reflection is the identity
            normal = column / abs(column).max()
            normal[0] += np.copysign(np.linalg.norm(normal), normal[0])
            normal /= np.linalg.norm(normal)
            _reflect(R[j:, j:], normal)
            normals.append((j, normal))
    for j, normal in reversed(normals):
        _reflect(Q[j:, j:], normal)
    return Q, _unscale_columns(A, np.triu(R[:n]), exponents)


def random_orthogonal(shape, rng, *, dtype=np.float64) -> np.ndarray:
    """Return a random orthogonal matrix, uniformly distributed (Haar measure).

    Q from QR of a normal matrix alone is orthogonal, but not uniform: LAPACK's signs prefer some directions.
    Multiplied by the signs of the diagonal of R, it is (Mezzadri 2007).

    Parameters
    ----------
    shape : int or tuple of two ints
        n for (n, n), or (rows, columns). The columns are orthonormal if there are no more than rows;
        otherwise the rows are.
    rng : numpy.random.Generator
        The source of randomness.
    dtype : {numpy.float64, numpy.float32}
        Type of the result.

    Returns
    -------
    ndarray of shape (rows, columns)
        The matrix.

    References
    ----------
    F. Mezzadri, "How to generate random matrices from the classical compact groups", Notices of the AMS
    54(5):592-604, 2007, https://arxiv.org/abs/math-ph/0609050.

    Examples
    --------
    All eigenvalues lie on the unit circle.

    >>> import numpy as np
    >>> from rnn_notes import eigenvalues, random_orthogonal
    >>> Q = random_orthogonal(4, np.random.default_rng(0))
    >>> np.abs(eigenvalues(Q)).round(12), bool(np.allclose(Q.T @ Q, np.eye(4)))
    (array([1., 1., 1., 1.]), True)
    """
    rows, columns = check_matrix_shape("shape", shape)
    check_generator("rng", rng)
    dtype = check_float_type("dtype", dtype)
    normal = rng.standard_normal((max(rows, columns), min(rows, columns)), dtype)
    Q, R = np.linalg.qr(normal)
    Q *= np.copysign(1, np.diagonal(R))
    return Q if rows >= columns else np.ascontiguousarray(Q.T)


def _scale_columns(A):
    """Return A with each column divided by a power of two, so that no square overflows, and the exponents."""
    exponents = np.frexp(abs(A).max(axis=0))[1]
    return np.ldexp(A, -exponents), exponents


def _unscale_columns(A, R, exponents):
    """Return R for the columns of A, from R for the scaled ones; raise if it overflows."""
    with np.errstate(over="ignore"):
        return check_fits("A", A, "an R", np.ldexp(R, exponents))


def _reflect(rows, normal):
    """Reflect each column of `rows`, in place, in the plane with this unit normal."""
    rows -= np.outer(2 * normal, normal @ rows)


def _check_tall(A):
    """Return the shape (m, n) of A; raise unless it is a matrix with m >= n."""
    m, n = check_array("A", A, None, ("m", "n"))
    if m < n:
        raise ValueError(f"A must have shape (m, n) with m >= n, got {A.shape}")
    return m, n
