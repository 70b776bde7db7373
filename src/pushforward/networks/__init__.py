"""Networks as plain modules, chosen by `Space`.

Velocities and denoisers are called as ``net(x, t, condition)``; one-shot networks as ``net(z, condition)``.
"""

from __future__ import annotations

from pushforward.networks.causal import CausalTransformer
from pushforward.networks.conditioners import FieldConditioner, VectorConditioner
from pushforward.networks.convolutional import ConvolutionalEncoder, ConvolutionalGenerator
from pushforward.networks.critic import Critic
from pushforward.networks.dcgan import DCGANCritic, DCGANGenerator
from pushforward.networks.egnn import EGNN
from pushforward.networks.embeddings import ConditionEmbedding, Context, TimeEmbedding
from pushforward.networks.factory import time_network
from pushforward.networks.made import MADE
from pushforward.networks.mlp import MLP, ResidualMLP
from pushforward.networks.one_shot import Encoder, Generator
from pushforward.networks.transformer import Transformer
from pushforward.networks.unet import UNet
from pushforward.networks.vector_field import PreparedField, VectorField

__all__ = [
    "EGNN",
    "MADE",
    "MLP",
    "CausalTransformer",
    "ConditionEmbedding",
    "Context",
    "ConvolutionalEncoder",
    "ConvolutionalGenerator",
    "Critic",
    "DCGANCritic",
    "DCGANGenerator",
    "Encoder",
    "FieldConditioner",
    "Generator",
    "PreparedField",
    "ResidualMLP",
    "TimeEmbedding",
    "Transformer",
    "UNet",
    "VectorConditioner",
    "VectorField",
    "time_network",
]
