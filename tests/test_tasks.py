"""The tasks: each target read from the input by other means, each baseline measured."""

import re
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numerics import every_wrong_array, random_runs, seeds

from rnn_notes import (
    Task,
    adding,
    agreement,
    copying,
    cross_entropy,
    mean_squared_error,
    temporal_order,
)

TASKS = {task.name: task for task in (adding, copying, temporal_order, agreement)}
every_task = pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
every_task_with_symbols = pytest.mark.parametrize(
    "task", [copying, temporal_order, agreement], ids=lambda task: task.name
)
batches = st.integers(1, 5)


def lengths(task, longest=60):
    return st.integers(task.shortest, longest)


def draw(task, length, batch, seed=0, **options):
    return task(length, batch, np.random.default_rng(seed), **options)


def read(task, x, target):
    """Return the sequences as lists of symbols, and the targets as classes."""
    words = np.array(task.symbols)[x.argmax(axis=-1)].T.tolist()
    return list(zip(words, np.array(task.classes)[target].T.tolist(), strict=True))


def test_names():
    assert list(TASKS) == ["adding", "copying", "temporal_order", "agreement"]
    assert all(isinstance(task, Task) for task in TASKS.values())


@random_runs
@given(length=lengths(adding), batch=batches, seed=seeds)
def test_adding_is_the_sum_of_two_marked_numbers_one_in_each_half(length, batch, seed):
    x, target = draw(adding, length, batch, seed)
    assert x.shape == (length, batch, 2)
    assert target.shape == (batch, 1)
    assert np.isin(x[..., 1], [0.0, 1.0]).all()
    assert ((x[..., 0] >= 0) & (x[..., 0] <= 1)).all()
    for n in range(batch):
        first, second = np.flatnonzero(x[:, n, 1])
        assert 2 * first < length  # the step in the middle of an odd length belongs to both halves
        assert 2 * second >= length - 1
        assert target[n, 0] == x[first, n, 0] + x[second, n, 0]


@random_runs
@given(length=lengths(copying), batch=batches, seed=seeds)
def test_copying_repeats_ten_symbols_after_the_sign(length, batch, seed):
    """Ten symbols, blanks, a sign ten steps before the end: T + 20 steps of Arjovsky et al., T = length."""
    x, target = draw(copying, length, batch, seed)
    assert x.shape == (length + 20, batch, 10)
    assert target.shape == (length + 20, batch)
    for words, expected in read(copying, x, target):
        symbols = words[:10]
        assert set(symbols) <= set("abcdefgh")
        assert words[10:] == ["-"] * (length - 1) + ["!"] + ["-"] * 10
        assert expected == ["-"] * (length + 10) + symbols
        assert len(words) - words.index("!") == 11


@random_runs
@given(length=lengths(temporal_order, 200), batch=batches, seed=seeds)
def test_temporal_order_is_the_order_of_the_only_two_capitals(length, batch, seed):
    x, target = draw(temporal_order, length, batch, seed)
    assert x.shape == (length, batch, 6)
    assert target.shape == (batch,)
    for letters, expected in read(temporal_order, x, target):
        first, second = (n for n, letter in enumerate(letters) if letter in "AB")
        assert letters[first] + letters[second] == expected
        # The second tenth and the fifth, whose ends are rounded down.
        assert length // 10 <= first < 2 * length // 10
        assert 4 * length // 10 <= second < 5 * length // 10
        assert set(letters) <= set("ABcdef")


NOUNS = {
    "boy": "student",
    "girl": "student",
    "king": "ruler",
    "queen": "ruler",
    "dog": "pet",
    "cat": "pet",
    "baker": "worker",
    "miner": "worker",
}
COUNTRIES = {
    "Europe": ["France", "Spain", "Italy"],
    "Asia": ["Japan", "India", "China"],
    "Africa": ["Egypt", "Kenya", "Ghana"],
    "America": ["Peru", "Chile", "Cuba"],
}
COUNTRY = re.compile("|".join("|".join(names) for names in COUNTRIES.values()))
ADJECTIVE = "(?:(?:sunny|quiet|green|lovely) )"
PLACE = (
    f"{ADJECTIVE}{{0,2}}(?:"
    + "|".join(
        rf"(?:{'|'.join(countries)})(?:, a {ADJECTIVE}{{0,2}}country in {continent},)?"
        for continent, countries in COUNTRIES.items()
    )
    + ")"
)
SENTENCE = re.compile(rf"the ({'|'.join(NOUNS)}) who is in {PLACE}(?: and in {PLACE})* is a")


@pytest.mark.parametrize("length", range(8, 61))
def test_agreement_is_grammatical_and_decided_by_the_second_word(length):
    x, target = draw(agreement, length, 40, seed=length)
    assert x.shape == (length, 40, agreement.inputs)
    assert target.shape == (40,)
    for text, number in zip(agreement.read(x), target, strict=True):
        sentence = SENTENCE.fullmatch(text)
        assert sentence, text
        assert len(re.findall(r"\w+|,", text)) == length
        assert text.split()[1] == sentence[1]
        assert agreement.classes[number] == NOUNS[sentence[1]]
        assert len(re.findall(ADJECTIVE, text)) <= 2
        assert not re.search(r"(\w+) \1\b", text), text
        countries = COUNTRY.findall(text)
        assert all(a != b for a, b in pairwise(countries)), text


def test_agreement_writes_the_sentence_of_its_documentation():
    x, target = draw(agreement, 14, 3000)
    sentences = dict(zip(agreement.read(x), (agreement.classes[n] for n in target), strict=True))
    # One of 8 subjects, 12 countries, and 2 ways to fill six words: in 3000 draws it is missing once in 6e6.
    assert sentences["the boy who is in France, a country in Europe, is a"] == "student"
    assert "the queen who is in Peru, a country in America, is a" in sentences
    assert any(re.fullmatch(r"the cat who is in \w+ and in \w+ and in \w+ is a", text) for text in sentences)


def test_the_words_of_agreement_all_occur():
    texts = [text for n in (20, 21, 22) for text in agreement.read(draw(agreement, n, 500)[0])]
    assert set(" ".join(texts).replace(",", " ,").split()) == set(agreement.symbols)
    assert len(set(agreement.symbols)) == agreement.inputs
    assert set(agreement.classes) == set(NOUNS.values())


def test_no_other_word_of_agreement_tells_the_noun():
    N = 4000
    x, target = draw(agreement, 19, N)
    occurs = x.max(axis=0)
    for number, word in enumerate(agreement.symbols):
        if word in NOUNS:
            continue
        nouns = target[occurs[:, number] == 1]
        if len(nouns) > 100:
            shares = np.bincount(nouns, minlength=4) / len(nouns)
            assert np.abs(shares - 1 / 4).max() < 5 * np.sqrt(3 / 16 / len(nouns)), word


@pytest.mark.parametrize("length", [2, 3, 10, 11])
def test_adding_marks_every_step(length):
    x, _ = draw(adding, length, 400 * length)
    marks = x[..., 1].mean(axis=1)
    half = length // 2
    expected = np.repeat([1 / half, 1 / (length - half)], [half, length - half])
    np.testing.assert_allclose(marks, expected, atol=5 * np.sqrt(1 / 4 / (400 * length)))


@pytest.mark.parametrize("length", [10, 19, 20, 50])
def test_temporal_order_uses_every_step_of_both_tenths_and_every_letter(length):
    x, _ = draw(temporal_order, length, 2000)
    capitals = x[..., :2].sum(axis=(1, 2))
    tenths = [*range(length // 10, 2 * length // 10), *range(4 * length // 10, 5 * length // 10)]
    assert np.flatnonzero(capitals).tolist() == tenths
    assert (x[..., 2:].sum(axis=1)[[0, -1]] > 0).all()  # c, d, e and f


# Baselines.


@pytest.mark.parametrize(
    ("task", "length", "expected"),
    [
        (adding, 50, 1 / 6),
        (adding, 400, 1 / 6),
        (copying, 100, 0.1733),
        (copying, 1, 10 * 2.0794415 / 21),
        (temporal_order, 20, 0.75),
        (agreement, 8, 0.75),
        (agreement, 60, 0.75),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_baseline_in_numbers(task, length, expected):
    assert task.baseline(length) == pytest.approx(expected, abs=5e-5)


def test_the_best_constant_for_adding_is_the_baseline():
    N = 100_000
    _, target = draw(adding, 4, N)
    # The fourth central moment of the sum is 1/15, so the variance of its squared error is 1/15 - 1/36.
    assert adding.measure == "mean squared error"
    assert target.var() == pytest.approx(adding.baseline(4), abs=5 * np.sqrt((1 / 15 - 1 / 36) / N))
    assert target.mean() == pytest.approx(1, abs=5 * np.sqrt(1 / 6 / N))


def test_the_best_constants_for_copying_are_the_baseline():
    """The best guess of a step without memory is the distribution of its targets, and costs its entropy."""
    N, length = 4000, 3
    _, target = draw(copying, length, N)
    shares = np.stack([np.bincount(step, minlength=9) for step in target]) / N
    entropy = -np.sum(shares * np.log(np.where(shares > 0, shares, 1)), axis=1)
    # 2 N times what the measured entropy of eight symbols lacks is chi-squared with 7 degrees of freedom,
    # so the lack of ten of them, on average, is (7 ± √1.4)/2N.
    lack = (copying.baseline(length) - entropy.mean()) * (length + 20) / 10
    assert copying.measure == "cross-entropy"
    assert abs(lack - 3.5 / N) < 5 * np.sqrt(1.4) / (2 * N)


@pytest.mark.parametrize(
    ("task", "N"), [(temporal_order, 40_000), (agreement, 4000)], ids=lambda v: getattr(v, "name", None)
)
def test_classes_are_balanced_so_the_best_constant_is_the_baseline(task, N):
    _, target = draw(task, 12, N)
    shares = np.bincount(target) / N
    assert len(shares) == task.outputs == 4
    assert task.measure == "error rate"
    assert np.abs(shares - 1 / 4).max() < 5 * np.sqrt(3 / 16 / N)
    assert 1 - shares.max() == pytest.approx(task.baseline(12), abs=5 * np.sqrt(3 / 16 / N))


# What all tasks have in common.


@every_task
@random_runs
@given(data=st.data(), batch=batches, seed=seeds)
def test_shapes_types_and_reproducibility(task, data, batch, seed):
    length = data.draw(lengths(task))
    x, target = draw(task, length, batch, seed)
    assert x.dtype == np.float64
    assert x.shape[1:] == (batch, task.inputs)
    if task is adding:
        assert target.dtype == np.float64
    else:
        assert target.dtype == np.int64
        assert 0 <= target.min() <= target.max() < task.outputs
        assert len(task.symbols) == task.inputs
        assert len(task.classes) == task.outputs
        assert np.isin(x, [0.0, 1.0]).all()
        assert (x.sum(axis=-1) == 1).all()

    x_again, target_again = draw(task, length, batch, seed)
    np.testing.assert_array_equal(x_again, x)
    np.testing.assert_array_equal(target_again, target)

    for dtype in (np.float32, np.dtype(np.float32)):
        x_single, target_single = draw(task, length, batch, seed, dtype=dtype)
        assert x_single.dtype == np.float32
        assert target_single.dtype == (np.float32 if task is adding else np.int64)
        np.testing.assert_array_equal(x_single, x.astype(np.float32))
        np.testing.assert_array_equal(target_single, target.astype(target_single.dtype))


@every_task
def test_new_sequences_each_time_and_for_each_seed(task):
    rng = np.random.default_rng(0)
    x, other = task(20, 8, rng), task(20, 8, np.random.default_rng(1))
    after = task(20, 8, rng)
    assert (x[0] != after[0]).any()
    assert (x[0] != other[0]).any()
    assert len(np.unique(x[0], axis=1)[0]) > 1  # within the batch


@every_task
def test_shortest_length(task):
    length = {"adding": 2, "copying": 1, "temporal_order": 10, "agreement": 8}[task.name]
    assert task.shortest == length
    x, _ = draw(task, length, 50)
    assert len(x) == (length + 20 if task is copying else length)
    assert task.baseline(length) > 0


@pytest.mark.parametrize("length", [np.int64(12), np.uint8(12)])
def test_length_may_be_a_numpy_integer(length):
    for task in TASKS.values():
        expected = draw(task, 12, 3)
        for a, b in zip(draw(task, length, np.int32(3)), expected, strict=True):
            np.testing.assert_array_equal(a, b)


@every_task_with_symbols
@random_runs
@given(data=st.data(), batch=batches, seed=seeds, dtype=st.sampled_from([np.float32, np.float64]))
def test_text_can_be_read_back(task, data, batch, seed, dtype):
    x, _ = draw(task, data.draw(lengths(task)), batch, seed, dtype=dtype)
    x.flags.writeable = False
    texts = task.read(x)
    assert len(texts) == batch
    for n, text in enumerate(texts):
        symbols = text.replace(",", " ,").split()
        np.testing.assert_array_equal(x[:, n], [[s == symbol for symbol in task.symbols] for s in symbols])


def test_a_task_of_ones_own():
    """Count the ones."""
    task = Task(
        "parity",
        inputs=1,
        outputs=2,
        loss=cross_entropy,
        measure="error rate",
        shortest=3,
        baseline=lambda length: 0.5,
        generate=lambda length, batch, rng: (x := rng.integers(0, 2, (length, batch, 1)), x.sum((0, 2)) % 2),
    )
    x, target = draw(task, 5, 4, dtype=np.float32)
    assert x.dtype == np.float32
    np.testing.assert_array_equal(target, x.sum(axis=(0, 2)) % 2)
    with pytest.raises(ValueError, match=r"^length must be an integer of at least 3, got 2$"):
        draw(task, 2, 4)
    with pytest.raises(ValueError, match="parity"):
        task.read(x)


def numbers(length, batch, rng):
    return rng.normal(size=(length, batch, 1)), rng.normal(size=(batch, 1))


def classes(length, batch, rng):
    return rng.normal(size=(length, batch, 1)), rng.integers(0, 2, batch)


def own_loss(y_hat, target):
    return 1.0, np.zeros_like(y_hat)


def own_task(generate, loss=own_loss, measure="error rate", **options):
    options = {"outputs": 1 if generate is numbers else 2} | options
    return Task(
        "own", 1, loss=loss, measure=measure, shortest=1, baseline=float, generate=generate, **options
    )


@pytest.mark.parametrize("measure", ["accuracy", "Error rate", None, 3, ["error rate"]])
def test_unknown_measure(measure):
    with pytest.raises(ValueError) as error:
        own_task(classes, measure=measure)
    known = "'mean squared error', 'cross-entropy', 'error rate'"
    assert str(error.value) == f"measure must be one of {known}, got {measure!r}"


@pytest.mark.parametrize(
    ("loss", "measure", "kinds"),
    [
        (mean_squared_error, "error rate", "classes"),
        (mean_squared_error, "cross-entropy", "classes"),
        (cross_entropy, "mean squared error", "numbers"),
    ],
)
def test_a_loss_that_does_not_fit_the_measure(loss, measure, kinds):
    with pytest.raises(ValueError) as error:
        own_task(classes, loss, measure)
    expected = f"a loss of {kinds} for the measure {measure!r}"
    assert str(error.value) == f"loss must be {expected}, got {loss.__name__}"


@pytest.mark.parametrize("loss", [None, "cross_entropy", 1.0])
def test_a_loss_that_cannot_be_called(loss):
    with pytest.raises(TypeError, match=r"^loss must be a function such as mean_squared_error, got "):
        own_task(classes, loss)


@pytest.mark.parametrize(
    ("name", "value", "error", "expected"),
    [
        ("inputs", 0, ValueError, "an integer of at least 1"),
        ("outputs", 1.0, TypeError, "an integer of at least 1"),
        ("shortest", "3", TypeError, "an integer of at least 1"),
        ("baseline", 0.5, TypeError, "a function"),
        ("generate", None, TypeError, "a function"),
    ],
)
def test_a_field_of_a_wrong_type_or_value(name, value, error, expected):
    with pytest.raises(error) as caught:
        replace(adding, **{name: value})
    assert str(caught.value) == f"{name} must be {expected}, got {value!r}"


@pytest.mark.parametrize("measure", ["mean squared error", "cross-entropy", "error rate"])
@pytest.mark.parametrize("generate", [numbers, classes])
def test_targets_that_do_not_fit_the_measure(generate, measure):
    """An error rate of numbers would be 1 for ever."""
    task = own_task(generate, measure=measure)
    if (generate is numbers) == (measure == "mean squared error"):
        draw(task, 3, 4)
        return
    with pytest.raises(
        TypeError, match=r"^target of the task 'own' must be a numpy.ndarray of (integers|floats)"
    ):
        draw(task, 3, 4)


@pytest.mark.parametrize(
    ("x", "target", "message"),
    [
        ((3, 4, 2), (4,), r"^x of the task 'own' must have shape \(T, 4, 1\)"),
        ((4, 3, 1), (4,), r"^x of the task 'own' must have shape \(T, 4, 1\)"),
        ((3, 4), (4,), r"^x of the task 'own' must have shape"),
        ((3, 4, 1), (3,), r"^target of the task 'own' must have shape \(4,\), got \(3,\)"),
        ((3, 4, 1), (3, 4), r"^target of the task 'own' must have shape \(4,\), got \(3, 4\)"),
    ],
)
def test_shapes_that_do_not_fit(x, target, message):
    task = own_task(lambda length, batch, rng: (np.zeros(x), np.zeros(target, int)))
    with pytest.raises(ValueError, match=message):
        draw(task, 3, 4)


def test_numbers_of_a_shape_that_does_not_fit():
    task = own_task(
        lambda length, batch, rng: (np.zeros((length, batch, 1)), np.zeros(batch)),
        mean_squared_error,
        "mean squared error",
        outputs=1,
    )
    with pytest.raises(ValueError, match=r"^target of the task 'own' must have shape \(4, 1\), got \(4,\)"):
        draw(task, 3, 4)


def test_classes_out_of_range():
    task = own_task(lambda length, batch, rng: (np.zeros((length, batch, 1)), np.full(batch, 2)))
    with pytest.raises(ValueError, match=r"^target of the task 'own' must be integers from 0 to 1, got 2$"):
        draw(task, 3, 4)


def test_an_array_of_another_kind_as_x():
    task = own_task(lambda length, batch, rng: (np.zeros((length, batch, 1), complex), np.zeros(batch, int)))
    with pytest.raises(TypeError) as error:
        draw(task, 3, 4)
    assert str(error.value) == "x of the task 'own' must be a numpy.ndarray of numbers, got complex128"


@pytest.mark.parametrize("shape", [(3,), (4, 5), (2, 3, 2)], ids=str)
def test_error_rate_of_predictions_of_any_shape(shape):
    right = np.random.default_rng(0).integers(0, 4, shape)
    y_hat = np.eye(4)[right]
    y_hat[0] *= -1
    task = own_task(classes, outputs=4)
    assert task.error(y_hat, right) == 1 / shape[0]
    with pytest.raises(ValueError, match=f"^target must have shape {re.escape(str(shape))}, got "):
        task.error(y_hat, right[:, np.newaxis])
    right[-1] = 4
    with pytest.raises(ValueError, match=r"^target must be integers from 0 to 3, got 4$"):
        task.error(y_hat, right)


def test_the_error_is_in_the_measure_whatever_the_loss():
    y_hat, right = np.array([[3.0, 1.0], [0.0, 2.0], [1.0, 0.0]]), np.array([0, 1, 1])
    assert own_task(classes).error(y_hat, right) == pytest.approx(1 / 3)
    assert own_task(classes, measure="cross-entropy").error(y_hat, right) == cross_entropy(y_hat, right)[0]
    number = own_task(numbers, measure="mean squared error")
    assert number.error(np.array([[3.0], [1.0]]), np.array([[1.0], [1.0]])) == 2.0


def test_numbers_of_ones_own_task_get_the_type_asked_for():
    task = own_task(
        lambda length, batch, rng: (np.ones((length, batch, 1), int), np.ones((batch, 1), np.float32)),
        mean_squared_error,
        "mean squared error",
        outputs=1,
    )
    for dtype in (np.float32, np.float64):
        assert [array.dtype for array in draw(task, 2, 3, dtype=dtype)] == [dtype, dtype]


# Bad input.


@every_task
@pytest.mark.parametrize("argument", ["length", "batch"])
@pytest.mark.parametrize(
    ("value", "error"),
    [(0, ValueError), (-3, ValueError)]
    + [(value, TypeError) for value in (10.0, True, "10", None, [10], np.array([10, 10]))],
    ids=repr,
)
def test_wrong_size(task, argument, value, error):
    sizes = {"length": 20, "batch": 2} | {argument: value}
    least = task.shortest if argument == "length" else 1
    with pytest.raises(error) as caught:
        task(**sizes, rng=np.random.default_rng(0))
    assert str(caught.value) == f"{argument} must be an integer of at least {least}, got {value!r}"


@every_task
def test_too_short(task):
    too_short = task.shortest - 1
    with pytest.raises(ValueError) as error:
        draw(task, too_short, 2)
    assert str(error.value) == f"length must be an integer of at least {task.shortest}, got {too_short}"


@every_task
@pytest.mark.parametrize("rng", [None, 0, np.random, np.random.RandomState(0), np.random.PCG64(0)], ids=type)
def test_wrong_generator(task, rng):
    with pytest.raises(TypeError) as error:
        task(20, 2, rng)
    assert str(error.value) == f"rng must be a numpy.random.Generator, got {type(rng).__name__}"


@every_task
@pytest.mark.parametrize("dtype", [None, int, bool, complex, object, np.float16, "float32", np.longdouble])
def test_wrong_dtype(task, dtype):
    with pytest.raises(TypeError) as error:
        draw(task, 20, 2, dtype=dtype)
    assert str(error.value) == f"dtype must be numpy.float32 or numpy.float64, got {dtype!r}"


@every_task_with_symbols
@every_wrong_array
def test_read_wrong_array(task, spoil, error, message):
    with pytest.raises(error) as caught:
        task.read(spoil(np.zeros((3, 2, task.inputs))))
    assert str(caught.value).startswith("x must ")
    assert message in str(caught.value)


@every_task_with_symbols
@pytest.mark.parametrize("shape", [(3, "I"), ("I",), (), (0, 2, "I"), (3, 0, "I"), (3, 2, 1), (1, 3, 2, "I")])
def test_read_wrong_shape(task, shape):
    shape = tuple(task.inputs if size == "I" else size for size in shape)
    with pytest.raises(ValueError) as error:
        task.read(np.zeros(shape))
    assert str(error.value).startswith(f"x must have shape (T, B, {task.inputs})")
    assert str(error.value).endswith(f"got {shape}")


def test_numbers_cannot_be_read():
    with pytest.raises(ValueError, match=r"^the inputs of adding are numbers"):
        adding.read(draw(adding, 4, 1)[0])
