"""One evaluation: from latents to images and losses, and the gradients of the latents."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor


class Evaluation(NamedTuple):
    """What an evaluation gives for n seeds, all detached."""

    images: Tensor  # [n, 3, S, S]
    classes: Tensor  # [n, C], as the generator received it
    total: Tensor  # [n]
    terms: dict[str, Tensor]  # name -> [n]
    grad_z: Tensor  # [n, 128]
    grad_logits: Tensor  # as logits


def build_evaluate(
    generator: Callable, loss: Callable, temperature: float, *, embedding: bool = False, graphs: bool
) -> Callable[..., Evaluation]:
    """Build the function of z [n, 128] and logits [n, C] that returns their Evaluation.

    Args:
        generator: has conditioning(z, classes [n, C]) -> [n, 256]; called with that, gives images [n, 3, S, S].
        loss: images -> (total [n], terms: name -> [n]); the gradients are those of the total's sum.
        temperature: of the softmax that makes class probabilities of the logits.
        embedding: the logits are the class embedding itself, [n, E].
        graphs: record the evaluation once per n as a CUDA graph and replay it, which spares the launching of each
            kernel; only on CUDA devices.
    """

    def run(z: Tensor, logits: Tensor) -> Evaluation:
        z, logits = z.detach().requires_grad_(), logits.detach().requires_grad_()
        classes = logits if embedding else torch.softmax(logits / temperature, dim=1)
        images = generator(generator.conditioning(z, classes))
        values = loss(images)
        grad_z, grad_logits = torch.autograd.grad(values.total.sum(), (z, logits))
        terms = {name: value.detach() for name, value in values.terms.items()}
        return Evaluation(images.detach(), classes.detach(), values.total.detach(), terms, grad_z, grad_logits)

    return _replayed(run) if graphs else run


def _replayed(run: Callable[[Tensor, Tensor], Evaluation]) -> Callable[[Tensor, Tensor], Evaluation]:
    captured: dict[int, tuple[torch.cuda.CUDAGraph, Tensor, Tensor, Evaluation]] = {}
    pool = None  # of all graphs: one runs at a time, and its results are copied before the next

    def replay(z: Tensor, logits: Tensor) -> Evaluation:
        nonlocal pool
        with torch.cuda.device(z.device):
            if len(z) not in captured:
                pool = pool or torch.cuda.graph_pool_handle()
                captured[len(z)] = _capture(run, z, logits, pool)
            graph, z_in, logits_in, result = captured[len(z)]
            z_in.copy_(z.detach())
            logits_in.copy_(logits.detach())
            graph.replay()
            terms = {name: value.clone() for name, value in result.terms.items()}
            return Evaluation(*(terms if part is result.terms else part.clone() for part in result))

    return replay


def _capture(
    run: Callable, z: Tensor, logits: Tensor, pool: tuple[int, int]
) -> tuple[torch.cuda.CUDAGraph, Tensor, Tensor, Evaluation]:
    """Record an evaluation on the current device; its memory comes from the pool."""
    z_in, logits_in = z.detach().clone(), logits.detach().clone()
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):  # compilation and library set-up must lie behind before a capture
        for _ in range(3):
            run(z_in, logits_in)
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, pool=pool):
        result = run(z_in, logits_in)
    return graph, z_in, logits_in, result
