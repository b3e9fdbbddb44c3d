"""A small picture beside each batch for whoever wants to watch: the inversions so far, and the target."""

from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

TILE = 96
ROWS = 8
MOMENTS = 8


class Preview:
    """Collects stills of the first seeds of a batch and writes them as rows, the target last."""

    def __init__(self, path: Path, target: Path, seeds: list[int], steps: int):
        self.path, self.target = path, target
        self.rows = min(ROWS, len(seeds))
        self.moments = {round(steps * i / (MOMENTS - 1)) for i in range(MOMENTS)}
        self._kept: list[Tensor] = []
        self._last: Tensor | None = None

    def look(self, step: int, images: Tensor) -> None:
        """Notice a step's images [N, 3, S, S] in [-1, 1]."""
        self._last = images[: self.rows]
        if step in self.moments:
            self._kept.append(self._last.clone())
            self._last = None

    def write(self) -> None:
        """Write the picture; a viewer never sees half of it."""
        stills = [*self._kept, *([] if self._last is None else [self._last])]
        columns = [((still.float().clamp(-1, 1) + 1) * 127.5).byte().permute(0, 2, 3, 1).cpu() for still in stills]
        sheet = Image.new("RGB", ((len(columns) + 1) * TILE, self.rows * TILE))
        for x, column in enumerate(torch.stack(columns).numpy()):
            for y, pixels in enumerate(column):
                sheet.paste(
                    Image.fromarray(pixels).resize((TILE, TILE), Image.Resampling.LANCZOS), (x * TILE, y * TILE)
                )
        with Image.open(self.target) as picture:
            sheet.paste(picture.convert("RGB").resize((TILE, TILE)), (len(columns) * TILE, 0))
        self.path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self.path.with_name(f".{self.path.name}.part.png")
        sheet.save(temporary)
        temporary.replace(self.path)
