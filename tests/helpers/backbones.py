"""Stand-ins for the backbones of LPIPS: the published architectures with seeded weights."""

import torch

from approach.torchvision_guard import import_torchvision

import_torchvision()
from torchvision import models  # noqa: E402

BACKBONES = {"squeeze": models.squeezenet1_1, "alex": models.alexnet, "vgg": models.vgg16}


def stand_in(net: str) -> dict[str, torch.Tensor]:
    """The state dict of a net's `features`, seeded, with activations of about the size of the inputs."""
    with torch.device("meta"):  # the classifiers are large and not needed
        features = BACKBONES[net](weights=None).features
    generator = torch.Generator().manual_seed(5)
    state = {}
    for name, tensor in features.state_dict().items():
        fan_in = tensor[0].numel() if tensor.dim() > 1 else 100
        state[name] = torch.randn(tensor.shape, generator=generator) * (2 / fan_in) ** 0.5
    return state
