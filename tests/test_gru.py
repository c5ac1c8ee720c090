"""The gated recurrent unit against its equations, finite differences, explicit sums and PyTorch."""

import tracemalloc

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

from rnn_notes import GRU, SGD, Adam, GRUGradients, GRUState, Readout, adding, fit

PARAMETERS = ("W_x", "W_h", "b", "b_n")
GRADIENTS = (*PARAMETERS, "x", "h0")
STATE = ("h", "gates", "n", "recurrent")

sizes = st.tuples(st.integers(1, 5), *[st.integers(1, 3)] * 3)  # T, B, I, H
every_loss = pytest.mark.parametrize("last", [False, True], ids=["every step", "last state"])


def random_run(T, B, I, H, seed=0, last=False):  # noqa: E741
    """Return a GRU, x, h0 and dh, normal, the weights scaled so that no gate saturates."""
    rng = np.random.default_rng(seed)
    shapes = [(3 * H, I), (3 * H, H), (3 * H,), (H,), (T, B, I), (B, H), (B, H) if last else (T, B, H)]
    W_x, W_h, b, b_n, x, h0, dh = map(rng.standard_normal, shapes)
    return GRU(W_x / np.sqrt(I), W_h / np.sqrt(H), b, b_n), x, h0, dh


def attributes(result, names=GRADIENTS):
    return {name: getattr(result, name) for name in names}


def rewritten(gru, change):
    """Return a GRU whose parameters are those of `gru` after the function `change`."""
    return GRU(**{name: change(array) for name, array in gru.parameters().items()})


def σ(z):
    return 1 / (1 + np.exp(-z))


def step(gru, x, h):
    """Return r, z, n, W_hn h + b_n and the next state for one sequence, from the equations."""
    H = len(h)
    W_xr, W_xz, W_xn = np.split(gru.W_x, 3)
    W_hr, W_hz, W_hn = np.split(gru.W_h, 3)
    r = σ(W_xr @ x + W_hr @ h + gru.b[:H])
    z = σ(W_xz @ x + W_hz @ h + gru.b[H : 2 * H])
    behind = W_hn @ h + gru.b_n
    n = np.tanh(W_xn @ x + gru.b[2 * H :] + r * behind)
    return r, z, n, behind, (1 - z) * n + z * h


@pytest.mark.parametrize("size", [(5, 3, 2, 4), (1, 1, 1, 1), (4, 2, 3, 1)], ids=str)
@pytest.mark.parametrize("given_h0", [True, False])
def test_forward_is_the_equation(given_h0, size):
    T, B, _, H = size
    gru, x, h0, _ = random_run(*size)
    state = gru.forward(x, h0 if given_h0 else None)
    for n in range(B):
        h = h0[n] if given_h0 else np.zeros(H)
        np.testing.assert_array_equal(state.h[0, n], h)
        for t in range(1, T + 1):
            *gates, h = step(gru, x[t - 1, n], h)
            computed = (state.r, state.z, state.n, state.recurrent, state.h[1:])
            for actual, expected in zip(computed, (*gates, h), strict=True):
                np.testing.assert_allclose(actual[t - 1, n], expected, rtol=1e-12, atol=1e-14)


def test_gates_are_views_in_the_order_r_z():
    gru, x, *_ = random_run(5, 3, 2, 4)
    state = gru.forward(x)
    for number, name in enumerate("rz"):
        gate = getattr(state, name)
        assert gate.shape == (5, 3, 4)
        gate[...] = number
    np.testing.assert_array_equal(state.gates, np.broadcast_to(np.repeat([0.0, 1.0], 4), (5, 3, 8)))


@random_runs
@given(size=sizes, seed=seeds, last=st.booleans())
def test_gradients_equal_central_differences(size, seed, last):
    gru, x, h0, dh = random_run(*size, seed, last)
    given_arrays = gru.parameters() | {"x": x, "h0": h0}

    def loss(**changed):
        arrays = given_arrays | changed
        h = GRU(*map(arrays.get, PARAMETERS)).forward(arrays["x"], arrays["h0"]).h
        return np.sum(dh * (h[-1] if last else h[1:]))

    expected = {
        name: central_differences(lambda a, name=name: loss(**{name: a}), array, 1e-3).reshape(array.shape)
        for name, array in given_arrays.items()
    }
    assert_attributes_close(gru.backward(x, gru.forward(x, h0), dh), expected, rtol=1e-7, atol=1e-10)


@every_loss
@pytest.mark.parametrize(
    "size", [(1, 1, 1, 1), (1, 3, 2, 4), (9, 1, 3, 5), (9, 4, 1, 5), (9, 4, 3, 1), (30, 8, 6, 20)], ids=str
)
def test_gradients_equal_pytorch(size, last):
    """Of PyTorch's two biases, r and z see the sum; n has one on each side of the reset gate."""
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    _, _, inputs, H = size
    gru, x, h0, dh = random_run(*size, last=last)
    bias_hh = np.concatenate([np.random.default_rng(1).standard_normal(2 * H), gru.b_n])
    bias_ih = gru.b - np.concatenate([bias_hh[: 2 * H], np.zeros(H)])
    theirs = torch.nn.GRU(inputs, H, dtype=torch.float64)
    arrays = {"weight_ih_l0": gru.W_x, "weight_hh_l0": gru.W_h, "bias_ih_l0": bias_ih, "bias_hh_l0": bias_hh}
    theirs.load_state_dict({name: torch.from_numpy(array) for name, array in arrays.items()})
    leaves = {"x": torch.from_numpy(x).requires_grad_(), "h0": torch.from_numpy(h0)[None].requires_grad_()}
    states, final = theirs(leaves["x"], leaves["h0"])
    (final[0] if last else states).backward(torch.from_numpy(dh))

    state = gru.forward(x, h0)
    np.testing.assert_allclose(state.h[1:], states.detach().numpy(), rtol=1e-10, atol=1e-12)
    leaves |= {"W_x": theirs.weight_ih_l0, "W_h": theirs.weight_hh_l0, "b": theirs.bias_ih_l0}
    expected = {name: leaf.grad.numpy() for name, leaf in leaves.items()}
    expected |= {"h0": expected["h0"][0], "b_n": theirs.bias_hh_l0.grad.numpy()[2 * H :]}
    assert_attributes_close(gru.backward(x, state, dh), expected, rtol=1e-10)


# With B · H numbers per step, these cross the blocks of 2**15 numbers in which `backward` works.
@every_loss
@pytest.mark.parametrize(
    "size", [(5, 3, 2, 4), (40, 1000, 1, 1), (8, 2048, 2, 4), (3, 40_000, 1, 1)], ids=str
)
def test_gradients_of_blocks_are_those_of_few_sequences(size, last):
    B = size[1]
    gru, x, h0, dh = random_run(*size, last=last)
    whole = gru.backward(x, gru.forward(x, h0), dh)
    few = [slice(at, at + 500) for at in range(0, B, 500)]
    parts = [gru.backward(x[:, n], gru.forward(x[:, n], h0[n]), dh[..., n, :]) for n in few]
    expected = {name: sum(getattr(part, name) for part in parts) for name in PARAMETERS}
    expected["x"] = np.concatenate([part.x for part in parts], axis=1)
    expected["h0"] = np.concatenate([part.h0 for part in parts])
    assert_attributes_close(whole, expected, rtol=1e-11)


def test_a_large_bias_of_the_update_gate_keeps_the_state_and_its_gradient():
    gru, x, h0, dh = random_run(20, 2, 3, 4, last=True)
    gru.b[4:8] = 800.0
    state = gru.forward(x, h0)
    assert_close(state.h[-1], h0, rtol=1e-14)
    gradients = gru.backward(x, state, dh)
    np.testing.assert_array_equal(gradients.h0, dh)
    for name in PARAMETERS:
        assert not getattr(gradients, name).any()


def explicit_truncation(gru, x, state, dh, window):
    """Sum over all pairs (t, k), t - k <= window, what the loss at t owes to the state k."""
    T = len(x)
    H = state.h.shape[-1]
    expected = {name: np.zeros_like(w) for name, w in gru.parameters().items()}
    expected |= {"x": np.zeros_like(x), "h0": np.zeros((1, H))}
    J = gru.step_jacobians(state)[:, 0]
    for t in range(1, T + 1):
        row = dh[t - 1, 0]
        for k in range(t, max(0, t - window) - 1, -1):
            if k == 0:
                expected["h0"][0] += row
                continue
            one = gru.backward(
                x[k - 1 : k], gru.forward(x[k - 1 : k], state.h[k - 1]), np.ascontiguousarray(row[None])
            )
            for name in PARAMETERS:
                expected[name] += getattr(one, name)
            expected["x"][k - 1] += one.x[0]
            row = row @ J[k - 1]
    return expected


@every_loss
@pytest.mark.parametrize("window", [1, 2, 4, 6, 7])
def test_window_is_the_sum_over_pairs(window, last):
    gru, x, h0, dh = random_run(7, 1, 2, 3, last=last)
    state = gru.forward(x, h0)
    every = np.zeros((7, 1, 3))
    every[-1 if last else slice(None)] = dh
    expected = explicit_truncation(gru, x, state, every, window)
    assert_attributes_close(gru.backward(x, state, dh, window), expected, rtol=1e-11)


@every_loss
def test_window_of_the_whole_sequence_is_no_truncation(last):
    gru, x, h0, dh = random_run(7, 3, 2, 4, last=last)
    state = gru.forward(x, h0)
    full = attributes(gru.backward(x, state, dh))
    for window in (7, 8, 10**9, np.int64(7)):
        assert_attributes_close(gru.backward(x, state, dh, window), full, rtol=1e-14)
    one_short = gru.backward(x, state, dh, window=6)
    assert_attributes_close(one_short, full | {"h0": one_short.h0}, rtol=1e-12)
    assert not np.allclose(one_short.h0, full["h0"], rtol=1e-3, atol=0)


@random_runs
@given(size=sizes, seed=seeds, data=st.data())
def test_jacobians(size, seed, data):
    T, B, _, H = size
    gru, x, h0, _ = random_run(*size, seed)
    state = gru.forward(x, h0)
    t = data.draw(st.integers(0, T))
    k = data.draw(st.integers(0, t))
    J = gru.step_jacobians(state)
    assert J.shape == (T, B, H, H)
    stepwise = np.broadcast_to(np.eye(H), (B, H, H))
    for s in range(k, t):
        stepwise = J[s] @ stepwise
    product = gru.jacobian_product(state, k, t)
    np.testing.assert_allclose(product, stepwise, rtol=1e-9, atol=1e-12)
    if k < t:
        last_state = lambda start: gru.forward(x[k:t], start).h[-1]  # noqa: E731
        numeric = central_differences(last_state, state.h[k], 1e-3).reshape(B, H, B, H)
        for n in range(B):
            np.testing.assert_allclose(product[n], numeric[n, :, n], rtol=1e-6, atol=1e-9)


def test_jacobian_product_needs_no_memory_for_the_run():
    gru, x, *_ = random_run(200, 4, 2, 16)
    state = gru.forward(x)
    tracemalloc.start()
    gru.jacobian_product(state, 0, 200)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < gru.step_jacobians(state).nbytes / 10


@every_loss
@pytest.mark.parametrize("window", [None, 3])
def test_float32_stays_float32_and_near_float64(last, window):
    gru, x, h0, dh = random_run(20, 3, 2, 4, last=last)
    results = []
    for dtype in (np.float32, np.float64):  # the same numbers, rounded to float32
        convert = lambda a: a.astype(np.float32).astype(dtype)  # noqa: B023, E731
        other, inputs = rewritten(gru, convert), convert(x)
        state = other.forward(inputs, convert(h0))
        results.append(
            [
                *attributes(other.backward(inputs, state, convert(dh), window)).values(),
                *attributes(state, (*STATE, *"rz")).values(),
                other.forward(inputs).h,
                other.step_jacobians(state),
                other.jacobian_product(state, 2, 9),
            ]
        )
        assert {a.dtype for a in results[-1]} == {np.dtype(dtype)}
    for single, double in zip(*results, strict=True):
        assert_close(single, double, rtol=2e-5)


@every_loss
@pytest.mark.parametrize("window", [None, 3])
def test_arguments_are_neither_modified_nor_returned(last, window):
    gru, x, h0, dh = random_run(6, 3, 2, 4, last=last)
    state = gru.forward(x, h0)
    arguments = [*gru.parameters().values(), *attributes(state, STATE).values(), x, h0, dh]
    before = [a.copy() for a in arguments]
    for a in arguments:
        a.flags.writeable = False
    results = [
        *attributes(gru.forward(x, h0), STATE).values(),
        *attributes(gru.backward(x, state, dh, window)).values(),
        gru.step_jacobians(state),
        gru.jacobian_product(state, 3, 3),
    ]
    for number, result in enumerate(results):
        assert result.flags.writeable
        assert not any(np.shares_memory(result, a) for a in arguments + results[:number])
    for a, copy in zip(arguments, before, strict=True):
        np.testing.assert_array_equal(a, copy)


@pytest.mark.parametrize(
    "layout",
    [np.asfortranarray, lambda a: np.repeat(a, 2, axis=-1)[..., ::2], lambda a: a[::-1].copy()[::-1]],
    ids=["Fortran", "every second", "backward"],
)
@every_loss
@pytest.mark.parametrize("window", [None, 3])
def test_memory_order_does_not_matter(last, layout, window):
    gru, x, h0, dh = random_run(6, 3, 2, 4, last=last)
    state = gru.forward(x, h0)
    other = rewritten(gru, layout)
    assert_attributes_close(other.forward(layout(x), layout(h0)), attributes(state, STATE), rtol=1e-13)
    other_state = GRUState(**{name: layout(array) for name, array in attributes(state, STATE).items()})
    expected = attributes(gru.backward(x, state, dh, window))
    assert_attributes_close(other.backward(layout(x), other_state, layout(dh), window), expected, rtol=1e-12)
    assert_close(other.step_jacobians(other_state), gru.step_jacobians(state), rtol=1e-13)
    assert_close(other.jacobian_product(other_state, 1, 5), gru.jacobian_product(state, 1, 5), rtol=1e-13)


def test_two_chunks_joined_through_the_state_are_the_whole():
    gru, x, h0, dh = random_run(9, 3, 2, 4)
    state = gru.forward(x, h0)
    whole = gru.backward(x, state, dh)
    early, late = gru.forward(x[:4], h0), gru.forward(x[4:], state.h[4])
    second = gru.backward(x[4:], late, dh[4:])
    joined = dh[:4].copy()
    joined[-1] += second.h0
    first = gru.backward(x[:4], early, joined)
    np.testing.assert_array_equal(first.h0, whole.h0)
    expected = {name: getattr(first, name) + getattr(second, name) for name in PARAMETERS}
    expected["x"] = np.concatenate([first.x, second.x])
    assert_attributes_close(whole, expected, rtol=1e-13)


@every_loss
@pytest.mark.parametrize("batch", [4, 64])
def test_backward_needs_about_the_memory_of_states_and_gates(batch, last):
    peaks = []
    for T in (50, 200):
        gru, x, _, dh = random_run(T, batch, 8, 16, last=last)
        state = gru.forward(x)
        tracemalloc.start()
        gru.backward(x, state, dh)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert peaks[-1] < 2 * sum(array.nbytes for array in attributes(state, STATE).values())
    assert peaks[1] < 5 * peaks[0]  # linear: 4 times, quadratic: 16 times


@pytest.mark.parametrize("make", [lambda: SGD(0.1, momentum=0.9), lambda: Adam(0.01)], ids=["SGD", "Adam"])
def test_it_trains_on_the_adding_problem(make):
    """Without memory the error is 1/6. A hundred updates bring the GRU well below."""
    rng = np.random.default_rng(0)
    uniform = lambda *shape: rng.uniform(-0.25, 0.25, shape)  # noqa: E731
    gru = GRU(uniform(48, 2), uniform(48, 16), uniform(48), uniform(16))
    before = {name: w.copy() for name, w in gru.parameters().items()}
    history = fit(
        gru, Readout(uniform(1, 16), np.zeros(1)), adding, make(), rng, length=8, steps=300, clip=1.0
    )
    assert history.error[:5].mean() > 1 / 6
    assert history.error[-20:].mean() < 1 / 12
    for name, w in gru.parameters().items():
        assert (w != before[name]).all()


# Bad input. The network below has T = 5, B = 2, I = 3, H = 4; each row replaces one argument of one call.

RIGHT = {
    "W_x": (12, 3),
    "W_h": (12, 4),
    "b": (12,),
    "b_n": (4,),
    "x": (5, 2, 3),
    "h0": (2, 4),
    "dh": (5, 2, 4),
    "state.h": (6, 2, 4),
    "state.gates": (5, 2, 8),
    "state.n": (5, 2, 4),
    "state.recurrent": (5, 2, 4),
}
METHODS = ("backward", "step_jacobians", "jacobian_product")
WRONG_STATE = {
    "state.h": [(5, 2, 4), (7, 2, 4), (6, 1, 4), (6, 2, 3), (6, 2, 1), (6, 4), (0, 2, 4)],
    "state.n": [(6, 2, 4), (5, 1, 4), (5, 2, 1), (5, 4)],
    "state.recurrent": [(6, 2, 4), (5, 1, 4), (5, 2, 1), (5, 4)],
}
WRONG_SHAPES = {  # call, argument: shapes
    ("GRU", "W_x"): [(12,), (12, 3, 1), (0, 3), (12, 0), (11, 3), (13, 3), (2, 3), (1, 3), ()],
    ("GRU", "W_h"): [(12, 3), (4, 4), (12, 12), (4, 12), (1, 4), (12,), (1, 12, 4), (12, 0)],
    ("GRU", "b"): [(12, 1), (1, 12), (1,), (4,), (11,), (24,), (0,), ()],
    ("GRU", "b_n"): [(4, 1), (1, 4), (1,), (3,), (12,), (0,), ()],
    ("forward", "x"): [(0, 2, 3), (5, 0, 3), (5, 2, 4), (5, 2, 1), (5, 3), (3,), (1, 5, 2, 3)],
    ("forward", "h0"): [(1, 4), (4,), (2, 1), (2, 3), (1, 2, 4), (0, 4)],
    ("backward", "x"): [(0, 2, 3), (5, 0, 3), (5, 2, 4), (5, 2, 1), (5, 3), (3,), (1, 5, 2, 3)],
    ("backward", "dh"): [(6, 2, 4), (1, 2, 4), (5, 1, 4), (5, 2, 1), (1, 4), (4,), (), (2, 3), (0, 4)],
    ("backward", "state.gates"): [(6, 2, 8), (5, 1, 8), (1, 2, 8), (5, 2, 4), (5, 2, 12), (5, 2, 2, 4)],
} | {(method, name): shapes for method in METHODS for name, shapes in WRONG_STATE.items()}


def call(method, **replaced):
    """Call one method, with the arguments in `replaced` instead of the right ones."""
    values = {name: np.zeros(shape) for name, shape in RIGHT.items()} | {"k": 0, "t": 5} | replaced
    values.setdefault("state", GRUState(**{name: values[f"state.{name}"] for name in STATE}))
    take = lambda *names: {name: values[name] for name in names if name in values}  # noqa: E731
    gru = GRU(**take("W_x", "W_h", "b", "b_n"))
    match method:
        case "forward":
            gru.forward(**take("x", "h0"))
        case "backward":
            gru.backward(**take("x", "state", "dh", "window"))
        case "step_jacobians":
            gru.step_jacobians(**take("state"))
        case "jacobian_product":
            gru.jacobian_product(**take("state", "k", "t"))


@pytest.mark.parametrize("method", ["GRU", "forward", *METHODS])
def test_the_right_arguments_raise_nothing(method):
    call(method)


@pytest.mark.parametrize(
    ("method", "name", "shape"), [(*key, shape) for key, shapes in WRONG_SHAPES.items() for shape in shapes]
)
def test_wrong_shape(method, name, shape):
    with pytest.raises(ValueError) as error:
        call(method, **{name: np.zeros(shape)})
    message = str(error.value)
    assert message.startswith(f"{name} must have shape (")
    assert message.endswith(f"got {shape}")


@pytest.mark.parametrize(
    ("method", "name", "right"),
    [
        ("GRU", "W_x", "(3H, I)"),
        ("GRU", "W_h", "(12, 4)"),
        ("GRU", "b", "(12,)"),
        ("GRU", "b_n", "(4,)"),
        ("forward", "x", "(T, B, 3)"),
        ("forward", "h0", "(2, 4)"),
        ("backward", "x", "(T, B, 3)"),
        ("backward", "dh", "(5, 2, 4) or (2, 4)"),
        ("backward", "state.gates", "(5, 2, 8)"),
        ("backward", "state.h", "(6, 2, 4)"),
        ("step_jacobians", "state.gates", "(T, B, 8)"),
        ("jacobian_product", "state.gates", "(T, B, 8)"),
    ],
)
def test_the_message_has_the_right_shape(method, name, right):
    with pytest.raises(ValueError) as error:
        call(method, **{name: np.zeros((9, 9, 9, 9))})
    least = ", each size at least 1" * ("B" in right or "I" in right)
    assert str(error.value) == f"{name} must have shape {right}{least}, got (9, 9, 9, 9)"


@pytest.mark.parametrize(("method", "name"), WRONG_SHAPES)
@every_wrong_array
def test_wrong_type_or_value(method, name, spoil, error, message):
    value = spoil(np.zeros(RIGHT[name]))
    with pytest.raises(error) as caught:
        call(method, **{name: value})
    assert str(caught.value).startswith(f"{name} must ")
    assert message in str(caught.value)


@pytest.mark.parametrize(("method", "name"), [key for key in WRONG_SHAPES if key[1] != "W_x"])
def test_mixed_dtypes(method, name):
    with pytest.raises(TypeError, match=f"^{name} must have dtype float64, got float32$"):
        call(method, **{name: np.zeros(RIGHT[name], np.float32)})


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "value",
    [None, np.zeros((6, 2, 4)), GRUGradients(**dict.fromkeys(GRADIENTS, np.zeros((2, 4))))],
    ids=lambda value: type(value).__name__,
)
def test_state_of_another_type(method, value):
    message = f"^state must be the GRUState that forward returned, got {type(value).__name__}$"
    with pytest.raises(TypeError, match=message):
        call(method, state=value)


@pytest.mark.parametrize(
    ("method", "name", "value", "error"),
    [
        ("backward", "window", 0, ValueError),
        ("backward", "window", 2.0, TypeError),
        ("backward", "window", True, TypeError),
        ("jacobian_product", "t", 6, ValueError),
        ("jacobian_product", "t", -1, ValueError),
        ("jacobian_product", "t", 1.0, TypeError),
        ("jacobian_product", "k", 6, ValueError),
        ("jacobian_product", "k", None, TypeError),
    ],
)
def test_wrong_option(method, name, value, error):
    with pytest.raises(error) as caught:
        call(method, **{name: value})
    assert str(caught.value).startswith(f"{name} must be an integer ")
    assert repr(value) in str(caught.value)
