"""The study's generator in training: the state dict and arithmetic of pytorch_pretrained_biggan.BigGAN, made to learn.

It differs from the package in what training needs: batch norm learns from the statistics of the batch (the package can
but read stored ones), the power iteration of the spectral norm is a step of its own, so that the forward pass compiles,
the linear maps of z and class have a norm of their own, and the first layers can be shown alone.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from approach.losses.discriminator import Conv, Discriminator, Linear, SpectralWeight
from study.painter import normal

STATISTICS_BATCH = 64  # samples that are normalised together while standing statistics are taken


class FreeLinear(Linear):
    """A linear map of z and class with a norm of its own: weight_orig / RATE, where the others are bounded by 1.

    One bound for all of z starves it: a few directions take the whole norm, and a channel sees a third of what it sees
    of the class. The package divides by u'Wv, so u is kept at the length that makes this RATE.
    """

    RATE = 8.0  # weight_orig is larger than the weight, so that a step of Adam's changes it as little as the others

    def __init__(self, inputs: int, outputs: int, bias: bool = True, eps: float = 1e-4):
        super().__init__(inputs, outputs, bias=bias, eps=eps)
        with torch.no_grad():
            self.weight_orig.mul_(self.RATE)

    @torch.no_grad()
    def iterate(self, steps: int = 1) -> None:
        """Bring u'Wv to RATE."""
        super().iterate(steps)
        self.weight_u.mul_(self.RATE / (self.weight_u @ self.weight_orig @ self.weight_v))

    def weight(self) -> Tensor:
        """The weight as the package computes it from weight_orig, u and v."""
        return self.weight_orig / self.RATE


class BatchNorm(nn.Module):
    """Batch norm with the statistics of the batch; gain and bias from the condition, or learned.

    A small batch's statistics are not those that a lone image will meet. Where `steady` is set the output is that of
    the last row of standing statistics, while gradients flow as through the batch's (Batch Renormalization, Ioffe
    2017). Where it is `still` the batch's own are not looked at, as in the pipeline.
    """

    def __init__(self, features: int, condition: int | None, n_stats: int, eps: float):
        super().__init__()
        self.eps, self.steady, self.still = eps, False, False
        self.register_buffer("running_means", torch.zeros(n_stats, features))
        self.register_buffer("running_vars", torch.ones(n_stats, features))
        self.conditional = condition is not None
        if condition is None:
            self.weight = nn.Parameter(torch.ones(features))
            self.bias = nn.Parameter(torch.zeros(features))
        else:
            self.scale = FreeLinear(condition, features, bias=False, eps=eps)
            self.offset = FreeLinear(condition, features, bias=False, eps=eps)

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        """[N, features, H, W], normalised."""
        if self.conditional:
            gain, offset = 1 + self.scale(condition), self.offset(condition)
        else:
            gain, offset = self.weight.unsqueeze(0), self.bias.unsqueeze(0)
        if self.still:
            gain = gain / (self.running_vars[-1] + self.eps).sqrt()
            offset = offset - gain * self.running_means[-1]
            return x * gain.to(x.dtype)[:, :, None, None] + offset.to(x.dtype)[:, :, None, None]
        if self.steady:
            variance, mean = torch.var_mean(x.detach().float(), (0, 2, 3), correction=0)
            deviation = (self.running_vars[-1] + self.eps).sqrt()
            offset = offset + gain * ((mean - self.running_means[-1]) / deviation)
            gain = gain * ((variance + self.eps).sqrt() / deviation)
        x = F.batch_norm(x, None, None, training=True, eps=self.eps)
        return x * gain.to(x.dtype)[:, :, None, None] + offset.to(x.dtype)[:, :, None, None]


class GenBlock(nn.Module):
    """BigGAN-deep's bottleneck block."""

    def __init__(self, inputs: int, outputs: int, condition: int, up_sample: bool, n_stats: int, eps: float):
        super().__init__()
        middle = inputs // 4
        self.up_sample, self.outputs = up_sample, outputs
        self.bn_0 = BatchNorm(inputs, condition, n_stats, eps)
        self.conv_0 = Conv(inputs, middle, 1, eps=eps)
        self.bn_1 = BatchNorm(middle, condition, n_stats, eps)
        self.conv_1 = Conv(middle, middle, 3, eps=eps)
        self.bn_2 = BatchNorm(middle, condition, n_stats, eps)
        self.conv_2 = Conv(middle, middle, 3, eps=eps)
        self.bn_3 = BatchNorm(middle, condition, n_stats, eps)
        self.conv_3 = Conv(middle, outputs, 1, eps=eps)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """[N, inputs, H, W] to [N, outputs, H or 2H, W or 2W]."""
        h = self.conv_0(F.relu(self.bn_0(x, condition)))
        h = F.relu(self.bn_1(h, condition))
        if self.up_sample:
            h = F.interpolate(h, scale_factor=2, mode="nearest")
        h = self.conv_1(h)
        h = self.conv_2(F.relu(self.bn_2(h, condition)))
        h = self.conv_3(F.relu(self.bn_3(h, condition)))
        x = x[:, : self.outputs]
        if self.up_sample:
            x = F.interpolate(x, scale_factor=2, mode="nearest")
        return h + x


class SelfAttn(nn.Module):
    """Self attention over the map, as in the package."""

    def __init__(self, channels: int, eps: float):
        super().__init__()
        self.snconv1x1_theta = Conv(channels, channels // 8, 1, bias=False, eps=eps)
        self.snconv1x1_phi = Conv(channels, channels // 8, 1, bias=False, eps=eps)
        self.snconv1x1_g = Conv(channels, channels // 2, 1, bias=False, eps=eps)
        self.snconv1x1_o_conv = Conv(channels // 2, channels, 1, bias=False, eps=eps)
        self.gamma = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        """The map plus gamma times what it attends to."""
        theta = self.snconv1x1_theta(x).flatten(2)
        phi = F.max_pool2d(self.snconv1x1_phi(x), 2).flatten(2)
        g = F.max_pool2d(self.snconv1x1_g(x), 2).flatten(2)
        attention = torch.softmax(theta.transpose(1, 2) @ phi, dim=-1)
        seen = (g @ attention.transpose(1, 2)).unflatten(2, x.shape[2:])
        return x + self.gamma * self.snconv1x1_o_conv(seen)


class Head(nn.Module):
    """Shows a small picture of the map after a layer, while only the layers up to it learn."""

    def __init__(self, config: dict, after: int):
        super().__init__()
        attention = config["attention_layer_position"] < after
        channels = config["channel_width"] * config["layers"][after - attention][2]
        self.after = after
        self.bn = BatchNorm(channels, None, 1, config["eps"])
        self.conv = nn.Conv2d(channels, 3, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Images [N, 3, s, s] in [-1, 1]."""
        return torch.tanh(self.conv(F.relu(self.bn(x))))


class Body(nn.Module):
    """What the package calls `generator`."""

    def __init__(self, config: dict):
        super().__init__()
        width, eps, n_stats = config["channel_width"], config["eps"], config["n_stats"]
        condition = 2 * config["z_dim"]
        self.width = width
        self.gen_z = FreeLinear(condition, 4 * 4 * 16 * width, eps=eps)
        layers: list[nn.Module] = []
        for index, (up_sample, inputs, outputs) in enumerate(config["layers"]):
            if index == config["attention_layer_position"]:
                layers.append(SelfAttn(width * inputs, eps))
            layers.append(GenBlock(width * inputs, width * outputs, condition, up_sample, n_stats, eps))
        self.layers = nn.ModuleList(layers)
        self.bn = BatchNorm(width, None, n_stats, eps)
        self.conv_to_rgb = Conv(width, width, 3, eps=eps)

    def forward(self, condition: Tensor, head: Head | None = None) -> Tensor:
        """Images [N, 3, S, S] in [-1, 1], or what a head shows of a map on the way."""
        if head is not None:
            return head(self.through(self.begin(condition), condition, 0, head.after + 1))
        return self.show(self.through(self.begin(condition), condition))

    def begin(self, condition: Tensor) -> Tensor:
        """The first map [N, channels, 4, 4]."""
        return self.gen_z(condition).view(-1, 4, 4, 16 * self.width).permute(0, 3, 1, 2)

    def through(self, x: Tensor, condition: Tensor, first: int = 0, end: int | None = None) -> Tensor:
        """A map after the layers from `first` to the one before `end`."""
        for layer in self.layers[first:end]:
            x = layer(x, condition) if isinstance(layer, GenBlock) else layer(x)
        return x

    def show(self, x: Tensor) -> Tensor:
        """Images of the last map."""
        x = F.relu(self.bn(x))
        # The package computes `width` channels and shows three; only those are computed (and learn) here.
        rgb = F.conv2d(x, self.conv_to_rgb.weight()[:3], self.conv_to_rgb.bias[:3], padding=1)
        return torch.tanh(rgb)


class TrainableGenerator(nn.Module):
    """A BigGAN that learns: forward(z [N, 128], classes [N, C]) to images."""

    def __init__(self, config: dict):
        super().__init__()
        self.config = config
        self.embeddings = nn.Linear(config["num_classes"], config["z_dim"], bias=False)
        self.generator = Body(config)
        nn.init.normal_(self.embeddings.weight)

    def forward(self, z: Tensor, classes: Tensor, head: Head | None = None) -> Tensor:
        """Images [N, 3, S, S] in [-1, 1], normalised as its batch norms are set to; or what a head shows."""
        return self.generator(torch.cat([z, self.embeddings(classes)], 1), head)


class LocalJudge(nn.Module):
    """Judges each place of a map of features by itself, as a PatchGAN does (Isola et al. 2017)."""

    def __init__(self, channels: int, num_classes: int):
        super().__init__()
        self.conv = Conv(channels, channels, 3)
        self.score = Conv(channels, 1, 1)
        self.classes = Linear(num_classes, channels, bias=False)

    def forward(self, x: Tensor, classes: Tensor) -> Tensor:
        """Scores [N, 1, H, W] of a map [N, channels, H, W], for classes [N, C]."""
        h = F.relu(self.conv(F.relu(x)))
        return self.score(h) + (self.classes(classes)[:, :, None, None] * h).sum(1, keepdim=True)


class PairDiscriminator(Discriminator):
    """The discriminator in training.

    It also judges whether a picture is the one that its z decides, by a projection on z beside that on the class
    (Miyato and Koyama 2018), and, by the maps on the way, every place of a picture.
    """

    def __init__(self, channels: list[int], num_classes: int, group: int = 4, size: int | None = None, *, z_dim: int):
        super().__init__(channels, num_classes, group, size)
        self.form = (channels, num_classes, group, size)
        self.latents = Linear(z_dim, channels[-1], bias=False)
        self.places = nn.ModuleList(LocalJudge(width, num_classes) for width in channels[:-1])

    def judge_pair(self, x: Tensor, classes: Tensor, z: Tensor) -> Tensor:
        """Scores [N] from the last map of features, for classes [N, C] and z [N, z_dim]."""
        h = self.gather(x)
        wanted = self.classes(classes) + self.latents(z / z.shape[1] ** 0.5)
        return (self.score(h)[:, 0] + (wanted * h).sum(1)).float()

    def judge_places(self, maps: list[Tensor], classes: Tensor) -> list[Tensor]:
        """Scores [N, 1, H, W] of the places of each map but the last."""
        return [judge(x, classes).float() for judge, x in zip(self.places, maps[:-1], strict=True)]

    def as_discriminator(self) -> Discriminator:
        """The discriminator that the pipeline loads: a copy of what judges a whole picture, whatever its z."""
        plain = Discriminator(*self.form)
        state = self.state_dict()
        plain.load_state_dict({name: state[name] for name in plain.state_dict()})
        return plain


def iterate(module: nn.Module, steps: int = 1) -> None:
    """One power iteration of every spectral norm in a network."""
    for part in module.modules():
        if isinstance(part, SpectralWeight):
            part.iterate(steps)


def batch_norms(network: nn.Module) -> list[BatchNorm]:
    """The batch norms of a network, in its order."""
    return [module for module in network.modules() if isinstance(module, BatchNorm)]


def hold_norms(network: nn.Module) -> None:
    """Normalise by the last row of standing statistics, as the pipeline does at truncation 1."""
    for layer in batch_norms(network):
        layer.still = True


@torch.no_grad()
def standing_statistics(
    generator: TrainableGenerator, truncation: float, samples: int, seed: int = 0
) -> list[tuple[Tensor, Tensor]]:
    """Mean and variance of what enters each batch norm, over samples of all classes at a truncation.

    Each batch is normalised by its own statistics, as in training; the moments are averaged over batches (the standing
    statistics of Brock et al. 2019). samples is a multiple of STATISTICS_BATCH.
    """
    layers, device = batch_norms(generator), generator.embeddings.weight.device
    moments = {layer: [0.0, 0.0] for layer in layers}

    def watch(layer: nn.Module, inputs: tuple) -> None:
        x = inputs[0].double() if samples <= STATISTICS_BATCH else inputs[0].float()
        moments[layer][0] += x.mean((0, 2, 3)).double()
        moments[layer][1] += x.square().mean((0, 2, 3)).double()

    hooks = [layer.register_forward_pre_hook(watch) for layer in layers]
    count = samples // STATISTICS_BATCH
    for batch in range(count):
        z = normal(torch.Generator().manual_seed(seed + batch), STATISTICS_BATCH, generator.config["z_dim"], truncation)
        labels = torch.arange(STATISTICS_BATCH) % generator.config["num_classes"]
        classes = F.one_hot(labels, generator.config["num_classes"]).float()
        generator(z.to(device), classes.to(device))
    for hook in hooks:
        hook.remove()
    means = [(moments[layer][0] / count, moments[layer][1] / count) for layer in layers]
    return [(mean.float(), (square - mean**2).clamp(min=0).float()) for mean, square in means]
