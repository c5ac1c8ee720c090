"""Recurrent networks and their gradients, in NumPy.

Each module holds one idea and belongs to one lecture:

* `rnn_notes.rnn`: the recurrent network, backpropagation through time, step Jacobians;
* `rnn_notes.activations`: activation functions, their derivatives and the suprema of these.

* `rnn_notes.figures`: what the pages draw; only this part needs Matplotlib, so it is imported by itself.

All other public names can be imported from `rnn_notes`. Sequences have the shapes of PyTorch: time, batch,
feature.
"""

from rnn_notes.activations import ACTIVATIONS, Activation, identity, relu, sigmoid, tanh
from rnn_notes.rnn import RNN, RNNGradients

__version__ = "0.1.0"

__all__ = ["ACTIVATIONS", "RNN", "Activation", "RNNGradients", "identity", "relu", "sigmoid", "tanh"]
