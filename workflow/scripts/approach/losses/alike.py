"""How much every two pictures differ by LPIPS, from products of features: no pair of pictures is compared by itself."""

from collections.abc import Callable

import torch
from torch import Tensor

from approach.losses.perceptual import Perceptual

BLOCK = 128  # pictures whose features are held at a time


@torch.inference_mode()
def perceptual_products(net: Perceptual, pictures: Tensor, report: Callable[[int, int], None] | None = None) -> Tensor:
    """Products [N, N] of vectors whose squared distances are LPIPS.

    LPIPS is a weighted mean of squares of differences of features, so its root is a distance.

    Args:
        net: the network.
        pictures: [N, 3, S, S] in [-1, 1].
        report: called now and then with the blocks done and all blocks.
    """
    blocks = pictures.split(BLOCK)
    products = torch.zeros(len(pictures), len(pictures), dtype=torch.float64)
    done, total = 0, len(blocks) * (len(blocks) + 1) // 2
    for row, one in enumerate(blocks):
        mine = net.features(one)
        for column, other in enumerate(blocks[: row + 1]):
            theirs = mine if column == row else net.features(other)
            part = sum(_product(net, a, b, layer) for layer, (a, b) in enumerate(zip(mine, theirs, strict=True)))
            where = slice(row * BLOCK, row * BLOCK + len(one)), slice(column * BLOCK, column * BLOCK + len(other))
            products[where] = part.double().cpu()
            products[where[::-1]] = products[where].T.clone()
            done += 1
            if report:
                report(done, total)
    return products


def _product(net: Perceptual, a: Tensor, b: Tensor, layer: int) -> Tensor:
    """One layer's products [A, B]: its weights are not negative."""
    weight = net._heads[layer].model[-1].weight.to(a).view(1, -1, 1, 1)
    return (a * weight).flatten(1) @ b.flatten(1).T / a[0, 0].numel()
