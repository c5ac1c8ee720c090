"""The recurrent network against finite differences, forward mode, explicit sums and PyTorch."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from numerics import assert_attributes_close, central_differences, every_wrong_array, random_runs, seeds

from rnn_notes import ACTIVATIONS, RNN, Activation

GRADIENTS = ("W_x", "W_h", "b", "x", "h0")

every_activation = pytest.mark.parametrize("activation", ACTIVATIONS)
sizes = st.tuples(st.integers(1, 6), *[st.integers(1, 4)] * 3)  # T, B, I, H


def random_run(T, B, I, H, activation="tanh", seed=0, dtype=np.float64, last=False):  # noqa: E741
    """Return an RNN, x, h0 and dh, normal, the weights scaled so that a step neither dies nor explodes."""
    rng = np.random.default_rng(seed)
    shapes = [(H, I), (H, H), (H,), (T, B, I), (B, H), (B, H) if last else (T, B, H)]
    W_x, W_h, b, x, h0, dh = (rng.standard_normal(shape).astype(dtype) for shape in shapes)
    return RNN(W_x / dtype(np.sqrt(I)), W_h / dtype(np.sqrt(H)), b, activation), x, h0, dh


def explicit_jacobian(rnn, x, h, t, k):
    """Return ∂h[t]/∂h[k] for the first sequence of the batch, matrix by matrix, from z."""
    product = np.eye(len(rnn.b))
    for s in range(k + 1, t + 1):
        z = rnn.W_h @ h[s - 1, 0] + rnn.W_x @ x[s - 1, 0] + rnn.b
        product = np.diag(rnn.activation.derivative(z)) @ rnn.W_h @ product
    return product


@every_activation
def test_forward_is_the_equation(activation):
    rnn, x, h0, _ = random_run(5, 3, 2, 4, activation)
    for start in (h0, None):
        h = rnn.forward(x, start)
        assert h.shape == (6, 3, 4)
        np.testing.assert_array_equal(h[0], np.zeros((3, 4)) if start is None else h0)
        for t in range(1, 6):
            for n in range(3):
                z = rnn.W_h @ h[t - 1, n] + rnn.W_x @ x[t - 1, n] + rnn.b
                np.testing.assert_allclose(h[t, n], ACTIVATIONS[activation](z), rtol=1e-12, atol=1e-14)


@every_activation
@random_runs
@given(size=sizes, seed=seeds, last=st.booleans())
def test_gradients_equal_central_differences(activation, size, seed, last):
    rnn, x, h0, dh = random_run(*size, activation, seed, last=last)
    given_arrays = {"W_x": rnn.W_x, "W_h": rnn.W_h, "b": rnn.b, "x": x, "h0": h0}
    h = rnn.forward(x, h0)
    z = h[:-1] @ rnn.W_h.T + x @ rnn.W_x.T + rnn.b
    assume(activation != "relu" or np.abs(z).min() > 1e-3)  # no unit crosses the kink

    def loss(**changed):
        arrays = given_arrays | changed
        moved = RNN(arrays["W_x"], arrays["W_h"], arrays["b"], activation)
        states = moved.forward(arrays["x"], arrays["h0"])
        return np.sum(dh * (states[-1] if last else states[1:]))

    step = 1e-5 if activation == "relu" else 1e-4
    expected = {
        name: central_differences(lambda a, name=name: loss(**{name: a}), array, step).reshape(array.shape)
        for name, array in given_arrays.items()
    }
    assert_attributes_close(rnn.backward(x, h, dh), expected, rtol=1e-7, atol=1e-9)


@every_activation
@random_runs
@given(size=sizes, seed=seeds, window=st.integers(1, 8), last=st.booleans())
def test_window_is_the_sum_over_pairs(activation, size, seed, window, last):
    """Sum over all pairs (t, k) with t - k <= window what the loss at t owes to the state k."""
    T, _, inputs, H = size
    rnn, x, h0, dh = random_run(T, 1, inputs, H, activation, seed, last=last)
    h = rnn.forward(x, h0)
    expected = {name: np.zeros_like(getattr(rnn, name)) for name in ("W_x", "W_h", "b")}
    expected |= {"x": np.zeros_like(x), "h0": np.zeros_like(h0)}
    for t in [T] if last else range(1, T + 1):
        for k in range(max(0, t - window), t + 1):
            at_k = (dh[0] if last else dh[t - 1, 0]) @ explicit_jacobian(rnn, x, h, t, k)
            if k == 0:
                expected["h0"][0] += at_k
                continue
            z = rnn.W_h @ h[k - 1, 0] + rnn.W_x @ x[k - 1, 0] + rnn.b
            at_z = at_k * rnn.activation.derivative(z)
            expected["W_x"] += np.outer(at_z, x[k - 1, 0])
            expected["W_h"] += np.outer(at_z, h[k - 1, 0])
            expected["b"] += at_z
            expected["x"][k - 1, 0] += at_z @ rnn.W_x
    assert_attributes_close(rnn.backward(x, h, dh, window), expected, rtol=1e-9, atol=1e-12)


@random_runs
@given(size=sizes, seed=seeds, window=st.integers(1, 8))
def test_window_treats_the_sequences_of_a_batch_alone(size, seed, window):
    rnn, x, h0, dh = random_run(*size, seed=seed)
    h = rnn.forward(x, h0)
    alone = [rnn.backward(x[:, n : n + 1], h[:, n : n + 1], dh[:, n : n + 1], window) for n in range(size[1])]
    expected = {name: sum(getattr(g, name) for g in alone) for name in ("W_x", "W_h", "b")}
    expected["x"] = np.concatenate([g.x for g in alone], axis=1)
    expected["h0"] = np.concatenate([g.h0 for g in alone])
    assert_attributes_close(rnn.backward(x, h, dh, window), expected, rtol=1e-10, atol=1e-13)


@every_activation
@pytest.mark.parametrize("last", [False, True])
def test_window_of_the_whole_sequence_is_no_truncation(activation, last):
    rnn, x, h0, dh = random_run(7, 3, 2, 4, activation, last=last)
    h = rnn.forward(x, h0)
    full = {name: getattr(rnn.backward(x, h, dh), name) for name in GRADIENTS}
    for window in (7, 8, 10**9, np.int64(7)):
        assert_attributes_close(rnn.backward(x, h, dh, window), full, rtol=1e-14)
    one_short = rnn.backward(x, h, dh, 6)
    assert_attributes_close(one_short, full | {"h0": one_short.h0}, rtol=1e-13)
    assert not np.allclose(one_short.h0, full["h0"], rtol=1e-3, atol=0)
    assert not np.allclose(rnn.backward(x, h, dh, 5).W_h, full["W_h"], rtol=1e-9, atol=0)


@every_activation
def test_loss_on_the_last_state_is_a_loss_on_every_step_with_zeros(activation):
    rnn, x, h0, dh = random_run(6, 3, 2, 4, activation, last=True)
    h = rnn.forward(x, h0)
    every = np.zeros((6, 3, 4))
    every[-1] = dh
    for window in (1, 3, 6, None):
        expected = {name: getattr(rnn.backward(x, h, every, window), name) for name in GRADIENTS}
        assert_attributes_close(rnn.backward(x, h, dh, window), expected, rtol=1e-13)


@every_activation
def test_gradients_equal_real_time_recurrent_learning(activation):
    """Carry ∂h[t]/∂(parameters, h0) forward in time, for one sequence, and add up the loss terms."""
    T, inputs, H = 6, 2, 3
    rnn, x, h0, dh = random_run(T, 1, inputs, H, activation)
    h = rnn.forward(x, h0)
    moves = {
        "W_x": np.zeros((H, H, inputs)),
        "W_h": np.zeros((H, H, H)),
        "b": np.zeros((H, H)),
        "h0": np.eye(H),
    }
    totals = dict.fromkeys(moves, 0.0)
    for t in range(1, T + 1):
        slope = rnn.activation.derivative(rnn.W_h @ h[t - 1, 0] + rnn.W_x @ x[t - 1, 0] + rnn.b)
        enters = {
            "W_x": np.einsum("ij,k->ijk", np.eye(H), x[t - 1, 0]),
            "W_h": np.einsum("ij,k->ijk", np.eye(H), h[t - 1, 0]),
            "b": np.eye(H),
            "h0": 0.0,
        }
        for name in moves:
            through_state = np.einsum("ij,j...->i...", rnn.W_h, moves[name])
            moves[name] = np.einsum("i,i...->i...", slope, through_state + enters[name])
            totals[name] = totals[name] + np.einsum("i,i...->...", dh[t - 1, 0], moves[name])
    gradients = rnn.backward(x, h, dh)
    totals["h0"], totals["x"] = totals["h0"][None], gradients.x  # x is not a parameter: not carried
    assert_attributes_close(gradients, totals, rtol=1e-12)


@pytest.mark.parametrize("activation", ["tanh", "relu"])
@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize(
    "size", [(1, 1, 1, 1), (1, 3, 2, 4), (9, 1, 3, 5), (9, 4, 1, 5), (9, 4, 3, 1), (30, 8, 6, 20)], ids=str
)
def test_gradients_equal_pytorch(activation, last, size):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    _, _, inputs, H = size
    rnn, x, h0, dh = random_run(*size, activation, last=last)
    theirs = torch.nn.RNN(inputs, H, nonlinearity=activation, dtype=torch.float64)
    leaves = {"W_x": theirs.weight_ih_l0, "W_h": theirs.weight_hh_l0, "b": theirs.bias_ih_l0}
    with torch.no_grad():
        for name, leaf in leaves.items():
            leaf.copy_(torch.from_numpy(getattr(rnn, name)))
        theirs.bias_hh_l0.zero_()
    leaves |= {"x": torch.from_numpy(x).requires_grad_(), "h0": torch.from_numpy(h0)[None].requires_grad_()}
    states, final = theirs(leaves["x"], leaves["h0"])
    (final[0] if last else states).backward(torch.from_numpy(dh))

    h = rnn.forward(x, h0)
    np.testing.assert_allclose(h[1:], states.detach().numpy(), rtol=1e-10, atol=1e-12)
    expected = {name: leaf.grad.numpy() for name, leaf in leaves.items()}
    expected["h0"] = expected["h0"][0]
    assert_attributes_close(rnn.backward(x, h, dh), expected, rtol=1e-10)


@every_activation
@random_runs
@given(size=sizes, seed=seeds, data=st.data())
def test_jacobian_product(activation, size, seed, data):
    T, B, _, H = size
    rnn, x, h0, _ = random_run(*size, activation, seed)
    h = rnn.forward(x, h0)
    t = data.draw(st.integers(0, T))
    k = data.draw(st.integers(0, t))
    product = rnn.jacobian_product(h, k, t)
    assert product.shape == (B, H, H)
    np.testing.assert_allclose(product[0], explicit_jacobian(rnn, x, h, t, k), rtol=1e-9, atol=1e-12)

    J = rnn.step_jacobians(h)
    assert J.shape == (T, B, H, H)
    stepwise = np.broadcast_to(np.eye(H), (B, H, H))
    for s in range(k, t):
        stepwise = J[s] @ stepwise
    np.testing.assert_allclose(product, stepwise, rtol=1e-9, atol=1e-12)

    if k < t:
        z = h[k:t] @ rnn.W_h.T + x[k:t] @ rnn.W_x.T + rnn.b
        assume(activation != "relu" or np.abs(z).min() > 1e-3)
        last_state = lambda start: rnn.forward(x[k:t], start)[-1]  # noqa: E731
        step = 1e-5 if activation == "relu" else 1e-4
        numeric = central_differences(last_state, h[k], step).reshape(B, H, B, H)
        for n in range(B):
            np.testing.assert_allclose(product[n], numeric[n, :, n], rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("window", [None, 3])
@pytest.mark.parametrize("last", [False, True])
@every_activation
def test_float32_stays_float32(activation, last, window):
    results = []
    for dtype in (np.float32, np.float64):
        rnn, x, h0, dh = random_run(6, 3, 2, 4, activation, dtype=dtype, last=last)
        h = rnn.forward(x, h0)
        gradients = rnn.backward(x, h, dh, window)
        arrays = [getattr(gradients, name) for name in GRADIENTS]
        arrays += [h, rnn.forward(x), rnn.step_jacobians(h), rnn.jacobian_product(h, 2, 5)]
        assert {a.dtype for a in arrays} == {np.dtype(dtype)}
        results.append(arrays)
    for single, double in zip(*results, strict=True):
        np.testing.assert_allclose(single, double, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("window", [None, 3])
@pytest.mark.parametrize("last", [False, True])
@every_activation
def test_arguments_are_neither_modified_nor_returned(activation, last, window):
    rnn, x, h0, dh = random_run(6, 3, 2, 4, activation, last=last)
    h = rnn.forward(x, h0)
    arguments = [rnn.W_x, rnn.W_h, rnn.b, x, h0, h, dh]
    for a in arguments:
        a.flags.writeable = False
    gradients = rnn.backward(x, h, dh, window)
    results = [getattr(gradients, name) for name in GRADIENTS]
    results += [rnn.forward(x, h0), rnn.step_jacobians(h), rnn.jacobian_product(h, 3, 3)]
    for result in results:
        assert result.flags.writeable
        assert not any(np.shares_memory(result, a) for a in arguments)


@pytest.mark.parametrize("window", [None, 3])
@pytest.mark.parametrize("last", [False, True])
def test_memory_order_does_not_matter(last, window):
    rnn, x, h0, dh = random_run(6, 3, 2, 4, last=last)
    h = rnn.forward(x, h0)
    gradients = rnn.backward(x, h, dh, window)
    expected = {name: getattr(gradients, name) for name in GRADIENTS}
    other = RNN(*map(np.asfortranarray, (rnn.W_x, rnn.W_h, rnn.b)))
    x, h0, dh = map(np.asfortranarray, (x, h0, dh))
    np.testing.assert_allclose(other.forward(x, h0), h, rtol=1e-13)
    assert_attributes_close(other.backward(x, np.asfortranarray(h), dh, window), expected, rtol=1e-12)


def test_parameters_are_kept_and_checked_again():
    rnn, x, h0, dh = random_run(4, 2, 3, 3)
    before = rnn.forward(x, h0)
    rnn.W_h -= 0.1  # in place: what training does
    assert np.abs(rnn.forward(x, h0) - before).max() > 1e-3
    calls = [
        lambda: rnn.forward(x, h0),
        lambda: rnn.backward(x, before, dh),
        lambda: rnn.step_jacobians(before),
        lambda: rnn.jacobian_product(before, 0, 4),
    ]
    for call in calls:
        rnn.b = np.zeros((3, 1))
        with pytest.raises(ValueError, match=r"^b must have shape \(3,\).*got \(3, 1\)$"):
            call()
        rnn.b, rnn.activation = np.zeros(3), "relu"
        with pytest.raises(TypeError, match=r"^activation must be an Activation, .* got 'relu'$"):
            call()
        rnn.activation = ACTIVATIONS["tanh"]


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("window", [None, "T - 1"])
def test_memory_grows_linearly_with_time(last, window):
    peaks = []
    for T in (50, 200):
        rnn, x, _, dh = random_run(T, 4, 8, 16, last=last)
        h = rnn.forward(x)
        tracemalloc.start()
        rnn.backward(x, h, dh, window and T - 1)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 5 * peaks[0]  # linear: 4 times, quadratic: 16 times


def test_jacobian_product_needs_no_memory_for_the_run():
    rnn, x, _, _ = random_run(200, 4, 2, 16)
    h = rnn.forward(x)
    tracemalloc.start()
    rnn.jacobian_product(h, 0, 200)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < rnn.step_jacobians(h).nbytes / 10


# Bad input. The network below has T = 5, B = 2, I = 3, H = 4; each row replaces one argument of one call.


def zeros(*shape, dtype=np.float64):
    return np.zeros(shape, dtype)


RIGHT = {
    "W_x": (4, 3),
    "W_h": (4, 4),
    "b": (4,),
    "x": (5, 2, 3),
    "h0": (2, 4),
    "h": (6, 2, 4),
    "dh": (5, 2, 4),
}
METHODS = ("backward", "step_jacobians", "jacobian_product")
WRONG_SHAPES = (
    {  # call, argument: how the right shape is written, and wrong ones
        ("RNN", "W_x"): ("(H, I)", [(4,), (4, 3, 1), (0, 3), (4, 0)]),
        ("RNN", "W_h"): ("(4, 4)", [(4, 3), (3, 3), (1, 4), (4,), (1, 4, 4)]),
        ("RNN", "b"): ("(4,)", [(4, 1), (1, 4), (1,), (3,), ()]),
        ("forward", "h0"): ("(2, 4)", [(1, 4), (4,), (2, 1), (2, 3), (1, 2, 4)]),
        ("backward", "h"): ("(6, 2, 4)", [(5, 2, 4), (6, 1, 4), (6, 2, 3), (2, 4), (0, 2, 4), (1, 2, 4)]),
        ("backward", "dh"): (
            "(5, 2, 4) or (2, 4)",
            [(6, 2, 4), (1, 2, 4), (5, 1, 4), (5, 2, 1), (1, 4), (4,), (), (2, 3)],
        ),
    }
    | {
        (method, "x"): (
            "(T, B, 3)",
            [(0, 2, 3), (5, 0, 3), (5, 2, 4), (5, 2, 1), (5, 3), (3,), (1, 5, 2, 3)],
        )
        for method in ("forward", "backward")
    }
    | {
        (method, "h"): ("(T + 1, B, 4)", [(6, 0, 4), (6, 2, 3), (2, 4), (0, 2, 4), (1, 6, 2, 4)])
        for method in METHODS[1:]
    }
)


def call(method, **replaced):
    """Call one method, with the arguments in `replaced` instead of the right ones."""
    values = {name: np.zeros(shape) for name, shape in RIGHT.items()} | {"k": 0, "t": 5} | replaced
    take = lambda *names: {name: values[name] for name in names if name in values}  # noqa: E731
    rnn = RNN(**take("W_x", "W_h", "b", "activation"))
    match method:
        case "forward":
            rnn.forward(**take("x", "h0"))
        case "backward":
            rnn.backward(**take("x", "h", "dh", "window"))
        case "step_jacobians":
            rnn.step_jacobians(**take("h"))
        case "jacobian_product":
            rnn.jacobian_product(**take("h", "k", "t"))


@pytest.mark.parametrize("method", ["RNN", "forward", *METHODS])
def test_the_right_arguments_raise_nothing(method):
    call(method)
    call(method, dh=zeros(2, 4), window=3)


@pytest.mark.parametrize(
    ("method", "name", "right", "shape"),
    [(*key, right, shape) for key, (right, wrong) in WRONG_SHAPES.items() for shape in wrong],
)
def test_wrong_shape(method, name, right, shape):
    with pytest.raises(ValueError) as error:
        call(method, **{name: zeros(*shape)})
    least = ", each size at least 1" * ("B" in right or "I" in right)
    assert str(error.value) == f"{name} must have shape {right}{least}, got {shape}"


@pytest.mark.parametrize(("method", "name"), WRONG_SHAPES)
@every_wrong_array
def test_wrong_type_or_value(method, name, spoil, error, message):
    with pytest.raises(error) as caught:
        call(method, **{name: spoil(np.zeros(RIGHT[name]))})
    assert str(caught.value).startswith(f"{name} must ")
    assert message in str(caught.value)


@pytest.mark.parametrize(("method", "name"), [key for key in WRONG_SHAPES if key[1] != "W_x"])
def test_mixed_dtypes(method, name):
    with pytest.raises(TypeError, match=f"^{name} must have dtype float64, got float32$"):
        call(method, **{name: zeros(*RIGHT[name], dtype=np.float32)})


@pytest.mark.parametrize(
    ("method", "name", "value", "error"),
    [
        ("backward", "window", 0, ValueError),
        ("backward", "window", -1, ValueError),
        ("backward", "window", 2.0, TypeError),
        ("backward", "window", "2", TypeError),
        ("backward", "window", True, TypeError),
        ("backward", "window", np.array([2, 3]), TypeError),
        ("jacobian_product", "t", 6, ValueError),
        ("jacobian_product", "t", -1, ValueError),
        ("jacobian_product", "t", 1.0, TypeError),
        ("jacobian_product", "k", 6, ValueError),
        ("jacobian_product", "k", -1, ValueError),
        ("jacobian_product", "k", None, TypeError),
        ("RNN", "activation", "Tanh", ValueError),
        ("RNN", "activation", None, TypeError),
        ("RNN", "activation", ["tanh"], TypeError),
    ],
)
def test_wrong_option(method, name, value, error):
    with pytest.raises(error) as caught:
        call(method, **{name: value})
    assert str(caught.value).startswith(f"{name} must be ")
    assert repr(value) in str(caught.value)


@pytest.mark.parametrize("method", METHODS[1:])
def test_states_of_no_step(method):
    with pytest.raises(
        ValueError, match=r"^h must have shape \(T \+ 1, B, 4\) with T at least 1, got \(1, 2, 4\)$"
    ):
        call(method, h=zeros(1, 2, 4), t=0)


@pytest.mark.parametrize("method", ["forward", *METHODS])
def test_an_activation_that_is_replaced_by_its_name(method):
    rnn = RNN(zeros(4, 3), zeros(4, 4), zeros(4))
    rnn.activation = "relu"
    arguments = {"forward": ["x"], "backward": ["x", "h", "dh"]}.get(method, ["h"])
    options = {"k": 0, "t": 5} if method == "jacobian_product" else {}
    with pytest.raises(TypeError) as error:
        getattr(rnn, method)(*(zeros(*RIGHT[name]) for name in arguments), **options)
    assert str(error.value) == "activation must be an Activation, such as relu, got 'relu'"


def test_unknown_activation_lists_the_known():
    with pytest.raises(ValueError, match="'tanh', 'sigmoid', 'relu', 'identity', got 'gelu'"):
        call("RNN", activation="gelu")


@every_activation
def test_the_activation_itself_is_as_good_as_its_name(activation):
    rnn, x, *_ = random_run(5, 2, 3, 4, activation)
    other = RNN(rnn.W_x, rnn.W_h, rnn.b, activation=ACTIVATIONS[activation])
    assert other.activation is rnn.activation
    np.testing.assert_array_equal(other.forward(x), rnn.forward(x))


def test_an_activation_of_ones_own():
    softsign = Activation(
        "softsign",
        lambda z, out=None: np.divide(z, 1 + abs(z), out=out),
        lambda h, out=None: np.square(1 - abs(h), out=out),
        gamma=1.0,
    )
    rnn, x, h0, dh = random_run(5, 2, 3, 4)
    rnn = RNN(rnn.W_x, rnn.W_h, rnn.b, softsign)
    h = rnn.forward(x, h0)
    loss = lambda start: np.sum(dh * rnn.forward(x, start)[1:])  # noqa: E731
    expected = central_differences(loss, h0, 1e-3).reshape(h0.shape)
    assert_attributes_close(
        rnn.backward(x, h, dh), {"h0": expected}, rtol=1e-5
    )  # its second derivative jumps


def test_k_after_t():
    with pytest.raises(ValueError, match=r"^k must be an integer from 0 to 2, got 3$"):
        call("jacobian_product", k=3, t=2)
