"""Long short-term memory against its equations, finite differences, explicit Jacobians and PyTorch."""

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

from rnn_notes import LSTM, LSTMGradients, LSTMState

PARAMETERS = ("W_x", "W_h", "b")
GRADIENTS = (*PARAMETERS, "x", "h0", "c0")
STATE = ("h", "c", "gates")

sizes = st.tuples(st.integers(1, 5), *[st.integers(1, 3)] * 3)  # T, B, I, H
every_loss = pytest.mark.parametrize("last", [False, True], ids=["every step", "last state"])


def random_run(T, B, I, H, seed=0, last=False):  # noqa: E741
    """Return an LSTM, x, h0, c0 and dh, normal, the weights scaled so that no gate saturates."""
    rng = np.random.default_rng(seed)
    shapes = [(4 * H, I), (4 * H, H), (4 * H,), (T, B, I), (B, H), (B, H), (B, H) if last else (T, B, H)]
    W_x, W_h, b, x, h0, c0, dh = map(rng.standard_normal, shapes)
    return LSTM(W_x / np.sqrt(I), W_h / np.sqrt(H), b), x, h0, c0, dh


def attributes(result, names=GRADIENTS):
    return {name: getattr(result, name) for name in names}


def rewritten(lstm, change):
    """Return an LSTM whose parameters are those of `lstm` after the function `change`."""
    return LSTM(**{name: change(getattr(lstm, name)) for name in PARAMETERS})


def σ(z):
    return 1 / (1 + np.exp(-z))


def step_jacobians(lstm, x, h, c):
    """Return ∂(h⁽ᵗ⁾, c⁽ᵗ⁾) by ∂(h⁽ᵗ⁻¹⁾, c⁽ᵗ⁻¹⁾) and by ∂z⁽ᵗ⁾ from x⁽ᵗ⁾, h⁽ᵗ⁻¹⁾, c⁽ᵗ⁻¹⁾, for each sequence."""
    z_i, z_f, z_g, z_o = np.split(x @ lstm.W_x.T + h @ lstm.W_h.T + lstm.b, 4, axis=-1)
    diagonal = lambda v: v[..., None] * np.eye(h.shape[-1])  # noqa: E731
    slope = lambda z: 1 / (2 * np.cosh(z / 2)) ** 2  # noqa: E731 - σ′
    none = diagonal(np.zeros_like(h))
    new_c = σ(z_f) * c + σ(z_i) * np.tanh(z_g)
    h_by_c = σ(z_o) / np.cosh(new_c) ** 2
    z_parts = (slope(z_i) * np.tanh(z_g), slope(z_f) * c, σ(z_i) / np.cosh(z_g) ** 2)
    c_by_z = np.concatenate([*map(diagonal, z_parts), none], axis=-1)
    h_by_o = np.concatenate([none, none, none, diagonal(slope(z_o) * np.tanh(new_c))], axis=-1)
    by_z = np.concatenate([h_by_c[..., None] * c_by_z + h_by_o, c_by_z], axis=-2)
    by_c = np.concatenate([diagonal(h_by_c * σ(z_f)), diagonal(σ(z_f))], axis=-2)
    return np.concatenate([by_z @ lstm.W_h, by_c], axis=-1), by_z


def explicit_gradients(lstm, x, state, dh):
    """Return the gradients as products of the loss's row vector with whole Jacobian matrices."""
    T, B, H = dh.shape
    totals = {name: np.zeros_like(getattr(lstm, name)) for name in PARAMETERS} | {"x": np.empty_like(x)}
    row = np.zeros((B, 1, 2 * H))
    for t in range(T, 0, -1):
        row[:, 0, :H] += dh[t - 1]
        by_state, by_z = step_jacobians(lstm, x[t - 1], state.h[t - 1], state.c[t - 1])
        dz = (row @ by_z)[:, 0]
        totals["W_x"] += np.einsum("nz,ni->zi", dz, x[t - 1])
        totals["W_h"] += np.einsum("nz,nj->zj", dz, state.h[t - 1])
        totals["b"] += np.einsum("nz->z", dz)
        totals["x"][t - 1] = dz @ lstm.W_x
        row = row @ by_state
    return totals | {"h0": row[:, 0, :H], "c0": row[:, 0, H:]}


@pytest.mark.parametrize("size", [(5, 3, 2, 4), (1, 1, 1, 1), (4, 2, 3, 1)], ids=str)
@pytest.mark.parametrize("given_c0", [True, False])
@pytest.mark.parametrize("given_h0", [True, False])
def test_forward_is_the_equation(given_h0, given_c0, size):
    T, B, _, H = size
    lstm, x, h0, c0, _ = random_run(*size)
    state = lstm.forward(x, h0 if given_h0 else None, c0 if given_c0 else None)
    assert state.h.shape == state.c.shape == (T + 1, B, H)
    assert state.gates.shape == (T, B, 4 * H)
    for n in range(B):
        h = h0[n] if given_h0 else np.zeros(H)
        c = c0[n] if given_c0 else np.zeros(H)
        np.testing.assert_array_equal(state.h[0, n], h)
        np.testing.assert_array_equal(state.c[0, n], c)
        for t in range(1, T + 1):
            z = lstm.W_h @ h + lstm.W_x @ x[t - 1, n] + lstm.b
            i, f, g, o = σ(z[:H]), σ(z[H : 2 * H]), np.tanh(z[2 * H : 3 * H]), σ(z[3 * H :])
            c = f * c + i * g
            h = o * np.tanh(c)
            computed = (state.i, state.f, state.g, state.o, state.c[1:], state.h[1:])
            for actual, expected in zip(computed, (i, f, g, o, c, h), strict=True):
                np.testing.assert_allclose(actual[t - 1, n], expected, rtol=1e-12, atol=1e-14)


def test_gates_are_views_in_the_order_i_f_g_o():
    lstm, x, *_ = random_run(5, 3, 2, 4)
    state = lstm.forward(x)
    for number, name in enumerate("ifgo"):
        gate = getattr(state, name)
        assert gate.shape == (5, 3, 4)
        gate[...] = number
    np.testing.assert_array_equal(state.gates, np.broadcast_to(np.repeat(np.arange(4.0), 4), (5, 3, 16)))


@random_runs
@given(size=sizes, seed=seeds, last=st.booleans())
def test_gradients_equal_central_differences(size, seed, last):
    lstm, x, h0, c0, dh = random_run(*size, seed, last)
    given_arrays = attributes(lstm, PARAMETERS) | {"x": x, "h0": h0, "c0": c0}

    def loss(**changed):
        arrays = given_arrays | changed
        moved = LSTM(*map(arrays.get, PARAMETERS))
        h = moved.forward(arrays["x"], arrays["h0"], arrays["c0"]).h
        return np.sum(dh * (h[-1] if last else h[1:]))

    expected = {
        name: central_differences(lambda a, name=name: loss(**{name: a}), array, 1e-3).reshape(array.shape)
        for name, array in given_arrays.items()
    }
    assert_attributes_close(lstm.backward(x, lstm.forward(x, h0, c0), dh), expected, rtol=1e-7, atol=1e-10)


@every_loss
@pytest.mark.parametrize(
    "size", [(1, 1, 1, 1), (1, 3, 2, 4), (9, 1, 3, 5), (9, 4, 1, 5), (9, 4, 3, 1), (30, 8, 6, 20)], ids=str
)
def test_gradients_equal_pytorch(size, last):
    """PyTorch has two biases; b is their sum, and each has the gradient of the sum."""
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    _, _, inputs, H = size
    lstm, x, h0, c0, dh = random_run(*size, last=last)
    bias_hh = np.random.default_rng(1).standard_normal(4 * H)
    theirs = torch.nn.LSTM(inputs, H, dtype=torch.float64)
    arrays = {"weight_ih_l0": lstm.W_x, "weight_hh_l0": lstm.W_h}
    arrays |= {"bias_ih_l0": lstm.b - bias_hh, "bias_hh_l0": bias_hh}
    theirs.load_state_dict({name: torch.from_numpy(array) for name, array in arrays.items()})
    leaves = {"x": torch.from_numpy(x), "h0": torch.from_numpy(h0)[None], "c0": torch.from_numpy(c0)[None]}
    for leaf in leaves.values():
        leaf.requires_grad_()
    states, (final_h, final_c) = theirs(leaves["x"], (leaves["h0"], leaves["c0"]))
    (final_h[0] if last else states).backward(torch.from_numpy(dh))

    state = lstm.forward(x, h0, c0)
    np.testing.assert_allclose(state.h[1:], states.detach().numpy(), rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(state.c[-1], final_c[0].detach().numpy(), rtol=1e-10, atol=1e-12)
    leaves |= {"W_x": theirs.weight_ih_l0, "W_h": theirs.weight_hh_l0}
    gradients = lstm.backward(x, state, dh)
    for bias in (theirs.bias_ih_l0, theirs.bias_hh_l0):
        expected = {name: leaf.grad.numpy() for name, leaf in (leaves | {"b": bias}).items()}
        expected |= {"h0": expected["h0"][0], "c0": expected["c0"][0]}
        assert_attributes_close(gradients, expected, rtol=1e-10)


# With B · H numbers per step, these cross the blocks of 2**15 numbers in which `backward` works: one block
# and a part of the next, whole blocks, and one step that is larger than a block.
@every_loss
@pytest.mark.parametrize(
    "size", [(5, 3, 2, 4), (40, 1000, 1, 1), (8, 2048, 2, 4), (3, 40_000, 1, 1)], ids=str
)
def test_gradients_equal_products_of_jacobians(size, last):
    T, B, _, H = size
    lstm, x, h0, c0, dh = random_run(*size, last=last)
    every = np.zeros((T, B, H))
    every[-1 if last else slice(None)] = dh
    state = lstm.forward(x, h0, c0)
    expected = explicit_gradients(lstm, x, state, every)
    assert_attributes_close(lstm.backward(x, state, dh), expected, rtol=1e-11)


def test_loss_on_the_last_state_is_a_loss_on_every_step_with_zeros():
    lstm, x, h0, c0, dh = random_run(6, 3, 2, 4, last=True)
    state = lstm.forward(x, h0, c0)
    every = np.zeros((6, 3, 4))
    every[-1] = dh
    expected = attributes(lstm.backward(x, state, every))
    assert_attributes_close(lstm.backward(x, state, dh), expected, rtol=1e-13)


@every_loss
@pytest.mark.parametrize("window", [None, 1, 3, 7])
def test_gradient_at_the_last_cell(last, window):
    """A loss with a term of the last cell: dc is its derivative; the rest is as without."""
    lstm, x, h0, c0, dh = random_run(7, 1, 2, 3, last=last)
    dc = np.random.default_rng(1).standard_normal((1, 3))
    state = lstm.forward(x, h0, c0)
    alone = lstm.backward(x, state, np.zeros((1, 3)), dc=dc, window=window)
    without = lstm.backward(x, state, dh, window=window)
    expected = {name: getattr(alone, name) + getattr(without, name) for name in GRADIENTS}
    assert_attributes_close(lstm.backward(x, state, dh, dc, window), expected, rtol=1e-12)
    if window in (None, 7):
        loss = lambda start: np.sum(dc * lstm.forward(x, h0, start).c[-1])  # noqa: E731
        expected = {"c0": central_differences(loss, c0, 1e-3).reshape(c0.shape)}
        assert_attributes_close(alone, expected, rtol=1e-8)


@every_loss
@pytest.mark.parametrize("cut", [1, 4, 8])
def test_two_chunks_joined_through_h_and_c_are_the_whole(last, cut):
    lstm, x, h0, c0, dh = random_run(9, 3, 2, 4, last=last)
    whole = lstm.backward(x, lstm.forward(x, h0, c0), dh)
    early = lstm.forward(x[:cut], h0, c0)
    late = lstm.forward(x[cut:], early.h[-1], early.c[-1])
    second = lstm.backward(x[cut:], late, dh if last else dh[cut:])
    joined = np.zeros((cut, 3, 4)) if last else dh[:cut].copy()
    joined[-1] += second.h0
    first = lstm.backward(x[:cut], early, joined, dc=second.c0)
    np.testing.assert_array_equal(first.h0, whole.h0)  # exactly
    np.testing.assert_array_equal(first.c0, whole.c0)
    expected = {name: getattr(first, name) + getattr(second, name) for name in PARAMETERS}
    expected["x"] = np.concatenate([first.x, second.x])
    assert_attributes_close(whole, expected, rtol=1e-13)


@every_loss
@pytest.mark.parametrize("window", [1, 2, 4, 6, 7])
def test_window_is_the_sum_over_pairs(window, last):
    """Sum over all pairs (t, k) with t - k <= window what the loss at t owes to the state (h, c) of k."""
    T, B, _, H = 7, 2, 3, 3
    lstm, x, h0, c0, dh = random_run(T, B, 3, H, last=last)
    state = lstm.forward(x, h0, c0)
    expected = {name: np.zeros_like(w) for name, w in lstm.parameters().items()}
    expected |= {"x": np.zeros_like(x), "h0": np.zeros_like(h0), "c0": np.zeros_like(c0)}
    for t in [T] if last else range(1, T + 1):
        row = np.concatenate([dh if last else dh[t - 1], np.zeros((B, H))], axis=-1)[:, None]
        for k in range(t, max(0, t - window) - 1, -1):
            if k == 0:
                expected["h0"] += row[:, 0, :H]
                expected["c0"] += row[:, 0, H:]
                continue
            by_state, by_z = step_jacobians(lstm, x[k - 1], state.h[k - 1], state.c[k - 1])
            dz = (row @ by_z)[:, 0]
            expected["W_x"] += dz.T @ x[k - 1]
            expected["W_h"] += dz.T @ state.h[k - 1]
            expected["b"] += dz.sum(axis=0)
            expected["x"][k - 1] += dz @ lstm.W_x
            row = row @ by_state
    assert_attributes_close(lstm.backward(x, state, dh, window=window), expected, rtol=1e-11)


@random_runs
@given(size=sizes, seed=seeds, data=st.data())
def test_jacobians_of_the_whole_state(size, seed, data):
    T, B, _, H = size
    lstm, x, h0, c0, _ = random_run(*size, seed)
    state = lstm.forward(x, h0, c0)
    k, t = sorted(data.draw(st.tuples(*[st.integers(0, T)] * 2)))
    J = lstm.step_jacobians(state)
    assert J.shape == (T, B, 2 * H, 2 * H)
    product = np.broadcast_to(np.eye(2 * H), (B, 2 * H, 2 * H))
    for s in range(T):
        expected, _ = step_jacobians(lstm, x[s], state.h[s], state.c[s])
        assert_close(J[s], expected, rtol=1e-12)
        if k <= s < t:
            product = expected @ product
    assert_close(lstm.jacobian_product(state, k, t), product, rtol=1e-11)


def test_jacobian_product_needs_no_memory_for_the_run():
    lstm, x, *_ = random_run(200, 4, 2, 16)
    state = lstm.forward(x)
    tracemalloc.start()
    lstm.jacobian_product(state, 0, 200)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < lstm.step_jacobians(state).nbytes / 10


def derivative_along_the_run(lstm, x, state, k, t):
    """Return ∂c⁽ᵗ⁾/∂c⁽ᵏ⁾ with h⁽ᵏ⁾ held fixed, of shape (B, H, B, H), from central differences."""
    last_cell = lambda c: lstm.forward(x[k:t], state.h[k], c).c[-1]  # noqa: E731
    return central_differences(last_cell, state.c[k], 1e-3).reshape(state.c[k].shape * 2)


@random_runs
@given(size=sizes, seed=seeds, data=st.data())
def test_cell_path_is_the_derivative_without_recurrent_weights(size, seed, data):
    T, B, _, H = size
    lstm, x, h0, c0, dh = random_run(*size, seed, last=True)
    lstm.W_h[...] = 0
    t = data.draw(st.integers(1, T))
    k = data.draw(st.integers(0, t - 1))
    state = lstm.forward(x, h0, c0)
    numeric = derivative_along_the_run(lstm, x, state, k, t).reshape(B * H, B * H)
    np.testing.assert_allclose(np.diag(lstm.cell_path(state, k, t).ravel()), numeric, atol=1e-10)

    through_last = dh * state.o[-1] / np.cosh(state.c[-1]) ** 2
    assert_close(lstm.backward(x, state, dh).c0, through_last * lstm.cell_path(state, 0, T), rtol=1e-12)


@random_runs
@given(size=sizes, seed=seeds, data=st.data())
def test_cell_path_is_the_product_of_forget_gates(size, seed, data):
    T, B, _, H = size
    lstm, x, h0, c0, _ = random_run(*size, seed)
    k, s, t = sorted(data.draw(st.tuples(*[st.integers(0, T)] * 3)))
    state = lstm.forward(x, h0, c0)
    path = lstm.cell_path(state, k, t)
    expected = np.ones((B, H))
    for step in range(k, t):
        expected *= σ(x[step] @ lstm.W_x.T + state.h[step] @ lstm.W_h.T + lstm.b)[:, H : 2 * H]
    assert_close(path, expected, rtol=1e-12)
    assert_close(path, lstm.cell_path(state, k, s) * lstm.cell_path(state, s, t), rtol=1e-14)
    np.testing.assert_array_equal(lstm.cell_path(state, np.int64(t), t), np.ones((B, H)))
    assert path.min() >= 0
    assert path.max() <= 1


def test_cell_path_is_not_the_derivative_with_recurrent_weights():
    """One step has no other path, because h⁽ᵏ⁾ is held; from two steps on, paths lead through h."""
    lstm, x, h0, c0, _ = random_run(4, 1, 2, 3)
    lstm.W_h *= 4
    state = lstm.forward(x, h0, c0)
    for k in range(4):
        one_step = derivative_along_the_run(lstm, x, state, k, k + 1)[0, :, 0]
        np.testing.assert_allclose(np.diag(lstm.cell_path(state, k, k + 1)[0]), one_step, atol=1e-10)
    two_steps = derivative_along_the_run(lstm, x, state, 0, 2)[0, :, 0]
    np.testing.assert_allclose(  # the whole derivative is the block ∂c/∂c of a product of two Jacobians
        two_steps,
        np.matmul(*[step_jacobians(lstm, x[s], state.h[s], state.c[s])[0][0] for s in (1, 0)])[3:, 3:],
        atol=1e-9,
    )
    path = lstm.cell_path(state, 0, 2)[0]
    assert np.abs(np.diag(two_steps) - path).max() > 0.1
    assert np.abs(two_steps - np.diag(np.diag(two_steps))).max() > 0.1


@pytest.mark.parametrize(("b", "steps"), [(0.0, 2.0), (1.0, 1 + np.e), (np.log(99), 100.0)])
def test_a_constant_forget_gate_remembers_1_plus_exp_b_steps(b, steps):
    """Sum σ(b)ᵗ⁻ᵏ over all k; what is missing before k = 0 is at most 0.99²⁰⁰¹ = 2e-9 of the sum."""
    T = 2000
    lstm = LSTM(np.zeros((4, 1)), np.zeros((4, 1)), np.array([0.0, b, 0.0, 0.0]))
    state = lstm.forward(np.zeros((T, 1, 1)))
    total = sum(lstm.cell_path(state, k, T).item() for k in range(T + 1))
    assert total == pytest.approx(steps, rel=1e-8)


@pytest.mark.parametrize("size", [1e4, 1e30])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_saturated_gates_are_exact_and_pass_no_gradient(dtype, size):
    """Sixteen units, one for each way to open and shut the gates; no warning may appear."""
    signs = np.array(np.meshgrid(*[[-1, 1]] * 4)).reshape(64)
    ones = np.ones((2, 1), dtype)
    W_h = np.random.default_rng(0).standard_normal((64, 16)).astype(dtype)
    lstm = LSTM((size * signs[:, None]).astype(dtype), W_h, np.zeros(64, dtype))
    x, dh = np.ones((3, 2, 1), dtype), ones * np.linspace(1, 2, 16, dtype=dtype)
    state = lstm.forward(x, c0=ones * np.full(16, 0.5, dtype))
    i, f, g, o = signs.reshape(4, 16)
    i, f, o = i > 0, f > 0, o > 0
    for gate, expected in ((state.i, i), (state.f, f), (state.g, g), (state.o, o)):
        np.testing.assert_array_equal(gate, np.broadcast_to(expected, (3, 2, 16)))
    last = np.where(f, 0.5 + 3 * i * g, i * g)
    np.testing.assert_array_equal(state.c[-1], np.broadcast_to(last, (2, 16)))

    gradients = lstm.backward(x, state, dh)
    for name in GRADIENTS[:-1]:
        np.testing.assert_array_equal(getattr(gradients, name), 0)
    rtol = 1e4 * np.finfo(dtype).eps  # 1 - tanh² loses a factor of cosh²(3.5) = 275
    np.testing.assert_allclose(gradients.c0, dh * o * f / np.cosh(last) ** 2, rtol=rtol)


@every_loss
def test_float32_stays_float32_and_near_float64(last):
    lstm, x, h0, c0, dh = random_run(20, 3, 2, 4, last=last)
    results = []
    for dtype in (np.float32, np.float64):  # the same numbers, rounded to float32
        convert = lambda a: a.astype(np.float32).astype(dtype)  # noqa: B023, E731
        other, inputs = rewritten(lstm, convert), convert(x)
        state = other.forward(inputs, convert(h0), convert(c0))
        results.append(
            [
                *attributes(other.backward(inputs, state, convert(dh))).values(),
                *attributes(state, (*STATE, *"ifgo")).values(),
                *attributes(other.forward(inputs), STATE).values(),
                *attributes(other.backward(inputs, state, convert(dh), convert(c0), window=3)).values(),
                other.step_jacobians(state),
                *(other.jacobian_product(state, k, 8) for k in (2, 7, 8)),
                *(other.cell_path(state, k, 8) for k in (2, 7, 8)),
            ]
        )
        assert {a.dtype for a in results[-1]} == {np.dtype(dtype)}
    for single, double in zip(*results, strict=True):
        assert_close(single, double, rtol=1e-5)


@every_loss
def test_arguments_are_neither_modified_nor_returned(last):
    lstm, x, h0, c0, dh = random_run(6, 3, 2, 4, last=last)
    state = lstm.forward(x, h0, c0)
    arguments = [*attributes(lstm, PARAMETERS).values(), *attributes(state, STATE).values(), x, h0, c0, dh]
    before = [a.copy() for a in arguments]
    for a in arguments:
        a.flags.writeable = False
    results = [
        *attributes(lstm.forward(x, h0, c0), STATE).values(),
        *attributes(lstm.backward(x, state, dh)).values(),
        *attributes(lstm.backward(x, state, dh, c0, window=3)).values(),
        lstm.step_jacobians(state),
        lstm.jacobian_product(state, 3, 3),
        *(lstm.cell_path(state, k, 3) for k in (0, 2, 3)),
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
def test_memory_order_does_not_matter(last, layout):
    lstm, x, h0, c0, dh = random_run(6, 3, 2, 4, last=last)
    state = lstm.forward(x, h0, c0)
    other = rewritten(lstm, layout)
    assert_attributes_close(
        other.forward(layout(x), layout(h0), layout(c0)), attributes(state, STATE), rtol=1e-13
    )
    other_state = LSTMState(**{name: layout(array) for name, array in attributes(state, STATE).items()})
    expected = attributes(lstm.backward(x, state, dh))
    assert_attributes_close(other.backward(layout(x), other_state, layout(dh)), expected, rtol=1e-12)
    expected = attributes(lstm.backward(x, state, dh, c0, window=2))
    assert_attributes_close(
        other.backward(layout(x), other_state, layout(dh), layout(c0), 2), expected, rtol=1e-12
    )
    assert_close(other.step_jacobians(other_state), lstm.step_jacobians(state), rtol=1e-13)
    assert_close(other.jacobian_product(other_state, 1, 5), lstm.jacobian_product(state, 1, 5), rtol=1e-13)
    assert_close(other.cell_path(other_state, 1, 5), lstm.cell_path(state, 1, 5), rtol=1e-14)


@pytest.mark.parametrize("name", PARAMETERS)
def test_parameters_are_kept_and_checked_again(name):
    lstm, x, *_, dh = random_run(4, 2, 3, 3)
    parameters = {name: array.copy() for name, array in attributes(lstm, PARAMETERS).items()}
    lstm, parameter = LSTM(**parameters), parameters[name]
    before = lstm.forward(x)
    parameter -= 0.1  # in place: what training does
    assert np.abs(lstm.forward(x).h - before.h).max() > 1e-3
    for wrong, message in [
        (np.full(parameter.shape, np.nan), "be finite, got nan"),
        (np.zeros((12, 3, 1)), "have shape .*got \\(12, 3, 1\\)$"),
    ]:
        setattr(lstm, name, wrong)
        for call in (
            lambda: lstm.forward(x),
            lambda: lstm.backward(x, before, dh),
            lambda: lstm.cell_path(before, 0, 4),
        ):
            with pytest.raises(ValueError, match=f"^{name} must {message}"):
                call()


@every_loss
@pytest.mark.parametrize("batch", [4, 64])
def test_backward_needs_about_the_memory_of_states_and_gates(batch, last):
    peaks = []
    for T in (50, 200):
        lstm, x, _, _, dh = random_run(T, batch, 8, 16, last=last)
        state = lstm.forward(x)
        tracemalloc.start()
        lstm.backward(x, state, dh)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        kept = sum(array.nbytes for array in attributes(state, STATE).values())
        assert peaks[-1] < 2 * kept
    assert peaks[1] < 5 * peaks[0]  # linear: 4 times, quadratic: 16 times


# Bad input. The network below has T = 5, B = 2, I = 3, H = 4; each row replaces one argument of one call.

RIGHT = {
    "W_x": (16, 3),
    "W_h": (16, 4),
    "b": (16,),
    "x": (5, 2, 3),
    "h0": (2, 4),
    "c0": (2, 4),
    "dh": (5, 2, 4),
    "dc": (2, 4),
    "state.h": (6, 2, 4),
    "state.c": (6, 2, 4),
    "state.gates": (5, 2, 16),
}
WRONG_START = [(1, 4), (4,), (2, 1), (2, 3), (1, 2, 4), (0, 4)]
WRONG_STATES = [(5, 2, 4), (7, 2, 4), (6, 1, 4), (6, 3, 4), (6, 2, 3), (6, 2, 1), (6, 4), (0, 2, 4)]
WRONG_SHAPES = {  # call, argument: shapes
    ("LSTM", "W_x"): [(16,), (16, 3, 1), (0, 3), (16, 0), (15, 3), (17, 3), (18, 3), (3, 3), (1, 3), ()],
    ("LSTM", "W_h"): [(16, 3), (4, 4), (16, 16), (4, 16), (1, 4), (16,), (1, 16, 4), (16, 0)],
    ("LSTM", "b"): [(16, 1), (1, 16), (1,), (4,), (15,), (32,), (0,), ()],
    ("forward", "x"): [(0, 2, 3), (5, 0, 3), (5, 2, 4), (5, 2, 1), (5, 3), (3,), (1, 5, 2, 3)],
    ("forward", "h0"): WRONG_START,
    ("forward", "c0"): WRONG_START,
    ("backward", "x"): [(0, 2, 3), (5, 0, 3), (5, 2, 4), (5, 2, 1), (5, 3), (3,), (1, 5, 2, 3)],
    ("backward", "dc"): WRONG_START,
    ("backward", "dh"): [(6, 2, 4), (1, 2, 4), (5, 1, 4), (5, 2, 1), (1, 4), (4,), (), (2, 3), (0, 4)],
    ("backward", "state.h"): WRONG_STATES,
    ("backward", "state.c"): WRONG_STATES,
    ("backward", "state.gates"): [(6, 2, 16), (5, 1, 16), (1, 2, 16), (5, 2, 4), (5, 2, 4, 4), (2, 16)],
    ("cell_path", "state.h"): WRONG_STATES,
    ("cell_path", "state.c"): WRONG_STATES,
    ("cell_path", "state.gates"): [(0, 2, 16), (5, 0, 16), (5, 2, 4), (5, 2, 4, 4), (5, 16), ()],
}


READERS = ("step_jacobians", "jacobian_product", "cell_path")


def call(method, **replaced):
    """Call one method, with the arguments in `replaced` instead of the right ones."""
    values = {name: np.zeros(shape) for name, shape in RIGHT.items()} | {"k": 0, "t": 5} | replaced
    values.setdefault("state", LSTMState(**{name: values[f"state.{name}"] for name in STATE}))
    take = lambda *names: {name: values[name] for name in names if name in values}  # noqa: E731
    lstm = LSTM(**take("W_x", "W_h", "b"))
    match method:
        case "forward":
            lstm.forward(**take("x", "h0", "c0"))
        case "backward":
            lstm.backward(**take("x", "state", "dh", "dc", "window"))
        case "step_jacobians":
            lstm.step_jacobians(**take("state"))
        case "jacobian_product":
            lstm.jacobian_product(**take("state", "k", "t"))
        case "cell_path":
            lstm.cell_path(**take("state", "k", "t"))


@pytest.mark.parametrize("method", ["LSTM", "forward", "backward", *READERS])
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
        ("LSTM", "W_x", "(4H, I)"),
        ("LSTM", "W_h", "(16, 4)"),
        ("LSTM", "b", "(16,)"),
        ("forward", "x", "(T, B, 3)"),
        ("forward", "h0", "(2, 4)"),
        ("forward", "c0", "(2, 4)"),
        ("backward", "x", "(T, B, 3)"),
        ("backward", "dh", "(5, 2, 4) or (2, 4)"),
        ("backward", "dc", "(2, 4)"),
        ("backward", "state.gates", "(5, 2, 16)"),
        ("backward", "state.c", "(6, 2, 4)"),
        ("step_jacobians", "state.gates", "(T, B, 16)"),
        ("jacobian_product", "state.gates", "(T, B, 16)"),
        ("cell_path", "state.gates", "(T, B, 16)"),
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


@pytest.mark.parametrize("method", ["backward", *READERS])
@pytest.mark.parametrize(
    "value",
    [
        None,
        np.zeros((6, 2, 4)),
        (np.zeros((6, 2, 4)), np.zeros((6, 2, 4)), np.zeros((5, 2, 16))),
        LSTMGradients(**dict.fromkeys(GRADIENTS, np.zeros((2, 4)))),
    ],
    ids=lambda value: type(value).__name__,
)
def test_state_of_another_type(method, value):
    message = f"^state must be the LSTMState that forward returned, got {type(value).__name__}$"
    with pytest.raises(TypeError, match=message):
        call(method, state=value)


@pytest.mark.parametrize("size", [(4, 2, 3, 4), (5, 1, 3, 4), (5, 2, 3, 3), (5, 2, 3, 1)], ids=str)
def test_state_of_another_run(size):
    lstm, x, *_ = random_run(*size)
    with pytest.raises(ValueError, match=r"^state.gates must have shape \(5, 2, 16\)"):
        call("backward", state=lstm.forward(x))


@pytest.mark.parametrize("method", READERS[1:])
@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("t", 6, ValueError),
        ("t", -1, ValueError),
        ("t", 1.0, TypeError),
        ("t", "1", TypeError),
        ("t", True, TypeError),
        ("t", None, TypeError),
        ("k", 6, ValueError),
        ("k", -1, ValueError),
        ("k", np.float64(1), TypeError),
        ("k", np.array([0, 1]), TypeError),
        ("k", False, TypeError),
        ("k", None, TypeError),
    ],
)
def test_wrong_time(method, name, value, error):
    with pytest.raises(error) as caught:
        call(method, **{name: value})
    assert str(caught.value).startswith(f"{name} must be an integer from 0 to 5, got ")
    assert repr(value) in str(caught.value)


@pytest.mark.parametrize("method", READERS[1:])
def test_k_after_t(method):
    with pytest.raises(ValueError, match=r"^k must be an integer from 0 to 2, got 3$"):
        call(method, k=3, t=2)


@pytest.mark.parametrize(("window", "error"), [(0, ValueError), (2.0, TypeError), (True, TypeError)])
def test_wrong_window(window, error):
    with pytest.raises(error) as caught:
        call("backward", window=window)
    assert str(caught.value) == f"window must be an integer of at least 1, got {window}"
