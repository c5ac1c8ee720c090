"""The page for a network that does not train: its table is whole, and what it gives to copy is right."""

import re
import statistics
from types import SimpleNamespace

import numpy as np
import pytest
from pages import ROOT, cells

from rnn_notes import (
    GRU,
    LSTM,
    RNN,
    SGD,
    Adam,
    Readout,
    clip_by_norm,
    cross_entropy,
    fit,
    glorot_uniform,
    identity_matrix,
    random_orthogonal,
    temporal_order,
)

PAGE = (ROOT / "docs" / "wont_train.md").read_text(encoding="utf-8")
SYMPTOMS = (
    "NaN or inf",
    "at the baseline",
    "short, not long dependencies",
    "norm 0",
    "norm spikes",
    "learns, then collapses",
    "clips at every step",
    "ReLU network dead",
    "only on long inputs",
    "backward through the graph a second time",
    "saved intermediate results have already been freed",
    "modified by an inplace operation",
)
CAUSES = ("learning rate", "padding", "shifted by one", "wrong order", "1 − z² for 1 − h²", "float16")
H = 12


def rows(name):
    """Return the rows of a table of the page, each a list of cells."""
    body = re.search(rf":name: {name}\n\n(.*?)\n:::", PAGE, re.DOTALL)[1]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in body.split("\n")[2:]]


def section(label):
    """Return the text of a section, from its label to the next one."""
    return re.search(rf"^\({label}\)=\n(#.*?)(?=^\([\w-]+\)=$|\Z)", PAGE, re.DOTALL | re.MULTILINE)[1]


def snippets(label):
    """Return the blocks of a section that are shown but not run."""
    return re.findall(r"^```python\n(.*?)^```$", section(label), re.DOTALL | re.MULTILINE)


def run(snippet, **names):
    """Run a snippet with these names; return all names that it leaves."""
    names = {"print": lambda *_: None, "statistics": statistics, "np": np} | names
    exec(compile(snippet, "snippet", "exec"), names)
    return SimpleNamespace(**{name: value for name, value in names.items() if name != "__builtins__"})


@pytest.mark.parametrize("symptom", SYMPTOMS)
def test_every_symptom_has_a_row_and_a_section(symptom):
    (row,) = (row for row in rows("table-symptoms") if symptom in row[0])
    assert len(row) == 5 and all(row)
    (label,) = re.findall(r"\(#(see-[\w-]+)\)", row[0])
    text = section(label)
    assert re.search(r"\*\*Do\*\*|^\*\*Do", text, re.MULTILINE) and "Why: [](#" in text
    assert snippets(label) and "```{code-cell}" in text
    (why,) = re.findall(r"\(#([\w-]+)\)", row[4])
    assert why in text, f"the section of {symptom!r} must name its place {why}"


def test_no_row_but_these():
    assert len(rows("table-symptoms")) == len(SYMPTOMS)
    assert len(rows("table-other-causes")) == len(CAUSES)


@pytest.mark.parametrize("cause", CAUSES)
def test_every_other_cause_has_a_row_and_a_section(cause):
    (row,) = (row for row in rows("table-other-causes") if cause in row[0])
    assert len(row) == 3 and all(row)
    (label,) = re.findall(r"\(#(check-[\w-]+)\)", row[0])
    assert "```{code-cell}" in section(label)


@pytest.mark.deep
def test_what_it_says_of_its_runs_holds_for_other_seeds():
    names, drawn = {}, 0
    for cell in cells(ROOT / "docs" / "wont_train.md"):
        drawn += cell.source.count("range(5)")
        source = cell.source.replace("SEEDS = 16, range(5)", "SEEDS = 16, range(5, 10)")
        exec(compile(source, "cell", "exec"), names)
    assert drawn == 1 and names["SEEDS"] == range(5, 10)


def plain(seed=0, scale=1.0, phi="tanh", start=random_orthogonal, inputs=6):
    rng = np.random.default_rng(seed)
    return RNN(glorot_uniform((H, inputs), rng), scale * start(H, rng), np.zeros(H), phi)


def gated(seed=0):
    rng = np.random.default_rng(seed)
    W_h = np.concatenate([random_orthogonal(H, rng) for _ in range(4)])
    return LSTM(glorot_uniform((4 * H, 6), rng), W_h, np.repeat([0.0, 1.0, 0.0, 0.0], H))


def reader(seed=0):
    return Readout(glorot_uniform((4, H), np.random.default_rng([seed, 1])), np.zeros(4))


def data(length=12, batch=20, scale=1.0):
    x, target = temporal_order(length, batch, np.random.default_rng(7))
    return scale * x, target


def gradients(network, readout, x, target):
    state = network.forward(x)
    h = network.hidden(state)[-1]
    loss, dy = cross_entropy(readout.forward(h), target)
    last = readout.backward(h, dy)
    return loss, network.backward(x, state, last.h), last


def module(network, readout):
    """Return the same network, readout and both together, in PyTorch."""
    torch = pytest.importorskip("torch")
    inputs = network.W_x.shape[1]
    if isinstance(network, RNN):
        rnn = torch.nn.RNN(inputs, H, nonlinearity=network.activation.name, dtype=torch.float64)
    else:
        assert not isinstance(network, GRU)
        rnn = torch.nn.LSTM(inputs, H, dtype=torch.float64)
    linear = torch.nn.Linear(H, len(readout.W_y), dtype=torch.float64)
    pairs = [
        (rnn.weight_ih_l0, network.W_x),
        (rnn.weight_hh_l0, network.W_h),
        (rnn.bias_ih_l0, network.b),
        (rnn.bias_hh_l0, 0 * network.b),
        (linear.weight, readout.W_y),
        (linear.bias, readout.b_y),
    ]
    with torch.no_grad():
        for parameter, array in pairs:
            parameter.copy_(torch.tensor(array))

    class Model(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn, self.readout = rnn, linear

        def forward(self, x):
            return self.readout(self.rnn(x)[0][-1])

    return torch, Model()


def differentiated(network, readout, x, target):
    """Return PyTorch, the model and the loss, after backward."""
    torch, model = module(network, readout)
    loss = torch.nn.functional.cross_entropy(model(torch.tensor(x)), torch.tensor(target))
    loss.backward()
    return torch, model, loss


def test_nan_pytorch():
    (snippet,) = snippets("see-nan")
    network, readout, (x, target) = plain(), reader(), data()
    torch, model, loss = differentiated(network, readout, x, target)
    seen = run(snippet, torch=torch, model=model, loss=loss, update=3)
    assert seen.bad == []
    ours, first, last = gradients(network, readout, x, target)
    # PyTorch has the bias of the network twice, and so its gradient.
    arrays = [first.W_x, first.W_h, first.b, first.b, last.W_y, last.b_y]
    np.testing.assert_allclose(seen.norm.item(), clip_by_norm(arrays, 1.0)[1], rtol=1e-6)
    np.testing.assert_allclose(loss.item(), ours, rtol=1e-6)
    torch, model, loss = differentiated(plain(scale=1e40, phi="relu"), readout, x, target)
    seen = run(snippet, torch=torch, model=model, loss=loss, update=3)
    assert "rnn.weight_hh_l0" in seen.bad and not np.isfinite(seen.norm.item())
    for parameter in model.parameters():
        parameter.grad = torch.full_like(parameter, 1e200)
    seen = run(snippet, torch=torch, model=model, loss=loss, update=3)
    assert seen.bad == [] and seen.norm.item() == np.inf  # only its squares overflow


class Tagger:
    """A model as readers have them: part is frozen, part unused, a target at each step, dropout."""

    def __new__(cls, torch):
        torch.manual_seed(0)
        model = torch.nn.Module()
        model.embedding, model.unused = torch.nn.Embedding(9, 6), torch.nn.Linear(2, 2)
        model.rnn, model.readout = torch.nn.RNN(6, H, 2, dropout=0.5), torch.nn.Linear(H, 9)
        model.embedding.weight.requires_grad_(False)
        return model


def test_models_that_are_partly_frozen_pytorch():
    torch = pytest.importorskip("torch")
    model = Tagger(torch)
    words, target = torch.randint(9, (2, 12, 20))
    target[-3:, ::2] = -100  # padding
    x = model.embedding(words)
    y = model.readout(model.rnn(x)[0])
    loss = torch.nn.functional.cross_entropy(y.flatten(0, 1), target.flatten())
    loss.backward()
    seen = run(snippets("see-nan")[0], torch=torch, model=model, loss=loss, update=3)
    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), float("inf"))
    torch.testing.assert_close(seen.norm, norm)
    model.rnn.weight_ih_l1.grad[0, 0] = torch.nan
    assert run(snippets("see-nan")[0], torch=torch, model=model, loss=loss, update=3).bad == [
        "rnn.weight_ih_l1"
    ]
    shown = []
    torch.nn.init.zeros_(model.readout.weight.grad)
    run(snippets("see-zero")[0], model=model, print=shown.append)
    none = dict.fromkeys(["embedding.weight", "unused.weight", "unused.bias"])
    assert shown == [{**none, "readout.weight": 0.0}]
    seen = run(snippets("see-baseline")[0], torch=torch, rnn=model.rnn, x=x, target=target)
    flat = torch.log(torch.bincount(target[target >= 0], minlength=9) / (target >= 0).sum())
    constant = torch.nn.functional.cross_entropy(flat.expand(240, 9), target.flatten())
    torch.testing.assert_close(seen.baseline, constant)
    (axes,) = snippets("check-axes")
    assert run(axes, rnn=model.rnn, x=x).moved > 0.1  # dropout
    assert run(axes, rnn=model.rnn.eval(), x=x).moved == 0


def test_baseline_pytorch():
    (snippet,) = snippets("see-baseline")
    shares = {}
    for scale in (1, 30):
        network, (x, target) = plain(), data(scale=scale)
        torch, model = module(network, reader())
        seen = run(snippet, torch=torch, rnn=model.rnn, x=torch.tensor(x), target=torch.tensor(target))
        h = network.forward(x)
        np.testing.assert_allclose(seen.saturated.item(), np.mean(1 - h[1:] ** 2 < 0.1), rtol=1e-6)
        share = np.bincount(target) / len(target)
        np.testing.assert_allclose(seen.baseline.item(), -np.sum(share * np.log(share)), rtol=1e-6)
        shares[scale] = seen.saturated.item()
    assert shares[1] < 0.2 < 0.8 < shares[30]


def test_long_pytorch():
    (snippet,) = snippets("see-long")
    kept = {}
    for name, network in {"vanishing": plain(scale=0.5), "cured": gated()}.items():
        readout, (x, target) = reader(), data(30)
        torch, model = module(network, readout)
        seen = run(
            snippet,
            torch=torch,
            rnn=model.rnn,
            readout=model.readout,
            loss_function=torch.nn.functional.cross_entropy,
            x=torch.tensor(x),
            target=torch.tensor(target),
        )
        ours = np.linalg.norm(gradients(network, readout, x, target)[1].x, axis=(1, 2))
        np.testing.assert_allclose(seen.by_step.numpy(), ours, rtol=1e-6, atol=1e-300)
        kept[name] = ours[0] / ours[-1]
    assert kept["vanishing"] < 1e-4 < 1e-2 < kept["cured"]


def test_zero_pytorch():
    (snippet,) = snippets("see-zero")
    x, target = data()
    network, readout = plain(), reader()
    torch, model, _ = differentiated(network, readout, x, target)
    norms = run(snippet, model=model).norms
    _, first, _ = gradients(network, readout, x, target)
    np.testing.assert_allclose(norms["rnn.weight_hh_l0"], np.linalg.norm(first.W_h), rtol=1e-6)
    assert all(norms.values())
    for array in (network.W_x, network.W_h, readout.W_y):
        array[...] = 0
    torch, model, _ = differentiated(network, readout, x, target)
    norms = run(snippet, model=model).norms
    assert [name for name, norm in norms.items() if norm] == ["readout.bias"]
    torch, model = module(plain(), reader())
    h, _ = model.rnn(torch.tensor(x))
    torch.nn.functional.cross_entropy(model.readout(h[-1].detach()), torch.tensor(target)).backward()
    norms = run(snippet, model=model).norms
    assert norms["rnn.weight_hh_l0"] is None and norms["readout.weight"]


def test_spikes_and_clip_rate_pytorch():
    measure, rate = snippets("see-spikes")[0], snippets("see-clips")[0]
    seen = {}
    for threshold in (1.0, float("inf")):
        network = plain(phi="relu", start=identity_matrix)
        readout, rng = reader(), np.random.default_rng(0)
        torch, model = module(network, readout)
        optimizer, norms = torch.optim.SGD(model.parameters(), 0.05), []
        for _ in range(100):
            x, target = temporal_order(12, 10, rng)
            loss = torch.nn.functional.cross_entropy(model(torch.tensor(x)), torch.tensor(target))
            optimizer.zero_grad()
            loss.backward()
            seen[threshold] = run(measure, torch=torch, model=model, threshold=threshold, norms=norms)
            optimizer.step()
        of_rate = run(rate, torch=torch, model=model, norms=norms, threshold=threshold, rate=0.05)
        assert of_rate.clip_rate == seen[threshold].clip_rate == np.mean(np.array(norms) > threshold)
    assert seen[1.0].spike < 10 < seen[float("inf")].spike
    assert seen[1.0].clip_rate > 0.5 and seen[float("inf")].clip_rate == 0


def test_clips_at_every_step_pytorch():
    (snippet,) = snippets("see-clips")
    seen = {}
    for threshold in (0.01, 1.0):
        network, readout = plain(), reader()
        options = {"length": 12, "batch": 10, "steps": 60, "clip": threshold, "progress": False}
        history = fit(network, readout, temporal_order, SGD(0.3), np.random.default_rng(0), **options)
        torch, model = module(network, readout)
        norms = history.gradient_norm.tolist()
        seen[threshold] = run(snippet, torch=torch, model=model, norms=norms, threshold=threshold, rate=0.3)
        np.testing.assert_allclose(seen[threshold].clip_rate, history.clip_rate, rtol=1e-6)
    arrays = [*network.parameters().values(), *readout.parameters().values()]
    np.testing.assert_allclose(seen[1.0].weights, clip_by_norm(arrays, 1.0)[1], rtol=1e-6)
    assert seen[0.01].clip_rate == 1 and seen[0.01].weights / seen[0.01].step > 1000
    assert seen[1.0].weights / seen[1.0].step < 60


@pytest.mark.parametrize("bad", [None, 80])
def test_collapse_pytorch(bad):
    torch = pytest.importorskip("torch")
    (snippet,) = snippets("see-collapse")
    torch.manual_seed(0)
    rnn, readout = torch.nn.RNN(1, 16), torch.nn.Linear(16, 1)
    torch.nn.init.orthogonal_(rnn.weight_hh_l0)
    parameters, log = [*rnn.parameters(), *readout.parameters()], []
    optimizer = torch.optim.SGD(parameters, 0.1)
    for number in range(100):
        x = torch.randn(12, 10, 1)
        target = torch.cat([0 * x[:2], x[:-2]])
        if number == bad:
            target[:, 0] *= 1000
        loss = torch.nn.functional.mse_loss(readout(rnn(x)[0]), target)
        optimizer.zero_grad()
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(parameters, float("inf"))
        seen = run(snippet, loss=loss, norm=norm, batch_number=number, log=log)
        optimizer.step()
    assert seen.left == bad


@pytest.mark.parametrize("after", [1e9, np.nan, np.inf])
def test_collapse_sees_what_is_not_finite(after):
    (snippet,) = snippets("see-collapse")
    log = []
    for number, loss in enumerate([0.3] * 60 + [after] * 9):
        seen = run(snippet, loss=np.float64(loss), norm=np.float64(1.0), batch_number=number, log=log)
    assert seen.left == 60


def test_dead_pytorch():
    (snippet,) = snippets("see-dead")
    shares = {}
    for clip in (None, 1.0):
        network = plain(phi="relu", start=identity_matrix)
        options = {"length": 20, "batch": 10, "steps": 60, "clip": clip, "progress": False}
        fit(network, reader(), temporal_order, SGD(0.2), np.random.default_rng(0), **options)
        x, _ = data(20)
        torch, model = module(network, reader())
        seen = run(snippet, rnn=model.rnn, x=torch.tensor(x))
        ours = np.mean(~network.forward(x)[1:].any(axis=(0, 1)))
        np.testing.assert_allclose(seen.dead.item(), ours, rtol=1e-6)
        shares[clip] = ours
    assert shares[1.0] < 0.5 < shares[None]


def test_length_pytorch():
    (snippet,) = snippets("see-length")
    network, readout = gated(), reader()
    options = {"length": 10, "batch": 10, "steps": 120, "clip": 1.0, "progress": False}
    fit(network, readout, temporal_order, Adam(0.02), np.random.default_rng(0), **options)
    torch, model = module(network, readout)
    seen = run(
        snippet,
        torch=torch,
        model=model,
        loss_function=torch.nn.functional.cross_entropy,
        draw=lambda length: tuple(map(torch.tensor, data(length, 100))),
    )
    for length, loss in seen.losses.items():
        np.testing.assert_allclose(loss, gradients(network, readout, *data(length, 100))[0], rtol=1e-6)
    assert seen.losses[20] > 5 * seen.losses[10]


@pytest.fixture
def chunks():
    """Return what the programs with errors of autograd need."""
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    steps, batch, units = 5, 3, 8
    rnn, cell, readout = torch.nn.RNN(2, units), torch.nn.RNNCell(2, units), torch.nn.Linear(units, 1)
    x, target = torch.randn(3, steps, batch, 2), torch.randn(3, steps, batch, 1)
    return {
        "torch": torch,
        "steps": steps,
        "batch": batch,
        "units": units,
        "rnn": rnn,
        "cell": cell,
        "readout": readout,
        "chunks": list(zip(x, target, strict=True)),
        "x": x[0],
        "target": target[0],
        "loss_function": torch.nn.functional.mse_loss,
        "optimizer": torch.optim.SGD([*rnn.parameters(), *readout.parameters()], 0.1),
    }


SECOND = "backward through the graph a second time"
INPLACE = "modified by an inplace operation"


@pytest.mark.parametrize(
    ("label", "words"),
    [("see-second-time", SECOND), ("see-freed", "already been freed"), ("see-inplace", INPLACE)],
)
def test_errors_of_autograd_pytorch(chunks, label, words):
    wrong, right = snippets(label)
    with pytest.raises(RuntimeError, match=words):
        run(wrong, **chunks)
    run(right, **chunks)


def test_what_the_page_says_of_these_errors_pytorch(chunks):
    torch = chunks["torch"]
    wrong, right = snippets("see-second-time")
    kept = wrong.replace("backward()", "backward(retain_graph=True)")
    with pytest.raises(RuntimeError, match=INPLACE):  # the optimizer changes the weights in between
        run(kept, **chunks)
    assert run(right, **chunks).h.grad_fn is not None  # of the last chunk: it is cut at the next
    chunks |= {"rnn": torch.nn.LSTM(2, chunks["units"])}
    state = f"h = 2 * (torch.zeros(1, {chunks['batch']}, {chunks['units']}),)"
    two = right.replace("h = torch.zeros(1, batch, units)", state)
    run(two.replace("h = h.detach()", "h = tuple(s.detach() for s in h)"), **chunks)
    with pytest.raises(RuntimeError, match=SECOND):  # one of the two states is not enough
        run(two.replace("h = h.detach()", "h = h[0].detach(), h[1]"), **chunks)
    for written in ("h *= mask", "h.relu_()"):
        h = chunks["cell"](chunks["x"][0])
        run(written, h=h, mask=torch.tensor(0.5))
        with pytest.raises(RuntimeError, match=INPLACE):
            h.sum().backward()
    once, twice = snippets("see-freed")[1], snippets("see-freed")[0].replace("\nloss.backward()", "")
    chunks["rnn"] = torch.nn.RNN(2, chunks["units"])
    run(once, **chunks)
    whole = chunks["rnn"].weight_hh_l0.grad.clone()
    chunks["rnn"].zero_grad()
    run(twice.replace("penalty.backward()", "loss.backward(retain_graph=True)\npenalty.backward()"), **chunks)
    torch.testing.assert_close(whole, chunks["rnn"].weight_hh_l0.grad)


def test_padding_and_axes_pytorch():
    network, readout, (x, _) = plain(), reader(), data(10)
    torch, model = module(network, readout)
    lengths = np.array([10] * 10 + [6] * 10)
    (snippet,) = snippets("check-padding")
    seen = run(snippet, torch=torch, rnn=model.rnn, x=torch.tensor(x), lengths=torch.tensor(lengths))
    ours = network.forward(x)[lengths, np.arange(20)]
    np.testing.assert_allclose(seen.h_last[0].detach().numpy(), ours, rtol=1e-6, atol=1e-12)
    (snippet,) = snippets("check-axes")
    assert run(snippet, rnn=model.rnn, x=torch.tensor(x)).moved == 0
    wrong = torch.nn.RNN(6, H, batch_first=True, dtype=torch.float64)
    assert run(snippet, rnn=wrong, x=torch.tensor(x)).moved > 1e-3


def test_float16_pytorch():
    (snippet,) = snippets("check-float16")
    network, readout, (x, target) = plain(), reader(), data()
    norms = {}
    for name, text in {"right": snippet, "clipped first": re.sub("scaler.unscale_.*\n", "", snippet)}.items():
        torch, model = module(network, readout)
        before = model.readout.bias.detach().clone()
        loss = torch.nn.functional.cross_entropy(model(torch.tensor(x)), torch.tensor(target))
        optimizer = torch.optim.SGD(model.parameters(), 1.0)
        scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
        run(text, torch=torch, model=model, loss=loss, optimizer=optimizer, scaler=scaler, threshold=100.0)
        norms[name] = (model.readout.bias - before).norm().item()
    last = gradients(network, readout, x, target)[2]
    np.testing.assert_allclose(norms["right"], np.linalg.norm(last.b_y), rtol=1e-6)
    assert norms["clipped first"] < norms["right"] / 2


def test_jax():
    jax = pytest.importorskip("jax")
    (snippet, *_) = snippets("in-keras-and-jax")
    jnp = jax.numpy
    _, target = data()

    def loss(params, x):
        def step(h, x_t):
            h = jnp.tanh(x_t @ params["W_x"].T + h @ params["W_h"].T + params["b"])
            return h, None

        h, _ = jax.lax.scan(step, jnp.zeros((x.shape[1], H)), x)
        y = h @ params["W_y"].T + params["b_y"]
        return -jnp.mean(jax.nn.log_softmax(y)[jnp.arange(len(target)), target])

    kept = {}
    with jax.enable_x64(True):
        for name, scale, factor in (("cured", 1.0, 1), ("saturated", 1.0, 30), ("overflows", 1e200, 1)):
            network, readout, (x, _) = plain(scale=scale), reader(), data(scale=factor)
            if name == "overflows":
                network.W_x[...] = np.inf  # as a step too far leaves it
            params = {**network.parameters(), **readout.parameters()}
            params = {name: jnp.array(array) for name, array in params.items()}
            seen = run(snippet, jax=jax, jnp=jnp, loss=loss, params=params, x=jnp.array(x))
            kept[name] = seen
            if name == "overflows":
                continue
            _, first, last = gradients(network, readout, x, target)
            arrays = [first.W_x, first.W_h, first.b, last.W_y, last.b_y]
            np.testing.assert_allclose(seen.norm, clip_by_norm(arrays, 1.0)[1], rtol=1e-6)
            np.testing.assert_allclose(seen.norms["W_h"], np.linalg.norm(first.W_h), rtol=1e-6)
            ours = np.linalg.norm(first.x, axis=(1, 2))
            np.testing.assert_allclose(seen.by_step, ours, rtol=1e-6, atol=1e-300)
    assert all(kept["cured"].finite.values()) and not all(kept["overflows"].finite.values())
    ratio = {name: float(seen.by_step[0] / seen.by_step[-1]) for name, seen in kept.items()}
    assert ratio["saturated"] < 1e-4 < ratio["cured"]


def test_keras(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    jax, keras = pytest.importorskip("jax"), pytest.importorskip("keras")
    if keras.config.backend() != "jax":
        pytest.skip("Keras was imported with another backend")
    _, states, grads = snippets("in-keras-and-jax")
    jnp = jax.numpy
    saturated = {}
    for scale in (1, 30):
        network, (x, _) = plain(), data(scale=scale)
        layer = keras.layers.SimpleRNN(H, return_sequences=True)
        inputs = keras.Input((12, 6))
        model = keras.Model(inputs, keras.layers.Dense(2)(layer(inputs)[:, -1]))
        layer.set_weights([network.W_x.T, network.W_h.T, network.b])
        batch_first = np.ascontiguousarray(x.swapaxes(0, 1), np.float32)
        h = network.forward(x)[1:]
        seen = run(states, keras=keras, layer=layer, x=batch_first)
        np.testing.assert_allclose(seen.saturated, np.mean(1 - h**2 < 0.1), atol=1e-3)  # it has float32
        assert seen.dead == 0
        saturated[scale] = seen.saturated
        target = np.ones((20, 2), np.float32)
        seen = run(grads, keras=keras, jax=jax, jnp=jnp, model=model, x=batch_first, target=target)
        W_y, b_y = (np.array(v.value, float) for v in model.layers[-1].weights)
        error = h[-1] @ W_y + b_y - target
        first = network.backward(x, network.forward(x), 2 * error @ W_y.T / error.size)
        by_step = np.linalg.norm(first.x, axis=(1, 2))
        np.testing.assert_allclose(seen.by_step, by_step, rtol=1e-3, atol=1e-4 * by_step.max())
        (name,) = (name for name in seen.norms if "recurrent_kernel" in name)
        np.testing.assert_allclose(seen.norms[name], np.linalg.norm(first.W_h), rtol=1e-3)
    assert saturated[1] < 0.2 < 0.8 < saturated[30]
    layer = keras.layers.SimpleRNN(
        H, activation="relu", bias_initializer=keras.initializers.Constant(-100.0), return_sequences=True
    )
    assert run(states, keras=keras, layer=layer, x=batch_first).dead == 1
