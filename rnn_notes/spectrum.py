"""Eigenvalues and what they say about growth: spectral radius, norm, powers, products of Jacobians.

A matrix is an array of shape (n, n), float32 or float64. Where (..., n, n) is said, a stack of matrices works
too, such as `RNN.step_jacobians` returns.
"""

from dataclasses import dataclass
from numbers import Complex

import numpy as np

from rnn_notes._checks import check_fits, check_integer, check_positive, check_square, shown


def eigenvalues(A) -> np.ndarray:
    """Return the eigenvalues of A, the largest in size first.

    Parameters
    ----------
    A : ndarray of shape (..., n, n)
        One matrix, or a stack of matrices.

    Returns
    -------
    ndarray of shape (..., n)
        Complex, in the precision of `A`. Of equal sizes, the larger real part comes first, and of a conjugate
        pair the one above the real axis.

    Raises
    ------
    ValueError
        If an eigenvalue is too large for the type of `A`.

    Examples
    --------
    A quarter turn has the eigenvalues i and -i: nothing keeps its direction.

    >>> import numpy as np
    >>> from rnn_notes import eigenvalues
    >>> eigenvalues(np.array([[0.0, -1.0], [1.0, 0.0]]))
    array([0.+1.j, 0.-1.j])
    >>> eigenvalues(np.array([[1.0, 1.0], [1.0, 1.0]])).round(12)
    array([2.+0.j, 0.+0.j])
    """
    values = _eigenvalues(A)
    values = values.astype(np.result_type(values, np.complex64))
    halves = abs(0.5 * values)  # the size of a finite complex number can overflow
    order = np.lexsort((-values.imag, -values.real, -halves))  # the last key decides first
    return np.take_along_axis(values, order, axis=-1)


def spectral_radius(A) -> np.floating | np.ndarray:
    """Return ρ(A), the largest absolute value of an eigenvalue.

    Parameters
    ----------
    A : ndarray of shape (..., n, n)
        One matrix, or a stack of matrices.

    Returns
    -------
    float or ndarray of shape (...)
        One number for each matrix.

    Raises
    ------
    ValueError
        If the radius is too large for the type of `A`.

    Examples
    --------
    ρ(A) decides what Aᵗ does for large t. It is at most ‖A‖₂, and can be far below: the first step stretches.

    >>> import numpy as np
    >>> from rnn_notes import spectral_norm, spectral_radius
    >>> A = np.array([[0.5, 10.0], [0.0, 0.5]])
    >>> float(spectral_radius(A)), float(spectral_norm(A).round(3))
    (0.5, 10.025)
    """
    return check_fits("A", A, "a spectral radius", abs(_eigenvalues(A)).max(axis=-1))


def spectral_norm(A) -> np.floating | np.ndarray:
    """Return ‖A‖₂, the most by which A stretches any vector; its largest singular value.

    Parameters
    ----------
    A : ndarray of shape (..., n, n)
        One matrix, or a stack of matrices.

    Returns
    -------
    float or ndarray of shape (...)
        One number for each matrix.

    Raises
    ------
    ValueError
        If the norm is too large for the type of `A`.

    Examples
    --------
    The determinant 0.1 says nothing about growth. The norm of a power does.

    >>> import numpy as np
    >>> from rnn_notes import matrix_powers, spectral_norm
    >>> A = np.diag([10.0, 0.01])
    >>> print(f"{np.linalg.det(A):.1f} {spectral_norm(matrix_powers(A, 20)[20]):.0e}")
    0.1 1e+20
    """
    check_square("A", A)
    with np.errstate(over="ignore"):
        return check_fits("A", A, "a spectral norm", np.linalg.norm(A, 2, axis=(-2, -1)))


def characteristic_polynomial(A) -> np.ndarray:
    """Return the coefficients of det(λI - A), the highest power first.

    By the method of Faddeev and Le Verrier: products and traces, no eigenvalues. Exact for small matrices of
    small whole numbers. Rounding grows fast with n: above n = 20 or so, use `eigenvalues`.

    Parameters
    ----------
    A : ndarray of shape (n, n)
        One matrix.

    Returns
    -------
    ndarray of shape (n + 1,)
        Coefficients, as `numpy.polyval` and `numpy.roots` take them. The first is 1. For even n the
        polynomial is det(A - λI); for odd n that is its negative. The roots are the eigenvalues.

    Raises
    ------
    ValueError
        If a coefficient is too large for the type of `A`.

    References
    ----------
    A. S. Householder, "The Theory of Matrices in Numerical Analysis", Blaisdell, 1964, section 6.7.

    Examples
    --------
    λ² - 2λ = λ (λ - 2): the eigenvalues are 2 and 0.

    >>> import numpy as np
    >>> from rnn_notes import characteristic_polynomial
    >>> p = characteristic_polynomial(np.array([[1.0, 1.0], [1.0, 1.0]]))
    >>> p, np.roots(p)
    (array([ 1., -2.,  0.]), array([2., 0.]))
    """
    n = _check_one("A", A)
    exponent = np.frexp(abs(A).max())[1]
    scaled = np.ldexp(A, -exponent)  # below 1, without rounding: no product overflows on the way
    identity, M, coefficients = np.eye(n), np.zeros((n, n)), np.ones(n + 1)
    for k in range(1, n + 1):
        M = scaled @ M + coefficients[k - 1] * identity
        coefficients[k] = np.trace(-scaled @ M) / k
    with np.errstate(over="ignore"):
        coefficients = np.ldexp(coefficients, exponent * np.arange(n + 1)).astype(A.dtype)
    return check_fits("A", A, "coefficients", coefficients)


def matrix_powers(A, t) -> np.ndarray:
    """Return A⁰, A¹, ..., Aᵗ.

    Parameters
    ----------
    A : ndarray of shape (n, n)
        One matrix.
    t : int
        The last power, at least 0.

    Returns
    -------
    ndarray of shape (t + 1, n, n)
        ``matrix_powers(A, t)[k]`` is Aᵏ. Where a power overflows, NumPy warns and the
        entries become infinity or NaN.

    Examples
    --------
    Both eigenvalues are 0.5. Still the power grows before it decays.

    >>> import numpy as np
    >>> from rnn_notes import matrix_powers
    >>> powers = matrix_powers(np.array([[0.5, 4.0], [0.0, 0.5]]), 8)
    >>> powers[:, 0, 1]
    array([0.    , 4.    , 4.    , 3.    , 2.    , 1.25  , 0.75  , 0.4375,
           0.25  ])
    """
    n = _check_one("A", A)
    powers = np.empty((check_integer("t", t, 0) + 1, n, n), A.dtype)
    powers[0] = np.eye(n)
    for k in range(t):
        powers[k + 1] = powers[k] @ A
    return powers


@dataclass(frozen=True)
class Motion:
    """What repeated multiplication with an eigenvalue λ does to its eigenvector.

    Attributes
    ----------
    size : {"growth", "decay", "steady"}
        For abs(λ) above, below, or at 1.
    turn : {"none", "oscillation", "rotation"}
        For λ > 0, for λ < 0, and for all other λ. λ = 0 does not turn.
    period : float
        Steps until the sign or the angle comes round: 2 for λ < 0, 2π/abs(arg λ) for a rotation, infinity if
        nothing turns.
    """

    size: str
    turn: str
    period: float


def classify(eigenvalue, tolerance=1e-9) -> Motion:
    """Say whether an eigenvalue grows, decays or keeps its size, and how it turns.

    Parameters
    ----------
    eigenvalue : float or complex
        λ, one number.
    tolerance : float
        How far abs(λ) may be from 1 and still be steady, and the angle from 0 or π and still be real. Take
        1e-5 for eigenvalues computed in float32.

    Returns
    -------
    Motion
        With attributes `size`, `turn` and `period`.

    Raises
    ------
    ValueError
        If `eigenvalue` is not finite, or too large for a float.

    Examples
    --------
    >>> from rnn_notes import classify
    >>> classify(1.2)
    Motion(size='growth', turn='none', period=inf)
    >>> classify(-0.5)
    Motion(size='decay', turn='oscillation', period=2.0)
    >>> classify(1j)
    Motion(size='steady', turn='rotation', period=4.0)
    """
    if not isinstance(eigenvalue, Complex) or isinstance(eigenvalue, bool):
        raise TypeError(f"eigenvalue must be one real or complex number, got {shown(eigenvalue)}")
    try:
        value = complex(eigenvalue)
    except OverflowError:  # an integer or a fraction beyond all floats, which may be too long to show
        kind = type(eigenvalue).__name__
        raise ValueError(
            f"eigenvalue must be at most {np.finfo(float).max:.2g} in size, got a larger {kind}"
        ) from None
    if not np.isfinite(value):
        raise ValueError(f"eigenvalue must be finite, got {eigenvalue!r}")
    tolerance = check_positive("tolerance", tolerance)
    radius, angle = np.abs(value), abs(np.angle(value))
    size = "steady" if abs(radius - 1) <= tolerance else "growth" if radius > 1 else "decay"
    if radius == 0 or angle <= tolerance:
        return Motion(size, "none", np.inf)
    if np.pi - angle <= tolerance:
        return Motion(size, "oscillation", 2.0)
    return Motion(size, "rotation", float(2 * np.pi / angle))


def henrici(A) -> np.floating | np.ndarray:
    """Return Henrici's departure from normality, √(‖A‖²_F - Σ abs(λ)²).

    It is 0 exactly for normal matrices, A Aᵀ = Aᵀ A: symmetric, orthogonal and such. Their powers grow by
    eigenvalues alone. The larger it is, the farther ‖Aᵗ‖₂ can rise above ρ(A)ᵗ.

    Parameters
    ----------
    A : ndarray of shape (..., n, n)
        One matrix, or a stack of matrices.

    Returns
    -------
    float or ndarray of shape (...)
        In the units of `A`. A difference of squares: for a normal matrix, rounding can leave 1e-7 ‖A‖_F.

    Raises
    ------
    ValueError
        If the departure is too large for the type of `A`.

    References
    ----------
    P. Henrici, "Bounds for iterates, inverses, spectral variation and fields of values of non-normal
    matrices", Numerische Mathematik 4:24-40, 1962, https://doi.org/10.1007/BF01386294.

    Examples
    --------
    The same eigenvalues, and all the difference is above the diagonal.

    >>> import numpy as np
    >>> from rnn_notes import henrici
    >>> normal, sheared = np.diag([0.5, 0.25]), np.array([[0.5, 3.0], [0.0, 0.25]])
    >>> float(henrici(normal)), float(henrici(sheared).round(9))
    (0.0, 3.0)
    """
    check_square("A", A)
    exponents = np.frexp(abs(A).max(axis=(-2, -1)))[1]
    scaled = np.ldexp(A, -exponents[..., None, None], dtype=float)  # below 1: a square cannot overflow
    squares = np.sum(scaled**2, axis=(-2, -1)) - np.sum(abs(np.linalg.eigvals(scaled)) ** 2, axis=-1)
    departure = np.sqrt(np.maximum(squares, 0))  # rounding can make the difference negative
    with np.errstate(over="ignore"):
        return check_fits("A", A, "a departure", np.ldexp(departure, exponents).astype(A.dtype))


def lyapunov_exponents(jacobians) -> np.ndarray:
    """Return the growth rates per step of a product of Jacobians, by repeated QR.

    The product itself overflows, and its columns all turn to the fastest direction. So each step multiplies
    an orthonormal basis, makes the result orthonormal again, Q R = J Q, and adds up the logarithms of diag R
    (Benettin et al. 1980).

    Parameters
    ----------
    jacobians : ndarray of shape (T, ..., n, n)
        The factors, the first step first, as `RNN.step_jacobians` returns them.

    Returns
    -------
    ndarray of shape (..., n)
        Exponents per step, the largest first. Above 0 is growth. A direction that a singular Jacobian erases,
        up to rounding as in `gram_schmidt`, has minus infinity. For large T, the sum of the k largest is the
        growth rate of k-dimensional volumes. For few steps the exponents depend on the basis at the start,
        here the coordinate axes; their sum does not.

    References
    ----------
    G. Benettin, L. Galgani, A. Giorgilli, J.-M. Strelcyn, "Lyapunov characteristic exponents for smooth
    dynamical systems and for Hamiltonian systems; a method for computing all of them", Meccanica 15:9-20 and
    21-30, 1980, https://doi.org/10.1007/BF02128236 and https://doi.org/10.1007/BF02128237.

    Examples
    --------
    For one matrix again and again they are the logarithms of the sizes of its eigenvalues.

    >>> import numpy as np
    >>> from rnn_notes import eigenvalues, lyapunov_exponents
    >>> A = np.array([[2.0, 5.0], [0.0, 0.5]])
    >>> lyapunov_exponents(np.tile(A, (1000, 1, 1))).round(2), np.log(abs(eigenvalues(A))).round(2)
    (array([ 0.69, -0.69]), array([ 0.69, -0.69]))
    """
    n = check_square("jacobians", jacobians)
    if jacobians.ndim < 3:
        raise ValueError(f"jacobians must have shape (T, ..., n, n), got {jacobians.shape}")
    largest = np.maximum(jacobians.max(axis=(-2, -1)), -jacobians.min(axis=(-2, -1)))
    exponents = np.frexp(largest)[1]
    # Next to the ends of the range, products leave it: down by no more than sums of n terms need, or the
    # smallest entries of the same matrix would vanish.
    shifts = np.clip(exponents, -900, 1020 - n.bit_length()) - exponents
    basis = np.broadcast_to(np.eye(n), jacobians.shape[1:])  # float64: a sum of many terms
    total = np.zeros(jacobians.shape[1:-1])
    for t, J in enumerate(jacobians):
        A = J @ np.ldexp(basis, shifts[t, ..., None, None])
        basis, R = np.linalg.qr(A)
        lengths = abs(np.diagonal(R, axis1=-2, axis2=-1))
        small = lengths <= 10 * n * np.finfo(A.dtype).eps * abs(R).max(axis=-2)
        for index in map(tuple, np.argwhere((small & (total > -np.inf)).any(axis=-1))):
            # In place of a column that depends on earlier ones, LAPACK puts an arbitrary direction, which the
            # columns after it lose. So it goes last, in this step and for all later ones.
            Q, exact = _orthonormalize(A[index])
            order = [*np.flatnonzero(exact), *np.flatnonzero(exact == 0)]
            basis[index], lengths[index], total[index] = Q[:, order], exact[order], total[index][order]
        with np.errstate(divide="ignore"):  # log 0 is minus infinity
            total += np.log(lengths)
    total -= np.log(2) * shifts.sum(axis=0)[..., None]
    return np.sort(total / len(jacobians))[..., ::-1].astype(jacobians.dtype)


def _orthonormalize(A):
    """Return Q and diag R of A = Q R by Gram-Schmidt, with zeros for columns that depend on earlier ones."""
    n = len(A)
    exponents = np.frexp(abs(A).max(axis=0))[1]
    A = np.ldexp(A, -exponents)  # columns of a size near 1, whose squares neither overflow nor vanish
    Q, lengths = np.zeros((n, n)), np.zeros(n)
    for j in range(n):
        v = column = A[:, j]
        for _ in range(2):  # once leaves rounding errors along the earlier columns
            v = v - Q[:, :j] @ (Q[:, :j].T @ v)
        length = np.linalg.norm(v)
        if length > 10 * n**0.5 * np.finfo(A.dtype).eps * np.linalg.norm(column):
            Q[:, j], lengths[j] = v / length, length
    return Q, np.ldexp(lengths, exponents)


def _eigenvalues(A):
    """Return the eigenvalues of A, one matrix or a stack, in LAPACK's order."""
    check_square("A", A)
    with np.errstate(over="ignore"):
        return check_fits("A", A, "eigenvalues", np.linalg.eigvals(A))


def _check_one(name, A):
    """Return n; raise unless `A` is one matrix of shape (n, n)."""
    n = check_square(name, A)
    if A.ndim != 2:
        raise ValueError(f"{name} must have shape (n, n), got {A.shape}")
    return n
