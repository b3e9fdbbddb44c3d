"""What latents can reach of the conditioning: z within its bound, beside a mixture of the classes' embeddings."""

import torch
from torch import Tensor

ROUNDS = 200
CLOSE_ENOUGH = 1e-6  # of the mixture, from one round to the next


class Reach:
    """The conditionings that latents give, as a convex set; what lies outside is put on its nearest point.

    Args:
        embedding: [E, C], a column for each class.
        bound: of every component of z.
    """

    def __init__(self, embedding: Tensor, bound: float):
        self.embedding, self.bound = embedding, bound
        self._products = embedding.T @ embedding
        self._rate = 1 / float(torch.linalg.matrix_norm(self._products, 2))

    def nearest(self, points: Tensor, mixtures: Tensor) -> tuple[Tensor, Tensor]:
        """The nearest conditionings that latents give.

        Args:
            points: [N, Z + E], anywhere.
            mixtures: [N, C], probabilities to begin from; those of a point nearby save rounds.

        Returns:
            points [N, Z + E], which are exactly those of the second part: mixtures [N, C].
        """
        edge = len(self.embedding)
        z = points[:, :-edge].clamp(-self.bound, self.bound)
        mixtures = self._nearest_mixtures(points[:, -edge:], mixtures)
        return torch.cat([z, mixtures @ self.embedding.T], dim=1), mixtures

    def _nearest_mixtures(self, embedded: Tensor, mixtures: Tensor) -> Tensor:
        """Accelerated projected gradients (Beck and Teboulle 2009) on the distance of the mixture's embedding."""
        wanted = embedded @ self.embedding
        ahead, pace = mixtures, 1.0
        for _ in range(ROUNDS):
            found = onto_simplex(ahead - self._rate * (ahead @ self._products - wanted))
            faster = (1 + (1 + 4 * pace**2) ** 0.5) / 2
            ahead = found + (pace - 1) / faster * (found - mixtures)
            moved = float((found - mixtures).abs().max())
            mixtures, pace = found, faster
            if moved < CLOSE_ENOUGH:
                break
        return mixtures


def onto_simplex(vectors: Tensor) -> Tensor:
    """The nearest probabilities to vectors [N, C] (Duchi et al. 2008)."""
    falling = vectors.sort(dim=1, descending=True).values
    excess = falling.cumsum(1) - 1
    count = torch.arange(1, vectors.shape[1] + 1, device=vectors.device, dtype=vectors.dtype)
    used = (falling - excess / count > 0).sum(1, keepdim=True)
    return (vectors - excess.gather(1, used - 1) / used).clamp_min(0)
