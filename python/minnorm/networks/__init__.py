"""Unlearning for networks with a closed form: linear networks and two-layer perceptrons.

Everything here is double precision: the theorems hold exactly, so rounding should be all that is
left of their error. No object is changed by a method; a method that unlearns returns a new network.
"""

from .certificate import NetworkCertificate
from .linear_network import LinearNetwork
from .loss_gradient import LossGradientUpdate, linear_model_data, loss_gradient_update
from .two_layer_perceptron import TwoLayerPerceptron

__all__ = [
    "LinearNetwork",
    "LossGradientUpdate",
    "NetworkCertificate",
    "TwoLayerPerceptron",
    "linear_model_data",
    "loss_gradient_update",
]
