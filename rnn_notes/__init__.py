"""Recurrent networks and their gradients, in NumPy.

Each module holds one idea and belongs to one lecture:

* `rnn_notes.rnn`: the recurrent network, backpropagation through time, step Jacobians;
* `rnn_notes.activations`: activation functions, their derivatives and the suprema of these;
* `rnn_notes.spectrum`: eigenvalues, norms, powers, and the growth rates of products;
* `rnn_notes.initialization`: where weights start;
* `rnn_notes.clipping`: gradient clipping by value and by norm;
* `rnn_notes.orthogonal`: Gram-Schmidt, Householder reflections, random orthogonal matrices;
* `rnn_notes.lstm`: long short-term memory;
* `rnn_notes.gru`: the gated recurrent unit.

More run and show the experiments:

* `rnn_notes.network`: what a network is, so that yours is one, too;
* `rnn_notes.tasks`: tasks that need a memory, and their losses;
* `rnn_notes.training`: a readout, optimizers, and the training loop;
* `rnn_notes.tables`: results in rows;
* `rnn_notes.diagnosis`: from a network that does not train to a cause;
* `rnn_notes.report`: what was found, in words and tables.

* `rnn_notes.figures`: what the pages draw; only this part needs Matplotlib, so it is imported by itself.

All other public names can be imported from `rnn_notes`. Sequences have the shapes of PyTorch: time, batch,
feature.
"""

from rnn_notes.activations import ACTIVATIONS, Activation, identity, relu, sigmoid, tanh
from rnn_notes.clipping import clip_by_norm, clip_by_value, global_norm
from rnn_notes.diagnosis import diagnose
from rnn_notes.gru import GRU, GRUGradients, GRUState
from rnn_notes.initialization import (
    INITIALIZERS,
    framework_default,
    glorot_uniform,
    identity_matrix,
    random_normal,
    random_uniform,
)
from rnn_notes.lstm import LSTM, LSTMGradients, LSTMState
from rnn_notes.network import Network
from rnn_notes.orthogonal import gram_schmidt, householder_qr, random_orthogonal
from rnn_notes.report import VERDICTS, Block, Finding, Measurement, Report
from rnn_notes.rnn import RNN, RNNGradients
from rnn_notes.spectrum import (
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
from rnn_notes.tables import Table, table
from rnn_notes.tasks import (
    Task,
    adding,
    agreement,
    copying,
    cross_entropy,
    mean_squared_error,
    temporal_order,
)
from rnn_notes.training import SGD, Adam, History, Readout, ReadoutGradients, fit

__version__ = "0.1.0"

__all__ = [
    "ACTIVATIONS",
    "GRU",
    "INITIALIZERS",
    "LSTM",
    "RNN",
    "SGD",
    "VERDICTS",
    "Activation",
    "Adam",
    "Block",
    "Finding",
    "GRUGradients",
    "GRUState",
    "History",
    "LSTMGradients",
    "LSTMState",
    "Measurement",
    "Motion",
    "Network",
    "RNNGradients",
    "Readout",
    "ReadoutGradients",
    "Report",
    "Table",
    "Task",
    "adding",
    "agreement",
    "characteristic_polynomial",
    "classify",
    "clip_by_norm",
    "clip_by_value",
    "copying",
    "cross_entropy",
    "diagnose",
    "eigenvalues",
    "fit",
    "framework_default",
    "global_norm",
    "glorot_uniform",
    "gram_schmidt",
    "henrici",
    "householder_qr",
    "identity",
    "identity_matrix",
    "lyapunov_exponents",
    "matrix_powers",
    "mean_squared_error",
    "random_normal",
    "random_orthogonal",
    "random_uniform",
    "relu",
    "sigmoid",
    "spectral_norm",
    "spectral_radius",
    "table",
    "tanh",
    "temporal_order",
]
