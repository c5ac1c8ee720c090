"""Eigenvalues, norms, powers and growth rates: theorems, closed forms, and figures that the pages print."""

from fractions import Fraction
from functools import cache
from itertools import combinations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from numerics import assert_close, every_wrong_array, memory_mapped, random_runs, seeds

from rnn_notes import (
    RNN,
    Motion,
    characteristic_polynomial,
    classify,
    eigenvalues,
    henrici,
    lyapunov_exponents,
    matrix_powers,
    spectral_norm,
    spectral_radius,
)

OF_STACKS = (eigenvalues, spectral_radius, spectral_norm, henrici)
OF_ONE = (characteristic_polynomial, lambda A: matrix_powers(A, 2))

sizes = st.integers(1, 6)
for_stacks = pytest.mark.parametrize("function", OF_STACKS)


def normal(*shape, seed=0):
    """Return a stack of normal matrices, scaled to a spectral radius near 1."""
    return np.random.default_rng(seed).standard_normal(shape) / np.sqrt(shape[-1])


def orthogonal(n, seed=0):
    return np.linalg.qr(normal(n, n, seed=seed)).Q


def rotation(angle):
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


def determinant(rows):
    """Return the determinant of a list of lists of integers, exactly, by expansion along the first row."""
    if not rows:
        return 1
    return sum(
        (-1) ** j * entry * determinant([row[:j] + row[j + 1 :] for row in rows[1:]])
        for j, entry in enumerate(rows[0])
    )


# The characteristic polynomial


@random_runs
@given(n=sizes, seed=seeds)
def test_eigenvalues_are_the_roots_of_the_characteristic_polynomial(n, seed):
    A = normal(n, n, seed=seed)
    values = np.polyval(characteristic_polynomial(A), eigenvalues(A))
    assert np.abs(values).max() <= 1e-13 * (2 * spectral_norm(A)) ** n


@random_runs
@given(n=sizes, seed=seeds)
def test_cayley_hamilton(n, seed):
    A = normal(n, n, seed=seed)
    powers = [np.linalg.matrix_power(A, k) for k in range(n, -1, -1)]
    value = sum(c * power for c, power in zip(characteristic_polynomial(A), powers, strict=True))
    assert np.abs(value).max() <= 1e-13 * (2 * spectral_norm(A)) ** n


@random_runs
@given(n=sizes, seed=seeds, point=st.floats(-3, 3))
def test_characteristic_polynomial_is_the_determinant(n, seed, point):
    A = normal(n, n, seed=seed)
    p = characteristic_polynomial(A)
    assert p.shape == (n + 1,)
    scale = (np.linalg.norm(A) + abs(point) + 1) ** n
    np.testing.assert_allclose(p, np.poly(A), atol=1e-13 * scale)
    assert np.polyval(p, point) == pytest.approx(np.linalg.det(point * np.eye(n) - A), abs=1e-13 * scale)
    assert p[0] == 1
    assert p[1] == pytest.approx(-np.trace(A), abs=1e-13 * scale)
    assert p[n] == pytest.approx((-1) ** n * np.linalg.det(A), abs=1e-13 * scale)


@random_runs
@given(data=st.data(), n=st.integers(1, 5))
def test_characteristic_polynomial_is_exact_for_small_integers(data, n):
    """The coefficients are the sums of the principal minors, with alternating signs."""
    row = st.lists(st.integers(-5, 5), min_size=n, max_size=n)
    rows = data.draw(st.lists(row, min_size=n, max_size=n))
    minors = lambda k: [[[rows[i][j] for j in kept] for i in kept] for kept in combinations(range(n), k)]  # noqa: E731
    expected = [(-1) ** k * sum(map(determinant, minors(k))) for k in range(n + 1)]
    for dtype in (np.float32, np.float64):
        np.testing.assert_array_equal(characteristic_polynomial(np.array(rows, dtype)), expected)


def test_characteristic_polynomial_of_the_reflection_of_the_lecture():
    s = 1 / np.sqrt(2)
    p = characteristic_polynomial(np.array([[s, -s], [-s, -s]]))
    np.testing.assert_allclose(p, [1, 0, -1], atol=1e-15)


# Eigenvalues, spectral radius, spectral norm


@random_runs
@given(n=sizes, seed=seeds)
def test_eigenvalues_are_sorted_and_have_eigenvectors(n, seed):
    A = normal(n, n, seed=seed)
    values = eigenvalues(A)
    assert values.shape == (n,) and values.dtype == complex
    assert (np.diff(abs(values)) <= 0).all()
    for k in np.flatnonzero(values.imag > 0):
        assert values[k + 1] == values[k].conj()
    assert np.count_nonzero(values.imag < 0) == np.count_nonzero(values.imag > 0)
    for value in values:
        smallest = np.linalg.svd(A - value * np.eye(n))[1][-1]
        assert smallest <= 1e-13 * np.linalg.norm(A)
    assert values.sum() == pytest.approx(np.trace(A), abs=1e-13 * n)
    assert np.prod(values) == pytest.approx(np.linalg.det(A), abs=1e-13 * np.linalg.norm(A) ** n)


@random_runs
@given(seed=seeds, order=st.permutations(range(4)))
def test_known_eigenvalues(seed, order):
    blocks = [np.array([[-3.0]]), 2 * rotation(2.0), np.array([[1.5]]), 0.5 * rotation(-0.3)]
    T = np.triu(normal(6, 6, seed=seed), 1)
    start = 0
    for block in (blocks[k] for k in order):
        end = start + len(block)
        T[start:end, start:end] = block
        start = end
    Q = orthogonal(6, seed)
    expected = [-3, 2 * np.exp(2j), 2 * np.exp(-2j), 1.5, 0.5 * np.exp(0.3j), 0.5 * np.exp(-0.3j)]
    np.testing.assert_allclose(eigenvalues(Q @ T @ Q.T), expected, atol=1e-10)


@pytest.mark.parametrize("A", [np.eye(3), np.diag([1.0, 2, 3]), np.zeros((1, 1))])
def test_real_eigenvalues_are_of_complex_type(A):
    assert eigenvalues(A).dtype == np.complex128
    assert eigenvalues(A.astype(np.float32)).dtype == np.complex64
    np.testing.assert_array_equal(eigenvalues(A), sorted(np.diag(A), reverse=True))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_eigenvalues_of_equal_size_are_sorted_by_the_real_part(dtype):
    A = np.array([[0, -1, 0, 0], [1, 0, 0, 0], [0, 0, -1, 0], [0, 0, 0, 1]], dtype)
    np.testing.assert_array_equal(eigenvalues(A), [1, 1j, -1j, -1])


@for_stacks
@pytest.mark.parametrize("n", [1, 2, 5])
def test_stacks_are_taken_one_by_one(function, n):
    A = normal(2, 3, n, n)
    together = function(A)
    assert together.shape[:2] == (2, 3)
    for index in np.ndindex(2, 3):
        np.testing.assert_allclose(together[index], function(A[index]), rtol=1e-12, atol=1e-14)


@random_runs
@given(n=sizes, seed=seeds)
def test_spectral_radius_is_the_limit_of_the_norms_of_powers(n, seed):
    """ρ ≤ ‖Aᵗ‖^(1/t) ≤ ρ κ(V)^(1/t), with the eigenvectors as columns of V."""
    A = normal(n, n, seed=seed)
    values, vectors = np.linalg.eig(A)
    radius, kappa = spectral_radius(A), np.linalg.cond(vectors)
    assert radius == pytest.approx(abs(values).max(), rel=1e-14)
    assert radius <= spectral_norm(A) * (1 + 1e-14)
    assume(kappa < 1e4)
    powers = matrix_powers(A / abs(values).max(), 500)
    for t in (1, 20, 500):
        assert 1 - 1e-11 <= spectral_norm(powers[t]) ** (1 / t) <= kappa ** (1 / t) + 1e-11
    assert kappa ** (1 / 500) < 1.02


@random_runs
@given(n=sizes, seed=seeds)
def test_spectral_norm_is_the_most_that_a_vector_is_stretched(n, seed):
    A = normal(n, n, seed=seed)
    vectors = np.random.default_rng(seed).standard_normal((n, 50))
    stretch = lambda v: np.linalg.norm(A @ v, axis=0) / np.linalg.norm(v, axis=0)  # noqa: E731
    norm = spectral_norm(A)
    assert stretch(vectors).max() <= norm * (1 + 1e-14)
    squares, directions = np.linalg.eigh(A.T @ A)
    assert stretch(directions)[-1] == pytest.approx(norm, rel=1e-13)
    assert np.sqrt(squares[-1]) == pytest.approx(norm, rel=1e-13)
    assert norm == pytest.approx(np.linalg.svd(A)[1][0], rel=1e-14)


@pytest.mark.parametrize("function", [spectral_radius, spectral_norm, henrici])
@pytest.mark.parametrize("scale", [2.0**-700, 2.0**-100, 2.0**100, 2.0**700])
def test_sizes_scale_with_the_matrix(function, scale):
    A = np.array([[3.0, 5.0], [0.0, -2.0]])
    assert function(A * scale) == pytest.approx(function(A) * scale, rel=1e-13)


# A matrix of small integers, times a power of two that leads to either end of a type's range.
every_end = pytest.mark.parametrize("end", ["largest", "smallest"])
every_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def exponent_of(end, dtype):
    """Return the exponent that makes 7 nearly the largest number, or 1 a number of five bits."""
    info = np.finfo(dtype)
    return info.maxexp - 3 if end == "largest" else info.minexp - info.nmant + 4


@every_end
@every_dtype
@for_stacks
def test_sizes_scale_to_the_ends_of_the_range(function, dtype, end):
    A = np.array([[[3, 5], [0, -2]], [[1, 2], [-2, 1]], [[3, 5], [0, -2]]], dtype)
    exponent = exponent_of(end, dtype)
    exponents = np.array([exponent, exponent, 0])
    expected = (function(A.astype(float)).T * 2.0**exponents).T
    actual = function(np.ldexp(A, exponents[:, None, None]))
    assert actual.dtype == function(A).dtype
    info = np.finfo(dtype)
    np.testing.assert_allclose(actual, expected, rtol=10 * info.eps, atol=2 * float(info.smallest_subnormal))


@every_dtype
def test_eigenvalues_are_sorted_by_size_where_the_size_overflows(dtype):
    large = 0.75 * np.finfo(dtype).max
    A = np.diag(np.array([large, 0, 0, 1], dtype))
    A[1:3, 1:3] = [[large, -large], [large, large]]
    expected = np.array([1 + 1j, 1 - 1j, 1, 1 / large]) * float(large)
    np.testing.assert_allclose(eigenvalues(A), expected, rtol=10 * np.finfo(dtype).eps)


@every_dtype
@pytest.mark.parametrize(
    ("function", "rows", "what"),
    [
        (eigenvalues, [[1, 1], [1, 1]], "eigenvalues"),
        (spectral_radius, [[1, 1], [1, 1]], "eigenvalues"),
        (spectral_radius, [[0.75, -0.75], [0.75, 0.75]], "a spectral radius"),
        (spectral_norm, [[1, 1], [1, 1]], "a spectral norm"),
        (henrici, [[0, 1, 1], [0, 0, 1], [0, 0, 0]], "a departure"),
        (characteristic_polynomial, [[1, 0], [0, 1]], "coefficients"),
    ],
)
def test_what_does_not_fit_into_the_type_is_refused(function, rows, what, dtype):
    A = np.array(rows, dtype) * np.finfo(dtype).max
    with pytest.raises(ValueError) as caught:
        function(A)
    assert str(caught.value) == f"A must have {what} within {A.dtype}, got entries up to {A.max():.2g}"


@every_dtype
def test_coefficients_that_fit_come_out_where_the_products_do_not(dtype):
    half = 2.0 ** (np.finfo(dtype).maxexp - 1)
    nilpotent = np.array([[half, half], [-half, -half]], dtype)
    np.testing.assert_array_equal(characteristic_polynomial(nilpotent), [1, 0, 0])
    np.testing.assert_array_equal(characteristic_polynomial(np.diag(nilpotent[0] * [1, 0])), [1, -half, 0])
    root = 2.0 ** (np.finfo(dtype).maxexp // 2)
    A = np.array([[root, root], [-root / 4, root / 4]], dtype)  # the determinant is half
    np.testing.assert_array_equal(characteristic_polynomial(A), [1, -1.25 * root, half])
    tiny = np.finfo(dtype).smallest_subnormal
    np.testing.assert_array_equal(characteristic_polynomial(np.diag([3 * tiny, tiny])), [1, -4 * tiny, 0])


# Powers


@random_runs
@given(n=sizes, seed=seeds, t=st.integers(0, 20))
def test_powers(n, seed, t):
    A = normal(n, n, seed=seed)
    powers = matrix_powers(A, t)
    assert powers.shape == (t + 1, n, n)
    for k in range(t + 1):
        np.testing.assert_allclose(
            powers[k], np.linalg.matrix_power(A, k), rtol=0, atol=1e-14 * spectral_norm(A) ** k * (k + 1)
        )


def test_powers_start_at_the_identity():
    for t in (0, np.int8(3)):
        np.testing.assert_array_equal(matrix_powers(np.zeros((2, 2)), t)[0], np.eye(2))
    np.testing.assert_array_equal(matrix_powers(np.array([[2.0]]), 10).ravel(), 2.0 ** np.arange(11))


def test_determinant_decides_nothing():
    A = np.diag([10.0, 0.01])
    assert np.linalg.det(A) == pytest.approx(0.1)
    assert spectral_norm(matrix_powers(A, 20)[20]) == pytest.approx(1e20)


# Motion


@pytest.mark.parametrize(
    ("eigenvalue", "size", "turn", "period"),
    [
        (2.0, "growth", "none", np.inf),
        (0.5, "decay", "none", np.inf),
        (1, "steady", "none", np.inf),
        (-2.0, "growth", "oscillation", 2),
        (-0.5, "decay", "oscillation", 2),
        (-1, "steady", "oscillation", 2),
        (0, "decay", "none", np.inf),
        (-0.0, "decay", "none", np.inf),
        (complex(-0.0, -0.0), "decay", "none", np.inf),
        (complex(1, -0.0), "steady", "none", np.inf),
        (complex(-1, -0.0), "steady", "oscillation", 2),
        (1j, "steady", "rotation", 4),
        (-1j, "steady", "rotation", 4),
        (1 + 1j, "growth", "rotation", 8),
        (-0.1 + 0.1j, "decay", "rotation", 8 / 3),
        (1e-300j, "decay", "rotation", 4),
        (np.float32(0.5), "decay", "none", np.inf),
        (np.complex64(-1), "steady", "oscillation", 2),
        (np.complex64(2j), "growth", "rotation", 4),
        (np.int64(-3), "growth", "oscillation", 2),
        (np.int8(-128), "growth", "oscillation", 2),
        (Fraction(1, 2), "decay", "none", np.inf),
        (2**70, "growth", "none", np.inf),
        (complex(1.7e308, 1.7e308), "growth", "rotation", 8),
    ],
)
def test_motion(eigenvalue, size, turn, period):
    motion = classify(eigenvalue)
    assert motion == Motion(size, turn, pytest.approx(period))
    assert type(motion.period) is float


@random_runs
@given(size=st.floats(1e-3, 1e3), angle=st.floats(1e-6, np.pi - 1e-6))
def test_conjugates_move_alike(size, angle):
    value = size * np.exp(1j * angle)
    assert classify(value) == classify(value.conjugate())
    assert classify(value).period == pytest.approx(2 * np.pi / angle)
    assert classify(size).size == classify(-size).size


@pytest.mark.parametrize("k", range(3, 30))
def test_period_of_a_rotation(k):
    A = rotation(2 * np.pi / k)
    motions = [classify(value) for value in eigenvalues(A)]
    assert motions == [Motion("steady", "rotation", pytest.approx(k))] * 2
    powers = matrix_powers(A, k)
    np.testing.assert_allclose(powers[k], np.eye(2), atol=1e-13)
    assert min(np.abs(power - np.eye(2)).max() for power in powers[1:k]) > 0.1


@random_runs
@given(n=sizes, seed=seeds)
def test_eigenvalues_of_an_orthogonal_matrix_are_steady(n, seed):
    Q = orthogonal(n, seed)
    motions = [classify(value) for value in eigenvalues(Q)]
    motions += [classify(value, tolerance=1e-5) for value in eigenvalues(Q.astype(np.float32))]
    assert {motion.size for motion in motions} == {"steady"}
    if n % 2:
        assert {motion.turn for motion in motions} & {"none", "oscillation"}


def test_tolerance_includes_its_end():
    assert classify(1.5, tolerance=0.5).size == classify(0.5, tolerance=0.5).size == "steady"
    value = 1 + 1j
    for tolerance, turns in ((np.pi / 4, "none"), (0.78, "rotation")):
        assert classify(value, tolerance).turn == turns
        assert classify(-value.conjugate(), tolerance).turn == {"none": "oscillation"}.get(turns, turns)


def test_tolerance():
    assert classify(1 + 1e-3, tolerance=1e-2).size == classify(1 - 1e-3, tolerance=1e-2).size == "steady"
    assert (classify(1 + 1e-3).size, classify(1 - 1e-3).size) == ("growth", "decay")
    assert (classify(1 + 2e-9).size, classify(1 + 5e-10).size) == ("growth", "steady")
    assert classify(np.exp(1e-3j), tolerance=1e-2).turn == "none"
    assert classify(-np.exp(-1e-3j), tolerance=1e-2).turn == "oscillation"
    assert classify(np.exp(1e-3j)).turn == classify(-np.exp(1e-3j)).turn == "rotation"


# Departure from normality


@random_runs
@given(n=sizes, seed=seeds)
def test_henrici_of_a_normal_matrix_is_zero(n, seed):
    A = normal(n, n, seed=seed)
    for normal_matrix in (A + A.T, A - A.T, orthogonal(n, seed), np.diag(A[0]), np.eye(n) + 3 * (A - A.T)):
        departure = henrici(normal_matrix)
        assert 0 <= departure <= 1e-7 * np.linalg.norm(normal_matrix)
    single = (A + A.T).astype(np.float32)  # still symmetric
    assert henrici(single) <= 1e-7 * np.linalg.norm(single)


@random_runs
@given(n=sizes, seed=seeds)
def test_henrici_is_the_size_of_the_triangle_above_the_diagonal(n, seed):
    A = np.triu(normal(n, n, seed=seed))
    above = np.linalg.norm(np.triu(A, 1))
    bound = 1e-7 * np.linalg.norm(A)
    assert henrici(A) == pytest.approx(above, abs=bound)
    Q = orthogonal(n, seed + 1)
    assert henrici(Q @ A @ Q.T) == pytest.approx(above, abs=bound)


# Lyapunov exponents


@random_runs
@given(T=st.integers(1, 6), n=st.integers(1, 4), seed=seeds)
def test_exponents_are_the_growth_rates_of_volumes(T, n, seed):
    """Multiplied out, the product stretches the first k axes to the volume |R₁₁ ... Rₖₖ|."""
    J = normal(T, n, n, seed=seed)
    product = np.linalg.multi_dot([*J[::-1], np.eye(n)])
    R = np.linalg.qr(product).R
    assume(np.linalg.cond(product) < 1e6)
    expected = np.sort(np.log(abs(np.diag(R))) / T)[::-1]
    exponents = lyapunov_exponents(J)
    np.testing.assert_allclose(exponents, expected, atol=1e-9)
    mean = np.linalg.slogdet(J).logabsdet.mean()
    assert exponents.sum() == pytest.approx(mean, abs=1e-9)


def test_exponents_of_a_network():
    rng = np.random.default_rng(0)
    rnn = RNN(rng.standard_normal((3, 2)), rng.standard_normal((3, 3)), np.zeros(3))
    h = rnn.forward(rng.standard_normal((3, 4, 2)))
    R = np.linalg.qr(rnn.jacobian_product(h, 0, 3)).R
    expected = np.sort(np.log(abs(np.diagonal(R, axis1=1, axis2=2))) / 3)[:, ::-1]
    np.testing.assert_allclose(lyapunov_exponents(rnn.step_jacobians(h)), expected, rtol=1e-8)


def test_exponents_of_one_matrix_are_the_logarithms_of_its_eigenvalues():
    T, n = 1000, 4
    Q = np.stack([orthogonal(n, seed) for seed in range(20)])
    above = np.triu(normal(20, n, n), 1)
    above[:, 1, 2] = 0  # the rotation in the middle needs its own entries
    A = Q @ (np.diag([-2.0, 0, 0, 0.5]) + above + np.pad(rotation(1.0), 1)) @ Q.swapaxes(-2, -1)
    A /= 1.2
    expected = np.log(np.array([2, 1, 1, 0.5]) / 1.2)
    np.testing.assert_allclose(np.log(abs(eigenvalues(A))), np.tile(expected, (20, 1)), atol=1e-10)
    errors = [
        np.abs(lyapunov_exponents(np.broadcast_to(A, (steps, *A.shape))) - expected).max(axis=-1)
        for steps in (T, 2 * T)
    ]
    assert errors[0].max() < 10 / T
    assert errors[1].max() < 0.6 * errors[0].max()  # the start is forgotten as 1/T


@random_runs
@given(T=st.integers(1, 30), n=st.integers(1, 5), seed=seeds)
def test_exponents_of_diagonal_matrices_are_means_of_logarithms(T, n, seed):
    diagonals = np.random.default_rng(seed).standard_normal((T, n)) * 10.0 ** np.arange(n)
    J = diagonals[:, :, None] * np.eye(n)
    expected = np.sort(np.log(abs(diagonals)).mean(axis=0))[::-1]
    np.testing.assert_allclose(lyapunov_exponents(J), expected, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_exponents_of_orthogonal_matrices_are_zero(dtype):
    J = np.stack([orthogonal(5, seed) for seed in range(50)]).astype(dtype)
    assert np.abs(lyapunov_exponents(J)).max() < 10 * np.finfo(dtype).eps


def test_exponents_of_a_stack_are_those_of_each_sequence():
    J = normal(20, 2, 3, 4, 4)
    together = lyapunov_exponents(J)
    assert together.shape == (2, 3, 4)
    for index in np.ndindex(2, 3):
        alone = lyapunov_exponents(J[:, *index])
        assert alone.shape == (4,)
        np.testing.assert_allclose(together[index], alone, rtol=1e-12)


def test_exponents_do_not_overflow():
    J = np.tile(np.diag([1e200, 1e-200]), (50, 1, 1))
    np.testing.assert_allclose(lyapunov_exponents(J), np.log([1e200, 1e-200]), rtol=1e-14)


@pytest.mark.parametrize("n", [2, 3, 100])
def test_exponents_of_entries_at_both_ends_of_the_range(n):
    """A matrix that is not singular erases nothing, and a full one of the largest float does not overflow."""
    sizes = np.ones(n)
    sizes[[0, -1]] = 1.5e308, 1e-310
    exponents = lyapunov_exponents(np.tile(np.diag(sizes), (5, 1, 1)))
    np.testing.assert_allclose(exponents, np.log(sizes), rtol=1e-11, atol=1e-11)
    largest = np.finfo(float).max
    full = lyapunov_exponents(np.full((5, n, n), largest))
    growth = np.log(largest) + 0.9 * np.log(n)  # one step of √n, from an axis, and four of n
    assert full[0] == pytest.approx(growth, rel=1e-14)
    np.testing.assert_array_equal(full[1:], -np.inf)


@every_end
@every_dtype
def test_exponents_at_the_ends_of_the_range(dtype, end):
    J = np.random.default_rng(0).integers(-7, 8, (30, 3, 4, 4)).astype(dtype)
    J[:, 2] = -abs(J[:, 2])
    exponent = exponent_of(end, dtype)
    expected = lyapunov_exponents(J.astype(float)) + np.log(2) * exponent
    np.testing.assert_allclose(
        lyapunov_exponents(np.ldexp(J, exponent)), expected, rtol=4 * np.finfo(dtype).eps
    )
    if dtype is np.float64:
        turns = np.where(np.arange(30) % 2, exponent, -10)[:, None, None, None]
        expected = lyapunov_exponents(J) + np.log(2) * turns.mean()
        np.testing.assert_allclose(lyapunov_exponents(np.ldexp(J, turns)), expected, rtol=1e-14)


# Singular Jacobians in turn, and the exponents that are above minus infinity.
every_singular_sequence = pytest.mark.parametrize(
    ("factors", "finite"),
    [
        ([[[0, 0], [0, 0]]], []),
        ([[[2, 0], [0, 0]]], [np.log(2)]),
        ([[[0, 0], [0, 2]]], [np.log(2)]),
        ([[[0, 1], [0, 0]]], []),
        ([[[0, 1], [0, 0]], [[0, 0], [1, 0]]], [0]),
        ([[[1, 1], [1, 1]]], [np.log(2)]),
        ([[[0, 0, 0], [1, 3, 2], [1, 2, 3]]], [np.log(5), 0]),
        ([[[3, 1, 2], [0, 0, 0], [2, 1, 3]]], [np.log(5), 0]),
        ([[[2, 0, 1], [1, 0, 1], [1, 0, 2]]], [np.log(3), 0]),
    ],
    ids=lambda value: str(value).replace(" ", "") if isinstance(value, list) else None,
)


@every_singular_sequence
def test_exponents_of_singular_matrices_above_minus_infinity(factors, finite):
    J = np.tile(np.array(factors, float), (300, 1, 1))
    exponents = lyapunov_exponents(J)
    np.testing.assert_allclose(exponents[: len(finite)], finite, atol=10 / 300)


@every_singular_sequence
def test_exponents_of_singular_matrices_end_in_minus_infinity(factors, finite):
    J = np.tile(np.array(factors, float), (300, 1, 1))
    np.testing.assert_array_equal(lyapunov_exponents(J)[len(finite) :], -np.inf)


@pytest.mark.parametrize(
    ("J", "lengths"),
    [
        ([[1, 1, 1], [0, 0, 1], [0, 0, 0]], [1, 1, 0]),
        ([[0, 3, 3], [0, 0, 0], [0, 0, 4]], [4, 3, 0]),
        ([[2, 2, 4], [0, 0, 0], [0, 0, 0]], [2, 0, 0]),
        ([[1e200, 0, 1e200], [0, 1e-200, 0], [0, 0, 0]], [1e200, 1e-200, 0]),
        ([[1e-200, 0, 1e-200], [0, 1e200, 0], [0, 0, 0]], [1e200, 1e-200, 0]),
    ],
)
def test_one_singular_step_has_the_lengths_of_gram_schmidt(J, lengths):
    with np.errstate(divide="ignore"):
        np.testing.assert_allclose(
            lyapunov_exponents(np.array([J], float)), np.log(lengths), rtol=1e-15, atol=1e-15
        )


def test_singular_sequences_of_a_stack_do_not_touch_each_other():
    factors = np.array(
        [[[0, 0], [0, 2]], [[0, 1], [0, 0]], [[1, 1], [1, 1]], [[3, 1], [1, 2]], [[0, 0], [0, 0]]]
    )
    J = np.tile(factors.astype(float), (300, 1, 1, 1))
    J[0, 0] = J[7, 2] = [[3, 1], [1, 2]]  # not singular at the same time
    together = lyapunov_exponents(J)
    assert (together[:, 1] == -np.inf).tolist() == [True, True, True, False, True]
    for number in range(len(factors)):
        np.testing.assert_allclose(together[number], lyapunov_exponents(J[:, number]), rtol=1e-14)


@random_runs
@given(n=st.integers(2, 5), seed=seeds, data=st.data())
def test_exponents_of_a_subspace_remain_when_the_rest_is_erased(n, seed, data):
    """Behind a projection, what is left grows as if the projected coordinates had never been."""
    kept = sorted(data.draw(st.sets(st.integers(0, n - 1), max_size=n)))
    J = normal(40, n, n, seed=seed)
    projection = np.diag(np.isin(range(n), kept).astype(float))
    exponents = lyapunov_exponents(projection @ J @ projection)
    np.testing.assert_array_equal(exponents[len(kept) :], -np.inf)
    if kept:
        alone = lyapunov_exponents(J[:, kept][:, :, kept])
        np.testing.assert_allclose(exponents[: len(kept)], alone, atol=1e-9)


@pytest.mark.parametrize("n", [2, 100])
def test_what_is_left_of_a_direction_is_rounding_up_to_a_length(n):
    """10 √n ε times the length of the column, as in `gram_schmidt`; in each of four sequences."""
    limit = 10 * n**0.5 * np.finfo(float).eps
    J = np.tile(np.eye(n), (1, 4, 1, 1))
    J[..., :-1, -1] = 1 / (n - 1) ** 0.5
    J[..., -1, -1] = 1.05 * limit
    np.testing.assert_allclose(lyapunov_exponents(J)[:, -1], np.log(1.05 * limit), rtol=1e-12)
    J[0, 2, -1, -1] = 0.95 * limit
    assert np.flatnonzero(lyapunov_exponents(J)[:, -1] == -np.inf) == [2]


def test_one_singular_step_is_enough_for_minus_infinity():
    J = np.stack([orthogonal(3, seed) for seed in range(100)])
    J[50] -= np.outer(J[50] @ J[7, 0], J[7, 0])  # a projection first
    assert np.linalg.matrix_rank(J[50]) == 2
    exponents = lyapunov_exponents(J)
    assert np.abs(exponents[:2]).max() < 0.1
    assert exponents[2] == -np.inf


# Closed forms and measured figures, with bounds of about five standard errors


@cache
def normal_spectra(n, draws):
    return eigenvalues(normal(draws, n, n, seed=n))


def test_gaussian_products_grow_at_the_lyapunov_rate():
    """The squares of R's diagonal are chi-squared, with n, n - 1, ..., 1 degrees of freedom (Newman 1986)."""
    euler = 0.5772156649015329
    digamma = np.array([1 - euler, 2 - euler - 2 * np.log(2), -euler, -euler - 2 * np.log(2)])
    trigamma = np.array([np.pi**2 / 6 - 1, np.pi**2 / 2 - 4, np.pi**2 / 6, np.pi**2 / 2])
    expected = (np.log(2) + digamma) / 2
    assert expected[0].round(3) == 0.558
    T, B = 300, 30
    J = np.random.default_rng(0).standard_normal((T, B, 4, 4))
    error = lyapunov_exponents(J).mean(axis=0) - expected
    assert (np.abs(error) < 5 * np.sqrt(trigamma / 4 / (T * B))).all()
    np.testing.assert_allclose(lyapunov_exponents(0.5 * J), lyapunov_exponents(J) - np.log(2), atol=1e-12)


def test_eigenvalues_do_not_decide_explosion():
    """All eigenvalues of the weights are 0, and at an unstable fixed point the gradient doubles each step."""
    W_h, state = np.array([[8.0, 8.0], [-8.0, -8.0]]), np.array([0.0, 0.5])
    np.testing.assert_array_equal(characteristic_polynomial(W_h), [1, 0, 0])
    np.testing.assert_allclose(eigenvalues(W_h), [0, 0], atol=1e-6)  # √eps: the eigenvalue 0 is double
    rnn = RNN(np.ones((2, 1)), W_h, np.arctanh(state) - W_h @ state)
    assert_close(rnn.forward(np.zeros((3, 1, 1)), state[None])[:, 0], np.tile(state, (4, 1)), rtol=1e-13)

    h = np.tile(state, (31, 1, 1))
    J = rnn.step_jacobians(h)[:, 0]
    np.testing.assert_allclose(J[0] @ J[0], 2 * J[0])
    norms = [spectral_norm(rnn.jacobian_product(h, 0, t))[0] for t in range(1, 31)]
    np.testing.assert_allclose(norms, 2.0 ** np.arange(30) * np.sqrt(200))
    assert (norms[0].round(3), f"{norms[-1]:.2e}") == (14.142, "7.59e+09")
    assert lyapunov_exponents(J)[0] == pytest.approx(np.log(2), abs=5 / 30)

    h = rnn.forward(np.zeros((60, 1, 1)), state[None] + 1e-6)
    assert spectral_norm(rnn.jacobian_product(h, 0, 10))[0] == pytest.approx(7.1e3, rel=0.01)
    assert spectral_norm(rnn.jacobian_product(h, 0, 60))[0] < 1e-30


def test_dominant_eigenvalue_of_a_small_gaussian_matrix_is_often_complex():
    draws = 20_000
    values = normal_spectra(5, draws)
    all_real = np.mean((values.imag == 0).all(axis=1))
    assert all_real == pytest.approx(2**-5, abs=5 * np.sqrt(2**-5 / draws))  # 2^(-n(n-1)/4), Edelman (1997)
    dominant_complex = np.mean(values[:, 0].imag != 0)
    assert dominant_complex == pytest.approx(0.43, abs=0.005 + 5 * np.sqrt(0.43 * 0.57 / draws))


def test_ratio_of_norms_settles_only_for_a_real_dominant_eigenvalue():
    A = normal(300, 5, 5)
    values = eigenvalues(A)
    dominant = np.where(values[:, 0].imag == 0, 1, 2)
    gap = abs(values[range(300), dominant]) < 0.9 * abs(values[:, 0])
    h, ratios = np.ones((300, 5, 1)), []
    for _ in range(300):
        h = A @ h
        ratios.append(np.linalg.norm(h, axis=1)[:, 0])
        h /= ratios[-1][:, None, None]
    low, high = np.min(ratios[250:], axis=0), np.max(ratios[250:], axis=0)
    settles = (dominant == 1) & gap
    np.testing.assert_allclose(high[settles], spectral_radius(A)[settles], rtol=1e-9)
    np.testing.assert_allclose(low[settles], spectral_radius(A)[settles], rtol=1e-9)
    assert (high / low)[(dominant == 2) & gap].min() > 1.01
    assert min(settles.sum(), ((dominant == 2) & gap).sum()) > 80


@pytest.mark.parametrize(
    ("n", "draws", "mean", "deviation"), [(32, 400, 1.060, 0.078), (100, 10, 1.052, 0.039)]
)
def test_circular_law(n, draws, mean, deviation):
    radii = abs(normal_spectra(n, draws)[:, 0])
    assert radii.mean() == pytest.approx(mean, abs=5 * deviation / np.sqrt(draws))
    assert radii.std() == pytest.approx(deviation, rel=5 / np.sqrt(2 * draws))


@pytest.mark.parametrize(("n", "draws", "expected"), [(32, 400, 4.96), (64, 200, 6.85), (100, 10, 8.45)])
def test_expected_number_of_real_eigenvalues(n, draws, expected):
    """Edelman, Kostlan and Shub (1994); the variance is about 2 - √2 times the mean."""
    assert np.sqrt(2 * n / np.pi) * (1 - 3 / (8 * n)) + 0.5 == pytest.approx(expected, abs=0.005)
    error = np.sqrt((2 - np.sqrt(2)) * expected / draws)
    assert (normal_spectra(n, draws).imag == 0).sum(axis=1).mean() == pytest.approx(expected, abs=5 * error)


def test_norm_of_a_gaussian_matrix_is_twice_the_radius():
    assert spectral_norm(normal(300, 300)) == pytest.approx(1.971, abs=0.03)  # to 2 as n grows


def test_powers_of_a_gaussian_matrix_grow_first():
    t = np.array([1, 2, 5])
    limit = np.sqrt((t + 1.0) ** (t + 1) / t**t)
    np.testing.assert_allclose(limit[[0, 2]], [2, 3.86], atol=0.005)
    norms = np.mean([spectral_norm(matrix_powers(normal(80, 80, seed=s), 5)[t]) for s in range(10)], axis=0)
    np.testing.assert_allclose(norms, limit, rtol=0.15)  # n = 80: 2 to 10 % below, give or take 8/√10 %
    assert (np.diff(norms) > 0).all()


# Types and bad input


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtype_out_and_arguments_kept(dtype):
    A, stack = normal(4, 4).astype(dtype), normal(3, 2, 4, 4).astype(dtype)
    A.flags.writeable = stack.flags.writeable = False
    results = [function(stack) for function in (spectral_radius, spectral_norm, henrici, lyapunov_exponents)]
    results += [function(A) for function in (spectral_radius, spectral_norm, henrici, *OF_ONE)]
    values = [eigenvalues(A), eigenvalues(stack)]
    assert {result.dtype for result in results} == {np.dtype(dtype)}
    assert {v.dtype for v in values} == {np.result_type(dtype, np.complex64)}
    for result in results + values:
        assert not np.shares_memory(result, A) and not np.shares_memory(result, stack)


@pytest.mark.parametrize("function", [*OF_STACKS, *OF_ONE, lyapunov_exponents])
def test_float32_agrees_with_float64(function):
    A = normal(6, 3, 3) if function is lyapunov_exponents else normal(3, 3)
    assert_close(function(A.astype(np.float32)), function(A), rtol=1e-5)


def test_memory_order_does_not_matter():
    J = normal(6, 2, 3, 3)
    other = np.asfortranarray(J)
    for function in (*OF_STACKS, lyapunov_exponents):
        assert_close(function(other), function(J), rtol=1e-12)
    for function in OF_ONE:
        assert_close(function(other[0, 0]), function(J[0, 0]), rtol=1e-12)


@pytest.mark.parametrize("function", [*OF_STACKS, *OF_ONE, lyapunov_exponents])
def test_memory_mapped_arrays_are_arrays(function, tmp_path):
    A = normal(5, 4, 4) if function is lyapunov_exponents else normal(4, 4)
    result, expected = function(memory_mapped(A, tmp_path)), function(A)
    np.testing.assert_array_equal(result, expected)
    assert type(result) is type(expected)


BAD_SHAPES = [(), (3,), (3, 2), (1, 3), (0, 0), (0, 3, 3), (2, 0, 0)]


@pytest.mark.parametrize(
    ("function", "name", "shape"),
    [(function, "A", shape) for function in OF_STACKS for shape in BAD_SHAPES]
    + [(function, "A", shape) for function in OF_ONE for shape in [*BAD_SHAPES, (2, 3, 3), (1, 3, 3)]]
    + [(lyapunov_exponents, "jacobians", shape) for shape in [*BAD_SHAPES, (3, 3), (4, 3, 2)]],
)
def test_wrong_shape(function, name, shape):
    with pytest.raises(ValueError) as caught:
        function(np.zeros(shape))
    message = str(caught.value)
    assert message.startswith(f"{name} must have shape (")
    assert "n, n)" in message
    assert message.endswith(f"got {shape}")


@every_wrong_array
@pytest.mark.parametrize("function", [*OF_STACKS, *OF_ONE, lyapunov_exponents])
def test_wrong_type_or_value(function, spoil, error, message):
    name, shape = ("jacobians", (4, 3, 3)) if function is lyapunov_exponents else ("A", (3, 3))
    with pytest.raises(error) as caught:
        function(spoil(np.zeros(shape)))
    assert str(caught.value).startswith(f"{name} must ")
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("t", -1, ValueError),
        ("t", 2.0, TypeError),
        ("t", True, TypeError),
        ("t", "2", TypeError),
        ("t", None, TypeError),
        ("eigenvalue", None, TypeError),
        ("eigenvalue", "1", TypeError),
        ("eigenvalue", True, TypeError),
        ("eigenvalue", np.True_, TypeError),
        ("eigenvalue", [1.0], TypeError),
        ("eigenvalue", np.array([1.0]), TypeError),
        ("eigenvalue", np.nan, ValueError),
        ("eigenvalue", -np.inf, ValueError),
        ("eigenvalue", complex(1, np.nan), ValueError),
        ("tolerance", 0, ValueError),
        ("tolerance", -1e-9, ValueError),
        ("tolerance", np.nan, ValueError),
        ("tolerance", np.inf, ValueError),
        ("tolerance", True, TypeError),
        ("tolerance", "1", TypeError),
        ("tolerance", 1j, TypeError),
        ("tolerance", None, TypeError),
    ],
)
def test_wrong_option(name, value, error):
    with pytest.raises(error) as caught:
        if name == "t":
            matrix_powers(np.eye(2), value)
        else:
            classify(**{"eigenvalue": 1.0, name: value})
    assert str(caught.value).startswith(f"{name} must be ")
    assert str(caught.value).endswith(f"got {value!r}")


@pytest.mark.parametrize(
    "value", [10**400, -(10**400), 10**5000, Fraction(10**400)], ids=lambda v: type(v).__name__
)
def test_eigenvalue_beyond_all_floats(value):
    with pytest.raises(ValueError) as caught:
        classify(value)
    kind = type(value).__name__
    assert str(caught.value) == f"eigenvalue must be at most 1.8e+308 in size, got a larger {kind}"
