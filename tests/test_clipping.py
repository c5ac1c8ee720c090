"""Clipping: lengths, directions, overflow, and every kind of collection."""

import math
from collections import OrderedDict, defaultdict, namedtuple
from fractions import Fraction
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numerics import every_wrong_array, memory_mapped, random_runs

from rnn_notes import clip_by_norm, clip_by_value, global_norm

every_clip = pytest.mark.parametrize("clip", [clip_by_norm, clip_by_value])
every_function = pytest.mark.parametrize(
    "function",
    [global_norm, partial(clip_by_norm, threshold=1.0), partial(clip_by_value, threshold=1.0)],
    ids=["global_norm", "clip_by_norm", "clip_by_value"],
)
every_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64])

KINDS = {  # how to make a collection from a list of arrays
    "array": lambda a: a[0],
    "list": list,
    "tuple": tuple,
    "dict": lambda a: {f"W{len(a) - n}": value for n, value in enumerate(a)},
}
many_random_runs = settings(random_runs, max_examples=80)


def floats(width):
    bound = {32: float(np.float32(1e30)), 64: 1e100}[width]
    return st.floats(-bound, bound, width=width)


one_array = st.sampled_from([32, 64]).flatmap(
    lambda width: arrays(f"float{width}", array_shapes(max_dims=3, max_side=3), elements=floats(width))
)
collections = st.tuples(st.sampled_from(list(KINDS)), st.lists(one_array, min_size=1, max_size=4)).map(
    lambda drawn: make(*drawn)
)
shares = st.one_of(st.floats(1e-3, 2), st.just(1.0), st.sampled_from([1e-30, 1e30]))


def members(gradients):
    """Return the arrays of a collection as a list."""
    if isinstance(gradients, np.ndarray):
        return [gradients]
    return list(gradients.values() if isinstance(gradients, dict) else gradients)


def length(gradients):
    """Return the norm, by math.hypot, which neither overflows nor loses digits."""
    return math.hypot(*(float(entry) for a in members(gradients) for entry in a.flat))


def make(kind, gradient_list):
    """Return a collection of arrays that nothing can write to."""
    for a in gradient_list:
        a.flags.writeable = False
    return KINDS[kind](gradient_list)


def threshold_of(share, gradients):
    """Return `share` of the length, within float32; 1 if the length is 0."""
    return min(share * length(gradients), 1e38) or 1.0


def eps(gradients):
    return max(float(np.finfo(a.dtype).eps) for a in members(gradients))


@many_random_runs
@given(gradients=collections)
def test_norm_is_the_euclidean_norm_of_all_entries(gradients):
    norm = global_norm(gradients)
    assert type(norm) is float
    assert norm == pytest.approx(length(gradients), rel=1e-14, abs=1e-322)
    assert clip_by_norm(gradients, 1.0)[1] == clip_by_value(gradients, 1.0)[1] == norm


@many_random_runs
@given(gradients=collections, share=shares)
def test_clip_by_norm_shortens_to_the_threshold_and_never_turns(gradients, share):
    threshold = threshold_of(share, gradients)
    clipped, norm = clip_by_norm(gradients, threshold)
    if norm <= threshold:
        for before, after in zip(members(gradients), members(clipped), strict=True):
            np.testing.assert_array_equal(after, before)
        return
    factor = Fraction(threshold) / Fraction(length(gradients))
    for before, after in zip(members(gradients), members(clipped), strict=True):
        info = np.finfo(before.dtype)
        lost = 2 * float(info.smallest_subnormal) + 1e-300 * threshold  # what is too small to be represented
        for old, new in zip(before.flat, after.flat, strict=True):
            expected = float(Fraction(float(old)) * factor)
            assert abs(float(new) - expected) <= 4 * float(info.eps) * abs(expected) + lost
            assert old == 0 or new == 0 or np.sign(new) == np.sign(old)
    if threshold > 1e-36:  # in float32, entries of a shorter gradient are subnormal or zero
        assert length(clipped) == pytest.approx(threshold, rel=4 * eps(gradients))


@many_random_runs
@given(gradients=collections, share=shares)
def test_clip_by_value_cuts_entries_and_keeps_signs(gradients, share):
    threshold = threshold_of(share, gradients)
    clipped, _ = clip_by_value(gradients, threshold)
    for before, after in zip(members(gradients), members(clipped), strict=True):
        limit = before.dtype.type(threshold)
        within = np.abs(before) <= limit
        np.testing.assert_array_equal(after[within], before[within])
        np.testing.assert_array_equal(after[~within], np.copysign(limit, before[~within]))


@every_clip
@many_random_runs
@given(gradients=collections, share=shares)
def test_clipping_never_lengthens_and_is_idempotent(clip, gradients, share):
    threshold = threshold_of(share, gradients)
    clipped, norm = clip(gradients, threshold)
    allowed = 4 * eps(gradients)
    assert length(clipped) <= norm * (1 + allowed)
    again, _ = clip(clipped, threshold)
    tolerance = {"rtol": allowed, "atol": 1e-44} if clip is clip_by_norm else {"rtol": 0}
    for once, twice in zip(members(clipped), members(again), strict=True):
        np.testing.assert_allclose(twice, once, **tolerance)


@every_clip
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("threshold", [1e-3, 1.5, 1e3])
def test_result_is_a_new_collection_like_the_one_given(clip, kind, threshold):
    given_arrays = [np.array([[1.0, -2.0]]), np.ones(3, np.float32), np.full((2, 1, 2), 3.0)]
    gradients = make(kind, given_arrays)
    clipped, norm = clip(gradients, threshold)
    assert type(norm) is float
    assert type(clipped) is type(gradients)
    assert clipped is not gradients
    if kind == "dict":
        assert list(clipped) == list(gradients)
    for before, after in zip(members(gradients), members(clipped), strict=True):
        assert type(after) is np.ndarray
        assert (after.shape, after.dtype, after.flags.writeable) == (before.shape, before.dtype, True)
        assert not np.shares_memory(after, before)


Weights = namedtuple("Weights", ["W", "b"])


class Labeled(list):
    """A list with an attribute of its own."""


class Frozen(tuple):
    """A tuple of another name."""


@every_clip
@pytest.mark.parametrize("threshold", [1.0, 1e3])
@pytest.mark.parametrize(
    "wrap", [OrderedDict, partial(defaultdict, list), lambda d: Weights(**d), Labeled, Frozen]
)
def test_the_type_of_the_collection_comes_back(clip, threshold, wrap):
    arrays = {"W": np.array([[3.0, -4.0]]), "b": np.array([12.0], np.float32)}
    gradients = wrap(arrays)
    if isinstance(gradients, Labeled | Frozen):
        gradients = type(gradients)(arrays.values())
    if isinstance(gradients, Labeled):
        gradients.label = "second layer"
    clipped, norm = clip(gradients, threshold)
    assert norm == 13.0
    assert type(clipped) is type(gradients)
    assert vars(clipped) == vars(gradients) if isinstance(gradients, Labeled) else True
    if isinstance(gradients, dict):
        assert list(clipped) == ["W", "b"]
        assert getattr(clipped, "default_factory", None) is getattr(gradients, "default_factory", None)
    expected = members(clip(list(arrays.values()), threshold)[0])
    for before, after, other in zip(members(gradients), members(clipped), expected, strict=True):
        np.testing.assert_array_equal(after, other)
        assert not np.shares_memory(after, before)
    assert clip(gradients, threshold, error_if_nonfinite=False)[0][
        0 if isinstance(gradients, tuple | list) else "W"
    ].any()
    np.testing.assert_array_equal(members(gradients)[0], [[3.0, -4.0]])


@every_clip
@pytest.mark.parametrize("threshold", [1.0, 1e3])
def test_memory_mapped_arrays_come_back_as_arrays(clip, threshold, tmp_path):
    gradient = np.array([3.0, -4.0])
    for collection in (lambda a: a, lambda a: {"W": a}):
        clipped, norm = clip(collection(memory_mapped(gradient, tmp_path)), threshold)
        expected, expected_norm = clip(collection(gradient), threshold)
        assert norm == expected_norm == global_norm(gradient)
        for after, other in zip(members(clipped), members(expected), strict=True):
            np.testing.assert_array_equal(after, other)
            assert type(after) is np.ndarray
            assert after.flags.writeable


@every_function
def test_error_of_a_namedtuple_names_the_field(function):
    with pytest.raises(ValueError, match=r"^gradients\.b must be finite, got nan at index \(1,\)$"):
        function(Weights(np.ones(2), np.array([0.0, np.nan])))


@every_dtype
def test_gradients_at_the_ends_of_the_range(dtype):
    largest, tiny = (float(x) for x in (np.finfo(dtype).max, np.finfo(dtype).smallest_subnormal))
    gradient = np.array([largest, -largest, tiny, 0.0], dtype)
    for threshold in (tiny, 1.0, largest):
        clipped, _ = clip_by_norm(gradient, threshold)
        expected = threshold / math.sqrt(2)
        np.testing.assert_allclose(
            clipped, [expected, -expected, 0, 0], rtol=4 * np.finfo(dtype).eps, atol=tiny
        )
        clipped, _ = clip_by_value(gradient, threshold)
        np.testing.assert_array_equal(clipped, [threshold, -threshold, tiny, 0])


@every_clip
@pytest.mark.parametrize("threshold", [1.0, 10.0])
def test_a_gradient_without_axes_stays_an_array(clip, threshold):
    clipped, norm = clip({"w": np.array(-3.0)}, threshold)
    assert norm == 3.0
    assert type(clipped["w"]) is np.ndarray
    assert clipped["w"].shape == ()
    assert clipped["w"] == max(-3.0, -threshold)


def test_by_value_turns_where_by_norm_does_not():
    gradient = np.array([1000.0, 11.0])
    cosine = lambda a: a @ gradient / (np.linalg.norm(a) * np.linalg.norm(gradient))  # noqa: E731
    assert cosine(clip_by_norm(gradient, 10.0)[0]) == pytest.approx(1, abs=1e-15)
    # From (1000, 11), an angle of 0.63°, to the diagonal.
    assert cosine(clip_by_value(gradient, 10.0)[0]) == pytest.approx(math.cos(math.pi / 4 - 0.011), abs=1e-6)


def test_arrays_are_clipped_together():
    clipped, norm = clip_by_norm({"W": np.array([[30.0]]), "b": np.array([0.0, -40.0])}, 5.0)
    assert norm == 50.0
    np.testing.assert_allclose(clipped["W"], [[3.0]], rtol=1e-15)
    np.testing.assert_allclose(clipped["b"], [0.0, -4.0], rtol=1e-15)


def test_large_float32_where_the_naive_norm_gives_zeros():
    gradient = np.full(16, 1e20, np.float32)
    with np.errstate(over="ignore"):
        naive_norm = np.sqrt(np.sum(gradient**2))
    assert naive_norm == np.inf
    assert not (gradient * (1 / naive_norm)).any()
    clipped, norm = clip_by_norm(gradient, 1.0)
    assert norm == pytest.approx(4e20, rel=1e-7)
    np.testing.assert_allclose(clipped, np.full(16, 0.25), rtol=1e-6)


@pytest.mark.parametrize("threshold", [1e-300, 1.0, 1e300, 1.7e308])
def test_norm_of_finite_float64_may_be_infinite_but_is_clipped(threshold):
    gradients = [np.array([1.7e308, -1.7e308]), np.array([[1.7e308], [0.0]])]
    clipped, norm = clip_by_norm(gradients, threshold)
    assert norm == np.inf == global_norm(gradients) == clip_by_value(gradients, threshold)[1]
    entry = threshold / math.sqrt(3)
    np.testing.assert_allclose(clipped[0], [entry, -entry], rtol=1e-14)
    np.testing.assert_allclose(clipped[1], [[entry], [0.0]], rtol=1e-14)


@pytest.mark.parametrize(
    ("dtype", "exponent"), [(np.float64, -1074), (np.float64, -1000), (np.float32, -149)]
)
def test_subnormal_and_tiny_entries_keep_their_norm(dtype, exponent):
    unit = math.ldexp(1, exponent)  # 2^-1074 and 2^-149 are the smallest subnormal numbers
    gradient = np.array([3 * unit, -4 * unit], dtype)
    assert global_norm(gradient) == 5 * unit
    clipped, norm = clip_by_norm(gradient, 1.0)
    assert norm == 5 * unit
    np.testing.assert_array_equal(clipped, gradient)
    np.testing.assert_array_equal(clip_by_value(gradient, 3 * unit)[0], [3 * unit, -3 * unit])


@every_dtype
def test_tiny_gradients_are_clipped_to_tinier_thresholds(dtype):
    clipped, norm = clip_by_norm(np.array([3e-30, 4e-30], dtype), 5e-33)
    assert norm == pytest.approx(5e-30, rel=1e-6)
    np.testing.assert_allclose(clipped, [3e-33, 4e-33], rtol=1e-6)


@every_clip
@every_dtype
@pytest.mark.parametrize("threshold", [5e-324, 1e-60])
def test_a_threshold_too_small_for_the_dtype_still_shortens(clip, dtype, threshold):
    gradient = np.array([1.0, -1e30, 0.0], dtype)
    clipped, norm = clip(gradient, threshold)
    assert norm == pytest.approx(1e30, rel=1e-6)
    assert np.all(np.abs(clipped) <= threshold)
    assert np.all(clipped * np.sign(gradient) >= 0)


@every_clip
@every_dtype
@pytest.mark.parametrize("threshold", [3.4028235677973366e38, 1e39, 1e300, np.finfo(float).max])
def test_a_threshold_too_large_for_float32_changes_nothing(clip, dtype, threshold):
    gradient = np.array([1.0, -3.4e38 / 2, 0.0], dtype)
    clipped, norm = clip(gradient, threshold)
    assert norm == pytest.approx(1.7e38, rel=1e-6)
    np.testing.assert_array_equal(clipped, gradient)


@every_clip
@pytest.mark.parametrize("kind", KINDS)
def test_zero_gradients_stay_zero(clip, kind):
    gradients = KINDS[kind]([np.zeros((2, 3)), np.zeros(1, np.float32)])
    clipped, norm = clip(gradients, 1e-9)
    assert norm == 0.0
    assert not any(a.any() for a in members(clipped))


@every_dtype
def test_agrees_with_pytorch(dtype):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    rng = np.random.default_rng(0)
    # PyTorch adds 1e-6 to the norm before it divides. Next to 1e6 that cannot be seen.
    gradients = [(3e5 * rng.standard_normal(shape)).astype(dtype) for shape in [(3, 2), (4,), (1, 2, 3)]]
    rtol = 1e-6 if dtype == np.float32 else 1e-10
    for threshold in (1e-2, 1e5, 1e9):
        for clip, their_clip in (
            (clip_by_norm, torch.nn.utils.clip_grad_norm_),
            (clip_by_value, torch.nn.utils.clip_grad_value_),
        ):
            leaves = [torch.zeros(a.shape, dtype=getattr(torch, a.dtype.name)) for a in gradients]
            for leaf, a in zip(leaves, gradients, strict=True):
                leaf.grad = torch.from_numpy(a.copy())
            their_norm = their_clip(leaves, threshold)
            clipped, norm = clip(gradients, threshold)
            if clip is clip_by_norm:
                assert norm == pytest.approx(float(their_norm), rel=rtol)
            for leaf, after in zip(leaves, clipped, strict=True):
                np.testing.assert_allclose(after, leaf.grad.numpy(), rtol=rtol if clip is clip_by_norm else 0)


# Bad input.

not_finite = pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])


@every_function
@not_finite
@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("array", "gradients"),
        ("list", "gradients[1]"),
        ("tuple", "gradients[1]"),
        ("dict", "gradients['W1']"),
    ],
)
def test_not_finite_raises_and_names_the_array(function, value, kind, name):
    bad = np.array([[0.0, 1.0], [value, 0.0]])
    gradients = KINDS[kind]([bad] if kind == "array" else [np.zeros(2), bad])
    with pytest.raises(ValueError) as error:
        function(gradients)
    assert str(error.value) == f"{name} must be finite, got {value} at index (1, 0)"


@not_finite
@pytest.mark.parametrize("kind", KINDS)
def test_not_finite_comes_back_unclipped_on_request(value, kind):
    gradients = KINDS[kind]([np.array([100.0, value]), np.full((2, 2), -50.0, np.float32)])
    assert math.isnan(global_norm(gradients, error_if_nonfinite=False))
    for clip in (clip_by_norm, clip_by_value):
        clipped, norm = clip(gradients, 1.0, error_if_nonfinite=False)
        assert type(norm) is float
        assert math.isnan(norm)
        assert type(clipped) is type(gradients)
        for before, after in zip(members(gradients), members(clipped), strict=True):
            np.testing.assert_array_equal(after, before)
            assert after.dtype == before.dtype
            assert not np.shares_memory(after, before)


@every_clip
def test_finite_gradients_are_clipped_with_either_setting(clip):
    gradients = [np.array([30.0]), np.array([0.0, -40.0])]
    strict, lenient = clip(gradients, 5.0), clip(gradients, 5.0, error_if_nonfinite=False)
    assert strict[1] == lenient[1] == 50.0
    for a, b in zip(strict[0], lenient[0], strict=True):
        np.testing.assert_array_equal(a, b)


@every_function
@pytest.mark.parametrize("kind", ["list", "tuple", "dict"])
@every_wrong_array
def test_wrong_member(function, kind, spoil, error, message):
    gradients = KINDS[kind]([np.ones(2), spoil(np.zeros((2, 3)))])
    with pytest.raises(error) as caught:
        function(gradients)
    name = "gradients['W1']" if kind == "dict" else "gradients[1]"
    assert str(caught.value).startswith(f"{name} must ")
    assert message in str(caught.value)


@every_function
@pytest.mark.parametrize(
    ("gradients", "message"),
    [
        (None, "gradients must be an array, or a list, tuple or dict of arrays, got NoneType"),
        (1.0, "gradients must be an array, or a list, tuple or dict of arrays, got float"),
        ("W", "gradients must be an array, or a list, tuple or dict of arrays, got str"),
        ({1.0}, "gradients must be an array, or a list, tuple or dict of arrays, got set"),
        (
            {"W": 1}.values(),
            "gradients must be an array, or a list, tuple or dict of arrays, got dict_values",
        ),
        (np.ones(2, int), "gradients must have dtype float32 or float64, got int64"),
        (np.ones(2, np.float16), "gradients must have dtype float32 or float64, got float16"),
        (np.ma.ones(2), "gradients must be a numpy.ndarray, got MaskedArray"),
        ([1.0, 2.0], "gradients[0] must be a numpy.ndarray, got float"),
        ([np.float64(1.0)], "gradients[0] must be a numpy.ndarray, got float64"),
        ([np.ones(2), [np.ones(2)]], "gradients[1] must be a numpy.ndarray, got list"),
        ((np.ones(2), None), "gradients[1] must be a numpy.ndarray, got NoneType"),
        ({"W": {"x": np.ones(2)}}, "gradients['W'] must be a numpy.ndarray, got dict"),
    ],
    ids=str,
)
def test_wrong_collection(function, gradients, message):
    with pytest.raises(TypeError) as error:
        function(gradients)
    assert str(error.value).startswith(message)


@every_function
@pytest.mark.parametrize(
    ("gradients", "message"),
    [
        ([], "gradients must have at least one array, got []"),
        ((), "gradients must have at least one array, got ()"),
        ({}, "gradients must have at least one array, got {}"),
        (np.zeros(0), "gradients must have at least one entry, got shape (0,)"),
        ([np.ones(2), np.zeros((2, 0))], "gradients[1] must have at least one entry, got shape (2, 0)"),
        ({"b": np.zeros(0)}, "gradients['b'] must have at least one entry, got shape (0,)"),
    ],
    ids=str,
)
def test_empty_collection(function, gradients, message):
    with pytest.raises(ValueError) as error:
        function(gradients)
    assert str(error.value) == message


@every_clip
@pytest.mark.parametrize(
    ("threshold", "error"),
    [(value, ValueError) for value in (0, 0.0, -1.0, np.nan, np.inf, -np.inf, np.float32(0))]
    + [(value, TypeError) for value in (None, "1", True, 1j, [1.0], np.array([1.0]))],
    ids=repr,
)
def test_wrong_threshold(clip, threshold, error):
    with pytest.raises(error) as caught:
        clip(np.ones(2), threshold)
    assert str(caught.value) == f"threshold must be a finite number above 0, got {threshold!r}"


@every_clip
@pytest.mark.parametrize("threshold", [2, np.float32(2), np.int64(2), Fraction(2)], ids=repr)
def test_threshold_may_be_any_real_number(clip, threshold):
    np.testing.assert_array_equal(clip(np.array([0.0, 8.0]), threshold)[0], [0.0, 2.0])
