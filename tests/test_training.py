"""Readout, losses and optimizers against differences, hand and PyTorch; the loop against all of them."""

import dataclasses
import io
import math
import re
import sys
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numerics import (
    assert_attributes_close,
    assert_close,
    central_differences,
    every_wrong_array,
    random_runs,
    seeds,
)

from rnn_notes import (
    LSTM,
    RNN,
    SGD,
    Adam,
    History,
    Readout,
    Task,
    adding,
    agreement,
    clip_by_norm,
    clip_by_value,
    copying,
    cross_entropy,
    fit,
    mean_squared_error,
    temporal_order,
)

PARAMETERS = ("W_x", "W_h", "b", "W_y", "b_y")

every_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64])
sizes = st.tuples(st.integers(1, 4), st.integers(1, 4), st.integers(1, 4), st.integers(1, 4))  # T, B, H, O


def read_only(*given_arrays):
    for a in given_arrays:
        a.flags.writeable = False
    return given_arrays


# The readout.


def random_readout(T, B, H, O, seed=0, last=False, dtype=np.float64):  # noqa: E741
    """Return a Readout, states and dy, all normal."""
    rng = np.random.default_rng(seed)
    before = (B,) if last else (T, B)
    W_y, b_y, h, dy = (
        rng.standard_normal(s).astype(dtype) for s in [(O, H), (O,), (*before, H), (*before, O)]
    )
    return Readout(W_y, b_y), h, dy


@random_runs
@given(size=sizes, seed=seeds, last=st.booleans())
def test_readout_is_the_equation_and_its_gradients_are_central_differences(size, seed, last):
    readout, h, dy = random_readout(*size, seed, last)
    y_hat = readout.forward(h)
    assert y_hat.shape == dy.shape
    for place in np.ndindex(h.shape[:-1]):
        np.testing.assert_allclose(y_hat[place], readout.W_y @ h[place] + readout.b_y, rtol=1e-12, atol=1e-13)

    given_arrays = {"W_y": readout.W_y, "b_y": readout.b_y, "h": h}

    def loss(**changed):
        arrays = given_arrays | changed
        return np.sum(dy * Readout(arrays["W_y"], arrays["b_y"]).forward(arrays["h"]))

    expected = {
        name: central_differences(lambda a, name=name: loss(**{name: a}), array, 1e-3).reshape(array.shape)
        for name, array in given_arrays.items()
    }
    assert_attributes_close(readout.backward(h, dy), expected, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("last", [False, True])
def test_readout_equals_pytorch(last):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    readout, h, dy = random_readout(5, 3, 4, 2, last=last)
    leaves = {
        name: torch.from_numpy(a.copy()).requires_grad_()
        for name, a in (("W_y", readout.W_y), ("b_y", readout.b_y), ("h", h))
    }
    y_hat = torch.nn.functional.linear(leaves["h"], leaves["W_y"], leaves["b_y"])
    y_hat.backward(torch.from_numpy(dy))
    np.testing.assert_allclose(readout.forward(h), y_hat.detach().numpy(), rtol=1e-10, atol=1e-12)
    expected = {name: leaf.grad.numpy() for name, leaf in leaves.items()}
    assert_attributes_close(readout.backward(h, dy), expected, rtol=1e-10)


@every_dtype
@pytest.mark.parametrize("last", [False, True])
def test_readout_keeps_dtype_and_arguments(dtype, last):
    readout, h, dy = random_readout(5, 3, 4, 2, last=last, dtype=dtype)
    arguments = read_only(readout.W_y, readout.b_y, h, dy)
    gradients = readout.backward(h, dy)
    for result in (readout.forward(h), gradients.W_y, gradients.b_y, gradients.h):
        assert result.dtype == dtype
        assert result.flags.writeable
        assert not any(np.shares_memory(result, a) for a in arguments)


def test_readout_keeps_its_parameters_and_checks_them_again():
    readout, h, _ = random_readout(2, 3, 4, 2)
    before = readout.forward(h)
    readout.b_y += 1.0  # in place: what training does
    np.testing.assert_allclose(readout.forward(h), before + 1, rtol=1e-14)
    readout.b_y = readout.b_y[:, None]
    with pytest.raises(ValueError, match=r"^b_y must have shape \(2,\).*got \(2, 1\)$"):
        readout.forward(h)


# Losses.


def textbook_cross_entropy(y_hat, target):
    """Return the mean of -ln of the softmax at the right class, one prediction after the other."""
    terms = []
    for place in np.ndindex(target.shape):
        total = math.fsum(math.exp(y) for y in y_hat[place])
        terms.append(-math.log(math.exp(y_hat[place][target[place]]) / total))
    return math.fsum(terms) / len(terms)


@random_runs
@given(shape=st.lists(st.integers(1, 4), min_size=1, max_size=4).map(tuple), seed=seeds)
def test_squared_error_is_the_mean_and_its_gradient_is_central_differences(shape, seed):
    y_hat, target = read_only(*np.random.default_rng(seed).standard_normal((2, *shape)))
    loss, dy = mean_squared_error(y_hat, target)
    mean = lambda y: math.fsum((a - b) ** 2 for a, b in zip(y.flat, target.flat, strict=True)) / y.size  # noqa: E731
    assert type(loss) is float
    assert loss == pytest.approx(mean(y_hat), rel=1e-13)
    assert_close(dy, central_differences(mean, y_hat, 1e-3).reshape(shape), rtol=1e-7, atol=1e-10)


@random_runs
@given(
    before=st.lists(st.integers(1, 4), min_size=1, max_size=3).map(tuple),
    classes=st.integers(1, 5),
    seed=seeds,
)
def test_cross_entropy_is_the_mean_and_its_gradient_is_central_differences(before, classes, seed):
    rng = np.random.default_rng(seed)
    y_hat, target = read_only(3 * rng.standard_normal((*before, classes)), rng.integers(0, classes, before))
    loss, dy = cross_entropy(y_hat, target)
    assert type(loss) is float
    assert loss == pytest.approx(textbook_cross_entropy(y_hat, target), rel=1e-12, abs=1e-15)
    expected = central_differences(lambda y: textbook_cross_entropy(y, target), y_hat, 1e-3)
    assert_close(dy, expected.reshape(y_hat.shape), rtol=1e-7, atol=1e-10)
    np.testing.assert_allclose(dy.sum(axis=-1), 0, atol=1e-15)


@pytest.mark.parametrize("before", [(7,), (5, 3)])
@pytest.mark.parametrize("scale", [1.0, 100.0, 1e4])
def test_losses_equal_pytorch(before, scale):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    rng = np.random.default_rng(0)
    y_hat, numbers = scale * rng.standard_normal((2, *before, 4))
    classes = rng.integers(0, 4, before)
    for ours, theirs, target in (
        (mean_squared_error, torch.nn.functional.mse_loss, numbers),
        (
            cross_entropy,
            lambda y, c: torch.nn.functional.cross_entropy(y.reshape(-1, 4), c.reshape(-1)),
            classes,
        ),
    ):
        leaf = torch.from_numpy(y_hat.copy()).requires_grad_()
        their_loss = theirs(leaf, torch.from_numpy(target))
        their_loss.backward()
        loss, dy = ours(y_hat, target)
        assert loss == pytest.approx(their_loss.item(), rel=1e-10)
        assert_close(dy, leaf.grad.numpy(), rtol=1e-10)


@every_dtype
def test_cross_entropy_of_large_predictions_does_not_overflow(dtype):
    y_hat = np.array([[1e4, 0, -1e4], [1e4, 0, -1e4], [-1e4, -1e4, -1e4]], dtype)
    loss, dy = cross_entropy(y_hat, np.array([2, 0, 1]))
    assert loss == pytest.approx((2e4 + 0 + math.log(3)) / 3, rel=1e-6)
    np.testing.assert_allclose(dy, np.array([[1, 0, -1], [0, 0, 0], [1 / 3, -2 / 3, 1 / 3]]) / 3, atol=1e-6)


def test_squared_error_of_float32_is_a_mean_that_fits_of_a_sum_that_does_not():
    y_hat = np.full((128, 1), 1.8e18, np.float32)
    assert mean_squared_error(y_hat, np.zeros_like(y_hat))[0] == pytest.approx(3.24e36, rel=1e-5)


@every_dtype
@pytest.mark.parametrize("last", [False, True])
def test_losses_keep_the_dtype_and_share_nothing(dtype, last):
    rng = np.random.default_rng(0)
    y_hat, numbers = rng.standard_normal((2, 3, 4) if last else (2, 5, 3, 4)).astype(dtype)
    classes = rng.integers(0, 4, y_hat.shape[:-1])
    read_only(y_hat, numbers, classes)
    for loss, target in ((mean_squared_error, numbers), (cross_entropy, classes)):
        value, dy = loss(y_hat, target)
        assert type(value) is float
        assert dy.dtype == dtype
        assert not np.shares_memory(dy, y_hat)
        assert not np.shares_memory(dy, target)


@pytest.mark.parametrize("integer", "bBhHiIlLqQ")
def test_classes_may_be_of_any_integer_type(integer):
    expected, _ = cross_entropy(np.eye(3), np.array([2, 0, 1]))
    assert cross_entropy(np.eye(3), np.array([2, 0, 1], integer))[0] == expected


# Optimizers.


def test_sgd_by_hand():
    w, g = np.array([1.0]), np.array([0.5])
    optimizer = SGD(learning_rate=0.1, momentum=0.9)
    optimizer.step({"w": w}, {"w": g})  # v = 0.5
    assert w[0] == pytest.approx(0.95, abs=1e-15)
    optimizer.step({"w": w}, {"w": g})  # v = 0.45 + 0.5
    assert w[0] == pytest.approx(0.855, abs=1e-15)


def test_adam_by_hand():
    w = np.array([1.0])
    optimizer = Adam(learning_rate=0.1, beta_1=0.5, beta_2=0.75, epsilon=1e-300)
    # Means 1, 0, 1/2, over 1/2, 3/4, 7/8; mean squares 1, 1, 1, over 1/4, 7/16, 37/64.
    for g, expected in ((2.0, 0.9), (-1.0, 0.9), (1.0, 0.9 - 0.1 * (4 / 7) * math.sqrt(37 / 64))):
        optimizer.step({"w": w}, {"w": np.array([g])})
        assert w[0] == pytest.approx(expected, abs=1e-14)


def test_the_settings_are_by_default_those_of_the_papers():
    assert vars(Adam()) == vars(Adam(0.001, 0.9, 0.999, 1e-8))
    assert vars(SGD(0.1)) == vars(SGD(0.1, 0.0))


@pytest.mark.parametrize("g", [1e-8, -1e-8])
def test_adam_adds_epsilon_to_the_root(g):
    w = np.array([0.0])
    Adam(learning_rate=1.0, epsilon=3e-8).step({"w": w}, {"w": np.array([g])})
    assert w[0] == pytest.approx(-np.sign(g) / 4, rel=1e-9)  # 1e-8/(1e-8 + 3e-8)


OPTIMIZERS = [  # ours, and the arguments of PyTorch's
    (SGD, {"learning_rate": 0.1}, "SGD", {"lr": 0.1}),
    (SGD, {"learning_rate": 0.03, "momentum": 0.9}, "SGD", {"lr": 0.03, "momentum": 0.9}),
    (SGD, {"learning_rate": 2, "momentum": 0}, "SGD", {"lr": 2.0}),
    (Adam, {}, "Adam", {}),
    (Adam, {"learning_rate": 0.1}, "Adam", {"lr": 0.1}),
    (
        Adam,
        {"learning_rate": 0.02, "beta_1": 0.5, "beta_2": 0.8, "epsilon": 0.1},
        "Adam",
        {"lr": 0.02, "betas": (0.5, 0.8), "eps": 0.1},
    ),
    (Adam, {"beta_1": 0.0, "beta_2": 0.0}, "Adam", {"betas": (0.0, 0.0)}),
]
every_optimizer = pytest.mark.parametrize(
    "make",
    [partial(SGD, 0.1), partial(SGD, 0.1, momentum=0.9), partial(Adam, 0.1)],
    ids=["SGD", "momentum", "Adam"],
)
SHAPES = {"W": (3, 2), "b": (4,), "scalar": (), "cube": (2, 1, 3)}


def random_dict(rng, dtype=np.float64):
    return {name: np.asarray(rng.standard_normal(shape), dtype) for name, shape in SHAPES.items()}


@pytest.mark.parametrize(("kind", "options", "their_name", "their_options"), OPTIMIZERS)
def test_optimizers_follow_pytorch_step_by_step(kind, options, their_name, their_options):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    rng = np.random.default_rng(0)
    parameters = random_dict(rng)
    leaves = {name: torch.from_numpy(w.copy()).requires_grad_() for name, w in parameters.items()}
    ours = kind(**options)
    theirs = getattr(torch.optim, their_name)(leaves.values(), **their_options)
    for _ in range(20):
        gradients = random_dict(rng)
        ours.step(parameters, gradients)
        for name, leaf in leaves.items():
            leaf.grad = torch.from_numpy(gradients[name].copy())
        theirs.step()
        for name, leaf in leaves.items():
            assert_close(parameters[name], leaf.detach().numpy(), rtol=1e-10, name=name)


@every_optimizer
def test_steps_are_in_place_and_keep_keep_dtype_and_gradients(make):
    results = []
    for dtype in (np.float32, np.float64):
        rng = np.random.default_rng(0)
        parameters = random_dict(rng, dtype)
        before = {name: w.copy() for name, w in parameters.items()}
        arrays = dict(parameters)
        optimizer = make()
        for _ in range(3):
            gradients = random_dict(rng, dtype)
            kept = {name: g.copy() for name, g in gradients.items()}
            read_only(*gradients.values())
            assert optimizer.step(parameters, gradients) is None
            for name, g in gradients.items():
                np.testing.assert_array_equal(g, kept[name])
        for name, w in parameters.items():
            assert w is arrays[name]
            assert w.dtype == dtype
            assert (w != before[name]).all()
        results.append(parameters)
    for name in SHAPES:
        np.testing.assert_allclose(results[0][name], results[1][name], rtol=1e-4, atol=1e-5)


@every_optimizer
def test_a_step_that_raises_changes_nothing(make):
    def train(fail):
        rng = np.random.default_rng(0)
        parameters, optimizer = random_dict(rng), make()
        for number in range(4):
            gradients = random_dict(rng)
            if fail and number == 2:
                kept = {name: w.copy() for name, w in parameters.items()}
                with pytest.raises(
                    ValueError, match=r"^gradients\['cube'\] must be finite, got nan at index"
                ):
                    optimizer.step(parameters, gradients | {"cube": np.full(SHAPES["cube"], np.nan)})
                for name, w in parameters.items():
                    np.testing.assert_array_equal(w, kept[name])
            optimizer.step(parameters, gradients)
        return parameters

    for a, b in zip(train(True).values(), train(False).values(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(("dtype", "g"), [(np.float32, 1e20), (np.float64, 1e160)])
def test_adam_survives_a_gradient_whose_square_overflows(dtype, g):
    w, optimizer = np.ones(1, dtype), Adam(learning_rate=0.1)
    for gradient in (g, 1.0, 1.0):
        optimizer.step({"w": w}, {"w": np.array([gradient], dtype)})
        assert np.isfinite(w).all()


@pytest.mark.parametrize(
    "make", [partial(SGD, 0.1, momentum=0.9), partial(Adam, 0.1)], ids=["momentum", "Adam"]
)
@pytest.mark.parametrize("shape", [(1,), (2, 1), (3, 2), ()])
def test_optimizers_remember_the_shape_and_dtype_of_a_parameter(make, shape):
    optimizer = make()
    optimizer.step({"w": np.ones(2)}, {"w": np.ones(2)})
    w = np.ones(shape)
    with pytest.raises(ValueError, match=r"^parameters\['w'\] must have shape \(2,\)"):
        optimizer.step({"w": w}, {"w": np.ones(shape)})
    with pytest.raises(TypeError, match=r"^parameters\['w'\] must have dtype float64, got float32$"):
        optimizer.step({"w": np.ones(2, np.float32)}, {"w": np.ones(2, np.float32)})
    np.testing.assert_array_equal(w, np.ones(shape))


def test_an_array_of_two_names_gets_both_steps():
    w = np.ones(2)
    SGD(0.5).step({"in": w, "out": w}, {"in": np.array([1.0, 0.0]), "out": np.array([1.0, 2.0])})
    np.testing.assert_array_equal(w, [0.0, 0.0])


@every_optimizer
def test_a_parameter_that_comes_later_starts_as_the_others_did(make):
    w, v, alone = np.ones(2), np.ones(2), np.ones(2)
    optimizer, other = make(), make()
    gradient = np.array([1.0, -2.0])
    for _ in range(3):
        optimizer.step({"w": w}, {"w": gradient})
    optimizer.step({"w": w, "v": v}, {"w": gradient, "v": gradient})
    other.step({"v": alone}, {"v": gradient})
    np.testing.assert_array_equal(v, alone)


@every_optimizer
def test_what_is_known_of_a_parameter_outlasts_steps_without_it(make):
    w, alone, gradient = np.ones(2), np.ones(2), np.array([1.0, -2.0])
    optimizer, other = make(), make()
    for _ in range(3):
        optimizer.step({"w": w}, {"w": gradient})
        optimizer.step({"v": np.ones(2)}, {"v": gradient})
        other.step({"w": alone}, {"w": gradient})
    np.testing.assert_array_equal(w, alone)


# The loop.


def random_network(kind, task, H=3, seed=0, dtype=np.float64, activation="tanh", scale=1.0):
    """Return a network and a readout of the sizes of a task."""
    rng = np.random.default_rng(seed)
    rows = 4 * H if kind is LSTM else H
    shapes = [(rows, task.inputs), (rows, H), (rows,), (task.outputs, H), (task.outputs,)]
    W_x, W_h, b, W_y, b_y = (rng.standard_normal(shape).astype(dtype) / dtype(np.sqrt(H)) for shape in shapes)
    W_h *= dtype(scale)
    network = LSTM(W_x, W_h, b) if kind is LSTM else RNN(W_x, W_h, b, activation)
    return network, Readout(W_y, b_y)


def parameters_of(network, readout):
    owners = {"W_x": network, "W_h": network, "b": network, "W_y": readout, "b_y": readout}
    return {name: getattr(owner, name) for name, owner in owners.items()}


def copies(network, readout):
    return {name: w.copy() for name, w in parameters_of(network, readout).items()}


def changes(network, readout, before):
    return {name: w - before[name] for name, w in parameters_of(network, readout).items()}


def length(arrays):
    return math.hypot(*(float(entry) for a in arrays.values() for entry in a.flat))


def generator(seed=0):
    return np.random.default_rng(seed)


def train(network, readout, task=temporal_order, optimizer=None, rng=None, **options):
    """Fit with short defaults."""
    optimizer, rng = optimizer or SGD(1.0), rng or generator()
    return fit(network, readout, task, optimizer, rng, **({"length": 10, "batch": 4, "steps": 1} | options))


def running_sums(length, batch, rng):
    x = rng.standard_normal((length, batch, 2))
    return x, np.cumsum(x, axis=0)


numbers_at_every_step = Task(
    "sums",
    2,
    2,
    mean_squared_error,
    "mean squared error",
    1,
    lambda length: 1.0,
    running_sums,
    every_step=True,
)


@pytest.mark.parametrize("kind", [RNN, LSTM])
@pytest.mark.parametrize(
    ("task", "steps"),
    [(adding, 6), (numbers_at_every_step, 5), (temporal_order, 10), (copying, 1)],
    ids=lambda value: getattr(value, "name", None),
)
def test_a_step_follows_the_gradient_of_the_whole_network(kind, task, steps):
    """One step of SGD moves every parameter by -α times its central difference."""
    network, readout = random_network(kind, task)
    before = copies(network, readout)
    x, target = task(steps, 4, generator(1))

    def predict(arrays):
        moved = kind(arrays["W_x"], arrays["W_h"], arrays["b"])
        state = moved.forward(x)
        h = state if kind is RNN else state.h
        h = h[1:] if len(target) == len(x) else h[-1]
        return h @ arrays["W_y"].T + arrays["b_y"]

    def loss(arrays):
        y = predict(arrays)
        if target.dtype != np.int64:
            return np.mean((y - target) ** 2)
        at_target = np.take_along_axis(y, target[..., None], axis=-1)[..., 0]
        return np.mean(np.log(np.exp(y).sum(axis=-1)) - at_target)

    gradients = {
        name: central_differences(lambda a, name=name: loss(before | {name: a}), w, 1e-3).reshape(w.shape)
        for name, w in before.items()
    }
    history = train(network, readout, task, SGD(0.5), generator(1), length=steps)
    for name, change in changes(network, readout, before).items():
        assert_close(change, -0.5 * gradients[name], rtol=1e-7, atol=1e-10, name=name)
    assert history.gradient_norm[0] == pytest.approx(length(gradients), rel=1e-7)
    assert history.loss[0] == pytest.approx(loss(before), rel=1e-12)
    if task is temporal_order:
        assert history.error[0] == np.mean(predict(before).argmax(axis=-1) != target)
    else:
        assert history.error[0] == history.loss[0]


@pytest.mark.parametrize("task", [temporal_order, copying], ids=lambda task: task.name)
@pytest.mark.parametrize("window", [1, 3])
def test_window_is_passed_on(task, window):
    network, readout = random_network(RNN, task)
    before = copies(network, readout)
    x, target = task(10, 4, generator(1))
    h = network.forward(x)
    read = h[1:] if task is copying else h[-1]
    last = readout.backward(read, cross_entropy(readout.forward(read), target)[1])
    truncated, full = network.backward(x, h, last.h, window), network.backward(x, h, last.h)
    assert not np.allclose(truncated.W_h, full.W_h, rtol=1e-3, atol=0)
    train(network, readout, task, rng=generator(1), window=window)
    change = changes(network, readout, before)
    for name in ("W_x", "W_h", "b"):
        assert_close(change[name], -getattr(truncated, name), rtol=1e-12, atol=1e-15, name=name)


def unclipped_changes():
    network, readout = random_network(RNN, temporal_order)
    before = copies(network, readout)
    history = train(network, readout)
    assert history.clipped.tolist() == [False]
    assert history.clip_rate == 0.0
    return changes(network, readout, before), history.gradient_norm[0]


@pytest.mark.parametrize("share", [0.1, 0.99, 1.01, 10.0])
@pytest.mark.parametrize("clip_with", [clip_by_norm, clip_by_value])
def test_clipping_is_applied_and_recorded(clip_with, share):
    free, norm = unclipped_changes()
    largest = max(np.abs(a).max() for a in free.values())
    clip = share * (norm if clip_with is clip_by_norm else largest)
    network, readout = random_network(RNN, temporal_order)
    before = copies(network, readout)
    history = train(network, readout, clip=clip, clip_with=clip_with)
    for name, change in changes(network, readout, before).items():
        expected = (
            min(share, 1) * free[name]
            if clip_with is clip_by_norm
            else np.minimum(np.maximum(free[name], -clip), clip)
        )
        assert_close(change, expected, rtol=1e-12, atol=1e-15, name=name)
    assert history.gradient_norm[0] == pytest.approx(norm, rel=1e-14)  # before clipping
    assert history.clipped.tolist() == [share < 1]
    assert history.clip_rate == (share < 1)


def test_clip_by_norm_is_the_default():
    changed = []
    for options in ({}, {"clip_with": clip_by_norm}):
        network, readout = random_network(RNN, temporal_order)
        train(network, readout, clip=0.01, **options)
        changed.append(copies(network, readout))
    for a, b in zip(*(arrays.values() for arrays in changed), strict=True):
        np.testing.assert_array_equal(a, b)


def test_clip_with_is_called_with_all_gradients_and_the_threshold():
    network, readout = random_network(RNN, temporal_order)
    before, calls = copies(network, readout), []

    def clip_with(gradients, threshold):
        calls.append((gradients, threshold))
        return {name: np.full_like(g, 0.25) for name, g in gradients.items()}, 7.0

    history = train(network, readout, clip=3, clip_with=clip_with, steps=2)
    assert [sorted(gradients) for gradients, _ in calls] == [sorted(PARAMETERS)] * 2
    assert [threshold for _, threshold in calls] == [3, 3]
    assert history.gradient_norm.tolist() == [7.0, 7.0]
    assert history.clipped.tolist() == [True, True]
    for change in changes(network, readout, before).values():
        np.testing.assert_allclose(change, -0.5, rtol=1e-14)


def test_clip_rate_is_the_share_of_longer_gradients():
    network, readout = random_network(RNN, temporal_order)
    norms = train(network, readout, optimizer=SGD(1e-9), steps=40).gradient_norm
    threshold = float(np.sort(norms)[30:].mean())
    network, readout = random_network(RNN, temporal_order)
    history = train(network, readout, optimizer=SGD(1e-9), steps=40, clip=threshold)
    np.testing.assert_allclose(history.gradient_norm, norms, rtol=1e-6)
    np.testing.assert_array_equal(history.clipped, history.gradient_norm > threshold)
    assert 0 < history.clip_rate < 0.25
    assert history.clip_rate == np.mean(history.gradient_norm > threshold)


def test_clip_rate_of_no_update_is_zero():
    empty = np.array([])
    assert History(empty, empty, empty, empty.astype(bool), "interrupted").clip_rate == 0.0


def test_history_holds_one_entry_for_each_update():
    network, readout = random_network(RNN, temporal_order)
    history = train(network, readout, optimizer=SGD(0.01), steps=7)
    assert history.outcome == "steps"
    for values in (history.loss, history.error, history.gradient_norm):
        assert (values.shape, values.dtype) == ((7,), np.float64)
        assert np.isfinite(values).all()
    assert (history.clipped.shape, history.clipped.dtype) == ((7,), np.bool_)
    assert len(set(history.loss.tolist())) == 7  # new sequences, and new parameters


@pytest.mark.parametrize("kind", [RNN, LSTM])
def test_training_is_in_place(kind):
    network, readout = random_network(kind, temporal_order)
    arrays, before = parameters_of(network, readout), copies(network, readout)
    train(network, readout, optimizer=Adam(0.01))
    for name, w in parameters_of(network, readout).items():
        assert w is arrays[name]
        assert (w != before[name]).any()


def test_stops_as_soon_as_solved():
    network, readout = random_network(RNN, temporal_order, H=20)
    history = train(
        network, readout, optimizer=Adam(0.01), length=10, batch=16, steps=3000, clip=1.0, solved=0.1
    )
    assert history.outcome == "solved"
    assert len(history.loss) < 3000
    means = [history.error[n - 50 : n].mean() for n in range(50, len(history.error) + 1)]
    assert means[-1] < 0.1 * 0.75
    assert all(mean >= 0.1 * 0.75 for mean in means[:-1])
    assert history.error[0] > 0.4


def always_right(length, batch, rng):
    return rng.standard_normal((length, batch, 1)), np.zeros(batch, int)


right_from_the_start = Task(
    "right", 1, 2, cross_entropy, "error rate", 1, lambda length: 0.5, generate=always_right
)


@pytest.mark.parametrize(
    ("options", "outcome", "updates"),
    [
        ({"steps": 49}, "steps", 49),
        ({"steps": 50}, "solved", 50),
        ({"steps": 80}, "solved", 50),
        ({"steps": 80, "solved": 0.9}, "solved", 50),
        ({"steps": 80, "solved": 0}, "steps", 80),
        ({"steps": 80, "solved": 0.0}, "steps", 80),
    ],
    ids=str,
)
def test_solved_needs_fifty_batches_and_zero_never_stops(options, outcome, updates):
    network, readout = random_network(RNN, right_from_the_start)
    readout.b_y[:] = [100.0, -100.0]
    history = train(network, readout, right_from_the_start, **options)
    assert not history.error.any()
    assert (history.outcome, len(history.loss)) == (outcome, updates)


def mean_absolute_error(y_hat, target):
    return np.mean(abs(y_hat - target)), np.sign(y_hat - target) / y_hat.size


def test_the_error_is_in_the_measure_of_the_task_for_a_loss_of_ones_own_too():
    task = dataclasses.replace(adding, loss=mean_absolute_error)
    network, readout = random_network(RNN, task)
    history = train(network, readout, task, steps=20, optimizer=CustomOptimizer(lambda *_: None))
    network, readout = random_network(RNN, adding)
    usual = train(network, readout, adding, steps=20, optimizer=CustomOptimizer(lambda *_: None))
    np.testing.assert_array_equal(history.error, usual.error)
    assert (history.loss > 1.01 * history.error).all()


@pytest.mark.parametrize(
    ("result", "got"),
    [
        (None, "NoneType"),
        (1.0, "float"),
        ((np.ones(1), np.zeros((4, 1))), "ndarray, ndarray"),
        ((1.0,), "float"),
    ],
    ids=["nothing", "a number", "arrays", "one of two"],
)
def test_a_loss_of_ones_own_returns_a_number_and_its_gradient(result, got):
    task = dataclasses.replace(adding, loss=lambda y_hat, target: result)
    with pytest.raises(TypeError) as error:
        train(*random_network(RNN, task), task)
    expected = "must return a number and its gradient"
    assert str(error.value) == f"loss of the task 'adding' {expected}, got {got}"


def test_a_task_that_is_not_finite_is_no_divergence():
    task = dataclasses.replace(
        adding, generate=lambda length, batch, rng: (np.full((3, 4, 2), np.nan), np.zeros((4, 1)))
    )
    with pytest.raises(ValueError, match=r"^x of the task 'adding' must be finite, got nan at index"):
        train(*random_network(RNN, task), task)


def test_batches_of_32_are_the_default():
    sizes = []

    def counted(length, batch, rng):
        sizes.append(batch)
        return always_right(length, batch, rng)

    task = dataclasses.replace(right_from_the_start, generate=counted)
    fit(*random_network(RNN, task), task, SGD(0.1), generator(), length=1, steps=1)
    assert sizes == [32]


def test_a_thousand_updates_are_the_default():
    network, readout = random_network(RNN, right_from_the_start)
    idle = CustomOptimizer(lambda parameters, gradients: None)
    history = fit(network, readout, right_from_the_start, idle, generator(), length=1, batch=1, solved=0)
    assert len(history.loss) == 1000


@pytest.mark.parametrize("progress", ["x", 1, 0, "True", [True], np.ones(2)], ids=repr)
def test_wrong_progress(progress):
    network, readout = random_network(RNN, temporal_order)
    with pytest.raises(TypeError) as error:
        train(network, readout, progress=progress)
    assert str(error.value) == f"progress must be True, False or None, got {progress!r}"


@pytest.mark.parametrize(("wrong", "outcome"), [(1, "solved"), (2, "steps")])
def test_solved_is_a_share_of_the_baseline(wrong, outcome):
    """Errors of 1 in 50 and 2 in 50 are 4 % and 8 % of the baseline 1/2; by default, 5 % is enough."""

    def mostly_right(length, batch, rng):
        x, target = always_right(length, batch, rng)
        target[:wrong] = 1
        return x, target

    task = dataclasses.replace(right_from_the_start, generate=mostly_right)
    network, readout = random_network(RNN, task)
    readout.b_y[:] = [100.0, -100.0]
    history = train(network, readout, task, SGD(1e-9), batch=50, steps=60)
    np.testing.assert_array_equal(history.error, wrong / 50)
    assert history.outcome == outcome


def interrupted_at(call, function, exception=KeyboardInterrupt):
    """Return the function, which raises at its call of this number."""
    calls = []

    def wrapped(*arguments):
        calls.append(None)
        if len(calls) == call:
            raise exception
        return function(*arguments)

    return wrapped


@pytest.mark.parametrize("call", [1, 4])
def test_an_interrupt_keeps_what_was_recorded(call):
    full_network, full_readout = random_network(RNN, temporal_order)
    if call > 1:
        full = train(full_network, full_readout, steps=call - 1)

    network, readout = random_network(RNN, temporal_order)
    task = dataclasses.replace(temporal_order, generate=interrupted_at(call, temporal_order.generate))
    history = train(network, readout, task, steps=10)
    assert history.outcome == "interrupted"
    assert len(history.loss) == len(history.clipped) == call - 1
    if call > 1:
        np.testing.assert_array_equal(history.loss, full.loss)
        np.testing.assert_array_equal(history.gradient_norm, full.gradient_norm)
    assert history.clipped.dtype == np.bool_
    assert history.clip_rate == 0.0
    for name, w in parameters_of(full_network, full_readout).items():
        np.testing.assert_array_equal(parameters_of(network, readout)[name], w)


class CustomOptimizer:
    def __init__(self, step):
        self.step = step


def test_an_interrupt_in_an_optimizer():
    network, readout = random_network(RNN, temporal_order)
    optimizer = CustomOptimizer(interrupted_at(3, SGD(0.1).step))
    history = train(network, readout, optimizer=optimizer, steps=10)
    assert (history.outcome, len(history.loss)) == ("interrupted", 2)


def test_other_exceptions_are_not_swallowed():
    network, readout = random_network(RNN, temporal_order)
    with pytest.raises(ZeroDivisionError):
        train(
            network,
            readout,
            optimizer=CustomOptimizer(interrupted_at(3, SGD(0.1).step, ZeroDivisionError)),
            steps=10,
        )


@pytest.mark.parametrize("clip", [None, 1.0])
@pytest.mark.parametrize("optimizer", [SGD, Adam])
@pytest.mark.parametrize(("dtype", "scale"), [(np.float32, 1e6), (np.float64, 1e60)])
def test_divergence_at_once_is_an_outcome(dtype, scale, optimizer, clip):
    network, readout = random_network(RNN, adding, 8, dtype=dtype, activation="relu", scale=scale)
    history = train(network, readout, adding, optimizer(0.1), length=50, steps=20, clip=clip)
    assert (history.outcome, len(history.loss)) == ("diverged", 0)


def identity_run(dtype, scale, optimizer, H=4, batch=4, steps=20):
    """Train an RNN of ReLU, W_h `scale` times the identity, on 50 steps: its states grow by scale^50."""
    network, readout = random_network(RNN, adding, H, dtype=dtype, activation="relu")
    network.W_h[:] = scale * np.eye(H)
    np.abs(network.W_x, out=network.W_x)
    history = train(network, readout, adding, optimizer, length=50, batch=batch, steps=steps)
    for values in (history.error, history.gradient_norm, history.clipped):
        assert len(values) == len(history.loss)
    return history


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize(("dtype", "scale"), [(np.float32, 1.7), (np.float64, 10.0)])
def test_divergence_later_keeps_the_finite_records(dtype, scale, momentum):
    """The first gradient is huge and finite; the step along it leaves weights that overflow."""
    history = identity_run(dtype, scale, SGD(0.1, momentum))
    assert history.outcome == "diverged"
    assert 1 <= len(history.loss) < 20
    assert history.gradient_norm[0] > 1e15
    for values in (history.loss, history.error, history.gradient_norm):
        assert np.isfinite(values).all()


@pytest.mark.parametrize(("dtype", "scale"), [(np.float32, 1.7), (np.float64, 1e3)])
def test_adam_takes_gradients_whose_squares_overflow(dtype, scale):
    history = identity_run(dtype, scale, Adam(), steps=5)
    assert history.gradient_norm[0] > np.sqrt(np.finfo(dtype).max)
    for values in (history.loss, history.error, history.gradient_norm):
        assert np.isfinite(values).all()


def test_the_recorded_losses_are_finite():
    """A gradient that float32 can hold, of a mean loss near 6e36 that it can hold, too, but not its sum."""
    history = identity_run(np.float32, 2.44, SGD(1e-3), H=100, batch=128, steps=2)
    assert len(history.loss) == 1
    assert np.isfinite(history.loss).all()
    assert history.loss[0] > np.finfo(np.float32).max / 128


@pytest.mark.parametrize("steps", [1, 20])
def test_a_step_to_infinity_is_divergence(steps):
    network, readout = random_network(RNN, adding)
    readout.b_y[:] = 100.0
    history = train(network, readout, adding, SGD(1e308), steps=steps)
    assert np.isfinite(readout.b_y).all()  # such a step is not taken
    assert (history.outcome, len(history.loss)) == ("diverged", 0)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_of_ones_own_that_is_not_finite_is_divergence(value):
    losses = [1.5, value]
    task = dataclasses.replace(
        temporal_order, loss=lambda y_hat, target: (losses.pop(0), np.ones_like(y_hat))
    )
    network, readout = random_network(RNN, task)
    history = train(network, readout, task, steps=5)
    assert (history.outcome, history.loss.tolist()) == ("diverged", [1.5])


@pytest.mark.parametrize("kind", [RNN, LSTM])
@pytest.mark.parametrize("optimizer", [SGD, Adam])
def test_equal_seeds_give_equal_runs(kind, optimizer):
    runs = []
    for seed in (3, 3, 4):
        network, readout = random_network(kind, temporal_order)
        history = train(network, readout, optimizer=optimizer(0.01), rng=generator(seed), steps=5, clip=1.0)
        fields = [history.loss, history.error, history.gradient_norm, history.clipped]
        runs.append([*fields, *parameters_of(network, readout).values()])
    for once, again in zip(*runs[:2], strict=True):
        np.testing.assert_array_equal(once, again)
    assert (runs[0][0] != runs[2][0]).any()


@pytest.mark.parametrize("kind", [RNN, LSTM])
@pytest.mark.parametrize("task", [adding, copying, temporal_order, agreement], ids=lambda task: task.name)
@pytest.mark.parametrize("make", [partial(SGD, 0.01, momentum=0.5), partial(Adam, 0.01)], ids=["SGD", "Adam"])
def test_float32_networks_stay_float32(kind, task, make):
    losses = []
    for dtype in (np.float32, np.float64):
        network, readout = random_network(kind, task, dtype=dtype)
        history = train(network, readout, task, make(), steps=4, clip=0.1)
        assert {w.dtype for w in parameters_of(network, readout).values()} == {np.dtype(dtype)}
        losses.append(history.loss)
    np.testing.assert_allclose(*losses, rtol=1e-4)


# The progress bar.


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(
    ("progress", "stderr", "shown"),
    [
        (True, io.StringIO, True),
        (True, Terminal, True),
        (False, Terminal, False),
        (False, io.StringIO, False),
        (None, Terminal, True),
        (None, io.StringIO, False),
    ],
)
def test_progress_bar(monkeypatch, capsys, progress, stderr, shown):
    screen = stderr()
    monkeypatch.setattr(sys, "stderr", screen)
    network, readout = random_network(RNN, temporal_order)
    history = train(network, readout, optimizer=SGD(1e-9), steps=20, clip=1e-6, progress=progress)
    text = screen.getvalue()
    assert capsys.readouterr().out == ""
    if not shown:
        assert text == ""
        return
    last = text.rsplit("\r", 1)[-1]
    assert "temporal_order: 100%" in last
    assert "20/20" in last
    values = dict(re.findall(r"(\w+)=([^],]+)", last))
    assert float(values["loss"]) == pytest.approx(history.loss[-1], rel=0.01)
    assert float(values["norm"]) == pytest.approx(history.gradient_norm[-1], rel=0.01)
    assert values["clipped"] == "100%"


# Bad input to the readout and the losses.

BAD_ARRAYS = {  # argument: its right shape, and wrong ones
    "W_y": ((2, 4), [(2,), (0, 4), (2, 0), (1, 2, 4), ()]),
    "b_y": ((2,), [(2, 1), (1, 2), (1,), (3,), ()]),
    "h": ((5, 3, 4), [(5, 3, 3), (4,), (), (0, 3, 4), (5, 0, 4), (1, 5, 3, 4), (0, 4)]),
    "dy": ((5, 3, 2), [(3, 2), (5, 3, 1), (5, 3), (4, 3, 2), (1, 3, 2), (5, 3, 2, 1), (2,)]),
    "y_hat": ((5, 3, 2), [(0, 3, 2), (5, 3, 0), ()]),
    "target": ((5, 3, 2), [(5, 3), (5, 3, 1), (3, 2), (1, 3, 2), (2,), ()]),
}


def call(**replaced):
    arrays = {name: np.zeros(shape) for name, (shape, _) in BAD_ARRAYS.items()} | replaced
    readout = Readout(arrays["W_y"], arrays["b_y"])
    readout.forward(arrays["h"])
    readout.backward(arrays["h"], arrays["dy"])
    mean_squared_error(arrays["y_hat"], arrays["target"])


def test_the_right_arguments_raise_nothing():
    call()


@pytest.mark.parametrize(
    ("name", "shape"), [(name, shape) for name, (_, wrong) in BAD_ARRAYS.items() for shape in wrong]
)
def test_wrong_shape(name, shape):
    with pytest.raises(ValueError) as error:
        call(**{name: np.zeros(shape)})
    message = str(error.value)
    assert message.startswith(f"{name} must have ")
    assert message.endswith(f"got {shape}")


@pytest.mark.parametrize(
    ("name", "shape"), [("W_y", "(O, H)"), ("h", "(B, 4) or (T, B, 4)")], ids=["W_y", "h"]
)
def test_the_message_has_the_right_shape(name, shape):
    with pytest.raises(ValueError) as error:
        call(**{name: np.zeros(4)})
    assert str(error.value) == f"{name} must have shape {shape}, each size at least 1, got (4,)"


@pytest.mark.parametrize("name", BAD_ARRAYS)
@every_wrong_array
def test_wrong_type_or_value(name, spoil, error, message):
    with pytest.raises(error) as caught:
        call(**{name: spoil(np.zeros(BAD_ARRAYS[name][0]))})
    assert str(caught.value).startswith(f"{name} must ")
    assert message in str(caught.value)


@pytest.mark.parametrize("name", ["b_y", "h", "dy", "target"])
def test_mixed_dtypes(name):
    with pytest.raises(TypeError, match=rf"^{name} must have dtype float64, got float32$"):
        call(**{name: np.zeros(BAD_ARRAYS[name][0], np.float32)})


@every_wrong_array
def test_cross_entropy_wrong_predictions(spoil, error, message):
    with pytest.raises(error) as caught:
        cross_entropy(spoil(np.zeros((3, 2))), np.zeros(3, int))
    assert str(caught.value).startswith("y_hat must ")
    assert message in str(caught.value)


@pytest.mark.parametrize("shape", [(), (2,), (0, 2), (3, 0), (0, 3, 2)])
def test_cross_entropy_wrong_shape_of_predictions(shape):
    with pytest.raises(ValueError, match=r"^y_hat must have ") as error:
        cross_entropy(np.zeros(shape), np.zeros(shape[:-1], int))
    assert str(error.value).endswith(f"got {shape}")


@pytest.mark.parametrize(
    ("target", "error", "got"),
    [
        ([0, 1, 0], TypeError, "list"),
        (None, TypeError, "NoneType"),
        (0, TypeError, "int"),
        (np.int64(0), TypeError, "int64"),
        (np.zeros(3), TypeError, "float64"),
        (np.zeros(3, bool), TypeError, "bool"),
        (np.zeros(3, "m8[s]"), TypeError, "timedelta64[s]"),
        (np.zeros(3, complex), TypeError, "complex128"),
        (np.zeros(3, object), TypeError, "object"),
        (np.zeros(4, int), ValueError, "(4,)"),
        (np.zeros((3, 1), int), ValueError, "(3, 1)"),
        (np.zeros((3, 2), int), ValueError, "(3, 2)"),
        (np.zeros((), int), ValueError, "()"),
        (np.zeros(0, int), ValueError, "(0,)"),
        (np.array([0, -1, 1]), ValueError, "-1"),
        (np.array([0, 2, 1]), ValueError, "2"),
        (np.array([0, -1, 7]), ValueError, "-1"),
    ],
    ids=lambda value: None if isinstance(value, np.ndarray) else repr(value),
)
def test_cross_entropy_wrong_target(target, error, got):
    with pytest.raises(error) as caught:
        cross_entropy(np.zeros((3, 2)), target)
    assert str(caught.value).startswith("target must ")
    assert str(caught.value).endswith(f"got {got}")


def test_cross_entropy_refuses_a_mask():
    with pytest.raises(TypeError, match=r"^target must be a numpy.ndarray, got MaskedArray, which computes"):
        cross_entropy(np.zeros((3, 2)), np.ma.zeros(3, int))


# Bad input to the optimizers.


@pytest.mark.parametrize(
    ("kind", "name", "expected"),
    [
        (SGD, "learning_rate", "a finite number above 0"),
        (SGD, "momentum", "a number from 0 to below 1"),
        (Adam, "learning_rate", "a finite number above 0"),
        (Adam, "beta_1", "a number from 0 to below 1"),
        (Adam, "beta_2", "a number from 0 to below 1"),
        (Adam, "epsilon", "a finite number above 0"),
    ],
)
@pytest.mark.parametrize(
    ("value", "error"),
    [("zero or one", ValueError), (-0.1, ValueError), (np.nan, ValueError), (np.inf, ValueError)]
    + [(value, TypeError) for value in ("0.1", None, True, 1j, [0.1], np.array([0.1]))],
    ids=repr,
)
def test_wrong_setting(kind, name, expected, value, error):
    if value == "zero or one":
        value = 0 if "above 0" in expected else 1
    with pytest.raises(error) as caught:
        kind(**({"learning_rate": 0.1} | {name: value}))
    assert str(caught.value) == f"{name} must be {expected}, got {value!r}"


@every_optimizer
@pytest.mark.parametrize("argument", ["parameters", "gradients"])
@pytest.mark.parametrize("value", [None, [np.ones(2)], np.ones(2), "w"], ids=repr)
def test_wrong_collection(make, argument, value):
    arguments = {"parameters": {"w": np.ones(2)}, "gradients": {"w": np.ones(2)}} | {argument: value}
    with pytest.raises(TypeError) as error:
        make().step(**arguments)
    other = ", or have the attributes ['w']" if argument == "gradients" else ""
    assert str(error.value) == f"{argument} must be a dict of arrays{other}, got {type(value).__name__}"


@every_optimizer
@pytest.mark.parametrize("names", [(), ("w",), ("w", "v", "u"), ("w", "V")])
def test_wrong_names(make, names):
    parameters = {"w": np.ones(2), "v": np.ones(2)}
    with pytest.raises(ValueError) as error:
        make().step(parameters, {name: np.ones(2) for name in names})
    assert str(error.value) == f"gradients must have the names ['v', 'w'], got {sorted(names)}"
    np.testing.assert_array_equal(parameters["w"], np.ones(2))


@every_optimizer
@pytest.mark.parametrize("shape", [(), (1,), (3,), (2, 1), (1, 2), (0,)])
def test_wrong_shape_of_a_gradient(make, shape):
    with pytest.raises(ValueError) as error:
        make().step({"w": np.ones(2)}, {"w": np.zeros(shape)})
    assert str(error.value).startswith("gradients['w'] must have shape (2,)")
    assert str(error.value).endswith(f"got {shape}")


@every_optimizer
@every_wrong_array
def test_wrong_gradient(make, spoil, error, message):
    with pytest.raises(error) as caught:
        make().step({"w": np.ones((2, 3))}, {"w": spoil(np.zeros((2, 3)))})
    assert str(caught.value).startswith("gradients['w'] must ")
    assert message in str(caught.value)


@every_optimizer
@pytest.mark.parametrize(
    ("parameter", "got"),
    [
        ([1.0, 1.0], "list"),
        (np.float64(1), "float64"),
        (np.ones(2, int), "int64"),
        (np.ma.ones(2), "MaskedArray"),
    ],
    ids=["list", "scalar", "int", "masked"],
)
def test_wrong_parameter(make, parameter, got):
    with pytest.raises(TypeError, match=rf"^parameters\['w'\] must .*got {got}\b"):
        make().step({"w": parameter}, {"w": np.ones(2)})


@every_optimizer
@pytest.mark.parametrize("dtypes", [(np.float32, np.float64), (np.float64, np.float32)])
def test_mixed_dtypes_of_a_step(make, dtypes):
    w, g = (np.ones(2, dtype) for dtype in dtypes)
    with pytest.raises(TypeError) as error:
        make().step({"w": w}, {"w": g})
    assert str(error.value) == f"gradients['w'] must have dtype {w.dtype}, got {g.dtype}"


# Bad input to the loop.


def call_fit(**replaced):
    network, readout = random_network(RNN, temporal_order)
    arguments = {
        "network": network,
        "readout": readout,
        "task": temporal_order,
        "optimizer": SGD(0.1),
        "rng": generator(),
        "length": 10,
        "batch": 4,
        "steps": 2,
    }
    return fit(**(arguments | replaced))


@pytest.mark.parametrize(
    ("name", "value", "error", "expected"),
    [
        ("task", "temporal_order", TypeError, "of type Task, got str"),
        ("task", temporal_order.generate, TypeError, "of type Task, got function"),
        ("rng", 0, TypeError, "a numpy.random.Generator, got int"),
        ("rng", None, TypeError, "a numpy.random.Generator, got NoneType"),
        ("rng", np.random.RandomState(0), TypeError, "a numpy.random.Generator, got RandomState"),
        ("length", 9, ValueError, "an integer of at least 10, got 9"),
        ("length", 10.0, TypeError, "an integer of at least 10, got 10.0"),
        ("length", None, TypeError, "an integer of at least 10, got None"),
        ("batch", 0, ValueError, "an integer of at least 1, got 0"),
        ("batch", 4.0, TypeError, "an integer of at least 1, got 4.0"),
        ("batch", True, TypeError, "an integer of at least 1, got True"),
        ("steps", 0, ValueError, "an integer of at least 1, got 0"),
        ("steps", 1e3, TypeError, "an integer of at least 1, got 1000.0"),
        ("steps", True, TypeError, "an integer of at least 1, got True"),
        ("window", 0, ValueError, "an integer of at least 1, got 0"),
        ("window", 2.0, TypeError, "an integer of at least 1, got 2.0"),
        ("window", True, TypeError, "an integer of at least 1, got True"),
        ("clip", 0, ValueError, "a finite number above 0, got 0"),
        ("clip", -1.0, ValueError, "a finite number above 0, got -1.0"),
        ("clip", np.nan, ValueError, "a finite number above 0, got nan"),
        ("clip", np.inf, ValueError, "a finite number above 0, got inf"),
        ("clip", "1", TypeError, "a finite number above 0, got '1'"),
        ("clip", True, TypeError, "a finite number above 0, got True"),
        ("solved", 1, ValueError, "a number from 0 to below 1, got 1"),
        ("solved", -0.1, ValueError, "a number from 0 to below 1, got -0.1"),
        ("solved", np.nan, ValueError, "a number from 0 to below 1, got nan"),
        ("solved", None, TypeError, "a number from 0 to below 1, got None"),
        ("solved", True, TypeError, "a number from 0 to below 1, got True"),
    ],
)
def test_wrong_argument(name, value, error, expected):
    with pytest.raises(error) as caught:
        call_fit(**{name: value})
    assert str(caught.value) == f"{name} must be {expected}"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("optimizer", 0.01),
        ("optimizer", None),
        ("optimizer", "adam"),
        ("optimizer", Adam),
        ("clip_with", None),
        ("clip_with", "norm"),
    ],
)
def test_an_argument_that_cannot_be_called_is_named(name, value):
    with pytest.raises(TypeError, match=rf"^{name} must "):
        call_fit(**{name: value, "clip": 1.0})


def other_size(**sizes):
    return dataclasses.replace(temporal_order, **sizes)


@pytest.mark.parametrize("kind", [RNN, LSTM])
@pytest.mark.parametrize(
    ("blamed", "network_for", "readout_for"),
    [
        ("network", {"task": other_size(inputs=5)}, {"task": temporal_order}),
        ("network", {"task": other_size(inputs=7)}, {"task": temporal_order}),
        ("readout", {"task": temporal_order}, {"task": other_size(outputs=3)}),
        ("readout", {"task": temporal_order}, {"task": other_size(outputs=5)}),
        ("readout", {"task": temporal_order, "H": 4}, {"task": temporal_order, "H": 3}),
        ("readout", {"task": temporal_order, "dtype": np.float32}, {"task": temporal_order}),
    ],
    ids=["inputs 5", "inputs 7", "outputs 3", "outputs 5", "units", "dtype"],
)
def test_sizes_that_do_not_fit_name_the_part(kind, blamed, network_for, readout_for):
    network, _ = random_network(kind, **network_for)
    _, readout = random_network(kind, **readout_for)
    before = copies(network, readout)
    with pytest.raises((TypeError, ValueError), match=rf"^{blamed}\b"):
        call_fit(network=network, readout=readout, batch=32)
    for name, w in parameters_of(network, readout).items():
        np.testing.assert_array_equal(w, before[name])
