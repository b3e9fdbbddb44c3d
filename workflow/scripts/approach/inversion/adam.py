"""Adam (Kingma and Ba 2015), bit for bit as torch.optim.Adam computes it.

Making an optimizer of torch.optim imports PyTorch's compiler: more than a second, a tenth of a short inversion.
"""

from collections.abc import Sequence

import torch
from torch import Tensor


class Adam:
    """What descent asks of an optimizer: param_groups with rates, step, and its state as a dict and back.

    Args:
        parameters: leaves with gradients, each in a group of its own.
        betas: of the two moments.
        eps: added to the root of the second.
    """

    def __init__(self, parameters: Sequence[Tensor], *, betas: tuple[float, float], eps: float):
        self.param_groups = [{"params": [parameter], "lr": 0.0} for parameter in parameters]
        self.betas, self.eps, self.steps = betas, eps, 0
        self.moments = [(torch.zeros_like(one), torch.zeros_like(one)) for one in parameters]

    @torch.no_grad()
    def step(self) -> None:
        """One update of every parameter by its gradient, at its group's rate."""
        self.steps += 1
        first_share, second_share = (1 - beta**self.steps for beta in self.betas)
        for group, (first, second) in zip(self.param_groups, self.moments, strict=True):
            (parameter,) = group["params"]
            gradient = parameter.grad
            first.lerp_(gradient, 1 - self.betas[0])
            second.mul_(self.betas[1]).addcmul_(gradient, gradient, value=1 - self.betas[1])
            scale = (second.sqrt() / second_share**0.5).add_(self.eps)
            parameter.addcdiv_(first, scale, value=-group["lr"] / first_share)

    def state_dict(self) -> dict:
        """The moments of each parameter, and how many steps are behind them: plain values and tensors."""
        return {
            "state": {
                place: {"step": self.steps, "first": first, "second": second}
                for place, (first, second) in enumerate(self.moments)
            }
        }

    def load_state_dict(self, state: dict) -> None:
        """Go on with the state of another; its moments come to where the parameters are, as copies."""
        for place, one in state["state"].items():
            for mine, other in zip(self.moments[place], (one["first"], one["second"]), strict=True):
                mine.copy_(other)
            self.steps = one["step"]
