"""Gram-Schmidt, Householder reflections and random orthogonal matrices, against theorems and LAPACK."""

from functools import partial

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from numerics import assert_close, every_wrong_array, memory_mapped, random_runs, seeds

from rnn_notes import eigenvalues, gram_schmidt, householder_qr, random_orthogonal

classical = partial(gram_schmidt, method="classical")
modified = partial(gram_schmidt, method="modified")
METHODS = {"classical": classical, "modified": modified, "householder": householder_qr}

every_method = pytest.mark.parametrize("qr", METHODS.values(), ids=METHODS)
every_gram_schmidt = pytest.mark.parametrize("qr", [classical, modified], ids=["classical", "modified"])
tall = st.tuples(st.integers(1, 8), st.integers(1, 8)).map(lambda size: (max(size), min(size)))

u = np.finfo(np.float64).eps / 2  # the rounding unit


def normal(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def conditioned(m, n, kappa, seed):
    """Return a matrix of norm 1 with condition number `kappa`."""
    left, right = np.linalg.qr(normal(m, n, seed=seed)).Q, np.linalg.qr(normal(n, n, seed=seed + 1)).Q
    return left * np.geomspace(1, 1 / kappa, n) @ right


def hilbert(n):
    return 1 / (1.0 + np.arange(n)[:, None] + np.arange(n))


def lauchli(n, epsilon):
    return np.vstack([np.ones(n), epsilon * np.eye(n)])


def loss_of_orthogonality(Q):
    return np.abs(Q.T @ Q - np.eye(Q.shape[1])).max()


# QR


@every_method
@random_runs
@given(size=tall, seed=seeds)
def test_qr_factorization(qr, size, seed):
    A = normal(*size, seed=seed)
    kappa = np.linalg.cond(A)
    assume(kappa < 1e4)
    Q, R = qr(A)
    assert (Q.shape, R.shape) == (size, (size[1], size[1]))
    assert_close(Q @ R, A, rtol=1e-14)
    np.testing.assert_array_equal(np.tril(R, -1), 0)
    assert loss_of_orthogonality(Q) <= 50 * u * {classical: kappa**2, modified: kappa}.get(qr, 1)


@every_gram_schmidt
@random_runs
@given(size=tall, seed=seeds)
def test_gram_schmidt_is_the_qr_with_a_positive_diagonal(qr, size, seed):
    A = normal(*size, seed=seed)
    assume(np.linalg.cond(A) < 100)
    Q, R = qr(A)
    assert (np.diag(R) > 0).all()
    signs = np.sign(np.diag(np.linalg.qr(A).R))
    assert_close(Q, np.linalg.qr(A).Q * signs, rtol=1e-11)
    assert_close(R, signs[:, None] * np.linalg.qr(A).R, rtol=1e-11)
    assert_close(R, np.linalg.cholesky(A.T @ A).T, rtol=1e-9)


def test_modified_is_the_default():
    A = hilbert(5)
    np.testing.assert_array_equal(gram_schmidt(A)[0], modified(A)[0])
    assert np.abs(gram_schmidt(A)[0] - classical(A)[0]).max() > 1e-9


@pytest.mark.parametrize("kappa", [1e2, 1e4, 1e6])
@pytest.mark.parametrize("seed", range(5))
def test_loss_of_orthogonality_is_of_the_stated_order(kappa, seed):
    A = conditioned(12, 6, kappa, seed)
    losses = {name: loss_of_orthogonality(qr(A)[0]) for name, qr in METHODS.items()}
    assert 1e-5 * u * kappa**2 < losses["classical"] < 10 * u * kappa**2
    assert 1e-3 * u * kappa < losses["modified"] < 10 * u * kappa
    assert losses["householder"] < 50 * u


@pytest.mark.parametrize("A", [hilbert(6), lauchli(4, 1e-5)], ids=["hilbert", "lauchli"])
def test_classical_loses_more_than_modified_and_modified_more_than_householder(A):
    losses = [loss_of_orthogonality(qr(A)[0]) for qr in METHODS.values()]
    assert losses[0] > 1e3 * losses[1]
    assert losses[1] > 1e2 * losses[2]


def test_two_columns_of_the_classical_process_are_60_degrees_apart():
    """1 + ε² rounds to 1 (Läuchli 1961, Björck 1967): the angle should be 90 degrees."""
    epsilon = 1e-8
    Q = classical(lauchli(3, epsilon))[0]
    assert Q[:, 1] @ Q[:, 2] == pytest.approx(1 / 2)
    assert loss_of_orthogonality(modified(lauchli(3, epsilon))[0]) == pytest.approx(epsilon / np.sqrt(2))
    assert loss_of_orthogonality(householder_qr(lauchli(3, epsilon))[0]) < 50 * u


@random_runs
@given(size=tall, seed=seeds, data=st.data())
def test_householder_equals_lapack_with_all_signs(size, seed, data):
    A = normal(*size, seed=seed)
    assume(np.linalg.cond(A) < 1e4)
    A[:, data.draw(st.lists(st.integers(0, size[1] - 1), max_size=2))] *= data.draw(
        st.sampled_from([1, 0, -0.0])
    )
    for matrix in (A, np.triu(A), -np.triu(A), np.tril(A), np.eye(*size), -np.eye(*size), A[::-1].copy()):
        for ours, theirs in zip(householder_qr(matrix), np.linalg.qr(matrix), strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-11)


def test_householder_equals_lapack_on_a_matrix_of_many_blocks():
    A = normal(100, 80)
    for ours, theirs in zip(householder_qr(A), np.linalg.qr(A), strict=True):
        assert_close(ours, theirs, rtol=1e-12)


@random_runs
@given(size=tall, rank=st.integers(0, 3), seed=seeds)
def test_householder_is_orthogonal_whatever_the_rank(size, rank, seed):
    A = normal(size[0], rank, seed=seed) @ normal(rank, size[1], seed=seed + 1)
    Q, R = householder_qr(A)
    assert loss_of_orthogonality(Q) < 50 * u
    assert_close(Q @ R, A, rtol=1e-13)


@every_method
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("part", [-0.7, -0.2, 0.2, 0.7])
def test_scaling_the_matrix_scales_only_r(qr, dtype, part):
    A = normal(5, 3).astype(dtype)
    scale = np.ldexp(dtype(1), int(part * np.finfo(dtype).maxexp))
    (Q, R), (scaled_Q, scaled_R) = qr(A), qr(A * scale)
    tolerance = 10 * np.finfo(dtype).eps
    assert_close(scaled_Q, Q, rtol=tolerance)
    assert_close(scaled_R / scale, R, rtol=tolerance)


@every_method
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("end", ["largest", "smallest"])
def test_columns_at_the_ends_of_the_range(qr, dtype, end):
    info = np.finfo(dtype)
    A = np.array([[3, 0, 1], [-4, 5, 2], [0, 1, -3], [0, 2, 5]], dtype)
    exponents = np.full(3, info.maxexp - 3 if end == "largest" else info.minexp - info.nmant)
    for first in (exponents[0], 0):  # all columns, and all but the first
        exponents[0] = first
        Q, R = qr(A)
        scaled_Q, scaled_R = qr(np.ldexp(A, exponents))
        np.testing.assert_array_equal(scaled_Q, Q)
        np.testing.assert_array_equal(scaled_R, np.ldexp(R, exponents))


@every_method
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_an_r_beyond_the_type_is_refused(qr, dtype):
    largest = np.finfo(dtype).max
    A = np.array([[largest, 1], [-largest, 1]], dtype)
    with pytest.raises(ValueError) as caught:
        qr(A)
    assert str(caught.value) == f"A must have an R within {A.dtype}, got entries up to {largest:.2g}"


@pytest.mark.parametrize("tiny", [1e-20, 1e-150, 1e-200, 1e-300])
def test_householder_of_a_column_next_to_zero(tiny):
    for A in (np.array([[0.0, 1.0], [tiny, 1.0]]), np.array([[1.0, 1.0], [0.0, 0.0], [0.0, tiny]])):
        for ours, theirs in zip(householder_qr(A), np.linalg.qr(A), strict=True):
            np.testing.assert_allclose(ours, theirs, atol=1e-15)


# Random orthogonal matrices


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@random_runs
@given(n=st.integers(1, 8), seed=seeds)
def test_orthogonal_matrices_keep_lengths_angles_and_volumes(dtype, n, seed):
    Q = random_orthogonal(n, np.random.default_rng(seed), dtype=dtype)
    assert (Q.shape, Q.dtype) == ((n, n), dtype)
    tolerance = 20 * float(np.finfo(dtype).eps)
    identity = np.eye(n, dtype=dtype)
    np.testing.assert_allclose(Q.T @ Q, identity, atol=tolerance)
    np.testing.assert_allclose(Q @ Q.T, identity, atol=tolerance)
    x, y = normal(2, n, seed=seed).astype(dtype)
    size = float(np.linalg.norm(x) * np.linalg.norm(y))
    assert np.linalg.norm(Q @ x) == pytest.approx(np.linalg.norm(x), rel=tolerance)
    assert (Q @ x) @ (Q @ y) == pytest.approx(x @ y, abs=tolerance * size)
    np.testing.assert_allclose(abs(eigenvalues(Q)), 1, atol=tolerance)
    assert abs(np.linalg.det(Q)) == pytest.approx(1, abs=tolerance)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(7, 3), (3, 7), (1, 4), (4, 1), (1, 1), (5, 5), (60, 20)], ids=str)
def test_columns_or_rows_are_orthonormal(dtype, shape):
    Q = random_orthogonal(shape, np.random.default_rng(0), dtype=dtype)
    assert (Q.shape, Q.dtype) == (shape, dtype)
    short = Q if shape[0] >= shape[1] else Q.T
    assert loss_of_orthogonality(short) < 20 * np.finfo(dtype).eps


@pytest.mark.parametrize("shape", [4, (6, 2), (2, 6)])
def test_the_generator_decides(shape):
    first, second = (random_orthogonal(shape, np.random.default_rng(5)) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    rng = np.random.default_rng(5)
    np.testing.assert_array_equal(random_orthogonal(shape, rng), first)
    assert np.abs(random_orthogonal(shape, rng) - first).max() > 0.1
    assert np.abs(random_orthogonal(shape, np.random.default_rng(6)) - first).max() > 0.1


def test_an_integer_is_a_square_shape():
    Q = random_orthogonal(3, np.random.default_rng(0))
    for shape in ((3, 3), np.int64(3)):
        np.testing.assert_array_equal(random_orthogonal(shape, np.random.default_rng(0)), Q)


# The distribution. Bounds: about five standard errors.

DRAWS = 4000


@pytest.mark.parametrize("n", [2, 4, 5])
def test_traces_and_determinants_are_those_of_the_uniform_distribution(n):
    """E tr = 0 and E tr² = 1 for the uniform distribution; tr² has variance 2, for n = 2 it is 1."""
    rng = np.random.default_rng(n)
    Q = np.stack([random_orthogonal(n, rng) for _ in range(DRAWS)])
    trace = np.trace(Q, axis1=1, axis2=2)
    assert abs(trace.mean()) < 5 / np.sqrt(DRAWS)
    assert abs(np.mean(trace**2) - 1) < 5 * np.sqrt(2 / DRAWS)
    assert abs(np.linalg.det(Q).mean()) < 5 / np.sqrt(DRAWS)


@pytest.mark.parametrize("shape", [(3, 3), (3, 2), (2, 3), (3, 1), (1, 3)], ids=str)
def test_no_direction_is_preferred(shape):
    """A coordinate of a point on the sphere in three dimensions is uniform (Archimedes), from any side."""
    rng = np.random.default_rng(0)
    Q = np.stack([random_orthogonal(shape, rng) for _ in range(DRAWS)])
    turned = [np.linalg.qr(normal(n, n, seed=1)).Q for n in shape]
    for sample in (Q, turned[0] @ Q if shape[0] == 3 else Q, Q @ turned[1] if shape[1] == 3 else Q):
        steps = (np.sort(sample, axis=0) + 1) / 2
        uniform = (np.arange(DRAWS) + 0.5)[:, None, None] / DRAWS
        assert np.abs(steps - uniform).max() < 2.5 / np.sqrt(DRAWS)  # Kolmogorov: passed 1 time in 10⁵


@pytest.mark.parametrize("n", [1, 2])
def test_small_orthogonal_matrices(n):
    """The signs 1 and -1; in the plane, rotations by all angles and their reflections."""
    rng = np.random.default_rng(0)
    Q = np.stack([random_orthogonal(n, rng) for _ in range(DRAWS)])
    if n == 1:
        assert set(Q.ravel()) == {1, -1}
        assert abs(Q.mean()) < 5 / np.sqrt(DRAWS)
    else:
        turns = np.arctan2(Q[:, 1, 0], Q[:, 0, 0]) / (2 * np.pi) + 0.5
        assert np.abs(np.sort(turns) - (np.arange(DRAWS) + 0.5) / DRAWS).max() < 2.5 / np.sqrt(DRAWS)


@pytest.mark.parametrize("n", [4, 5])
def test_q_of_numpy_is_orthogonal_and_not_uniform(n):
    Q = np.linalg.qr(normal(DRAWS, n, n, seed=n)).Q
    assert (Q[:, 0, 0] < 0).all()
    np.testing.assert_allclose(np.linalg.det(Q), (-1) ** (n - 1))
    if n == 5:
        assert np.trace(Q, axis1=1, axis2=2).mean() == pytest.approx(-1.07, abs=0.005 + 5 / np.sqrt(DRAWS))


# Types and bad input


@every_method
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtype_out_and_arguments_kept(qr, dtype):
    A = normal(6, 4).astype(dtype)
    other = np.asfortranarray(A)
    A.flags.writeable = other.flags.writeable = False
    for result, again in zip(qr(A), qr(other), strict=True):
        assert result.dtype == dtype
        assert result.flags.writeable
        assert not np.shares_memory(result, A)
        assert_close(again, result, rtol=10 * np.finfo(dtype).eps)
    for result, double in zip(qr(A), qr(A.astype(float)), strict=True):
        assert_close(result, double.astype(dtype), rtol=1e-5)


@every_method
def test_memory_mapped_arrays_are_arrays(qr, tmp_path):
    A = normal(5, 3)
    for result, expected in zip(qr(memory_mapped(A, tmp_path)), qr(A), strict=True):
        np.testing.assert_array_equal(result, expected)
        assert type(result) is np.ndarray
        assert result.flags.writeable


@every_gram_schmidt
@pytest.mark.parametrize(
    ("columns", "number"),
    [
        ([[0, 0]], 0),
        ([[1, 2, 3], [0, 0, 0]], 1),
        ([[1, 2, 3], [1, 2, 3]], 1),
        ([[1, 2, 3], [-3, -6, -9], [1, 0, 0]], 1),
        ([[1, 1, 0], [0, 1, 1], [1, 2, 1]], 2),
        ([[1, 2, 3], [4, 5, 6], [7, 8, 9]], 2),
        ([[2, 1, 1], [1, 1, 1], [1, 0, 0]], 2),
        ([[1, 1, 0], [1, 2, 0], [1, 0, 0]], 2),
    ],
    ids=str,
)
def test_dependent_columns(qr, columns, number):
    for dtype in (np.float32, np.float64):
        with pytest.raises(ValueError, match=f"^A must have independent columns, got column {number} that"):
            qr(np.array(columns, dtype).T.copy())


@every_gram_schmidt
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n", [2, 100])
def test_what_is_left_of_a_column_is_rounding_up_to_a_length(qr, dtype, n):
    """10 √n ε times the length of the column, and here the columns before it are exact."""
    limit = 10 * n**0.5 * np.finfo(dtype).eps
    A = np.eye(n, dtype=dtype)
    A[:-1, -1] = 1 / (n - 1) ** 0.5
    A[-1, -1] = 1.05 * limit
    np.testing.assert_array_equal(qr(A)[1], A)
    A[-1, -1] = 0.95 * limit
    with pytest.raises(ValueError, match=f"^A must have independent columns, got column {n - 1} that"):
        qr(A)


@every_gram_schmidt
def test_columns_that_are_almost_dependent_are_accepted(qr):
    for dtype in (np.float32, np.float64):
        A = np.array([[1.0, 1.0], [0.0, 1000 * np.finfo(dtype).eps]], dtype)
        assert_close(qr(A)[1], A, rtol=0)


@every_method
@pytest.mark.parametrize("shape", [(), (3,), (2, 3), (1, 2), (0, 0), (3, 0), (0, 3), (2, 3, 3)], ids=str)
def test_wrong_shape(qr, shape):
    with pytest.raises(ValueError) as caught:
        qr(np.zeros(shape))
    assert str(caught.value).startswith("A must have shape (m, n)")
    assert str(caught.value).endswith(f"got {shape}")


@every_wrong_array
@every_method
def test_wrong_type_or_value(qr, spoil, error, message):
    with pytest.raises(error) as caught:
        qr(spoil(np.eye(3)))
    assert str(caught.value).startswith("A must ")
    assert message in str(caught.value)


@pytest.mark.parametrize("method", ["Modified", "householder", None, ["modified"], True])
def test_unknown_method(method):
    with pytest.raises(ValueError) as caught:
        gram_schmidt(np.eye(2), method)
    assert str(caught.value) == f"method must be one of 'modified', 'classical', got {method!r}"


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("shape", 0, ValueError),
        ("shape", -3, ValueError),
        ("shape", (3, 0), ValueError),
        ("shape", (-1, 3), ValueError),
        ("shape", (), ValueError),
        ("shape", (3,), ValueError),
        ("shape", (2, 3, 3), ValueError),
        ("shape", True, TypeError),
        ("shape", 3.0, TypeError),
        ("shape", "3", TypeError),
        ("shape", None, TypeError),
        ("shape", [3, 3], TypeError),
        ("shape", (3, 3.0), TypeError),
        ("shape", (True, 3), TypeError),
        ("rng", 0, TypeError),
        ("rng", None, TypeError),
        ("rng", np.random, TypeError),
        ("rng", np.random.RandomState(0), TypeError),
        ("dtype", float, TypeError),
        ("dtype", "float32", TypeError),
        ("dtype", np.float16, TypeError),
        ("dtype", int, TypeError),
        ("dtype", complex, TypeError),
        ("dtype", None, TypeError),
    ],
)
def test_wrong_option(name, value, error):
    arguments = {"shape": 3, "rng": np.random.default_rng(0), "dtype": np.float64}
    with pytest.raises(error, match=f"^{name} must be .*, got "):
        random_orthogonal(**arguments | {name: value})
