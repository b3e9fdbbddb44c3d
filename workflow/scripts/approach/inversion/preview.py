"""What a batch shows while it is inverted: pictures so far beside the target, losses, pace. It watches and no more."""

import base64
import io
import math
import time
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from approach.inversion.descent import State
from approach.live import batch_of, tell

TILE = 96
ROWS = 8  # seeds whose pictures and losses are shown
MOMENTS = 8
POINTS = 100  # of a curve
PAUSE = 2.0  # seconds between two looks, at least
SHARE = 0.004  # of the time may go into them
LONGEST = 30.0  # seconds between two looks of a long inversion, whose pictures change slowly


class Preview:
    """Keeps pictures of a batch's first seeds, and tells now and then how far it is."""

    def __init__(self, path: Path, target: Path, seeds: list[int], steps: int):
        """Nothing is told before the first step.

        Args:
            path: the script to write.
            target: the prepared target.
            seeds: the batch's.
            steps: updates in the whole inversion.
        """
        self.path, self.target, self.seeds, self.steps = path, target, seeds, steps
        self.rows = min(ROWS, len(seeds))
        self.moments = {round(steps * i / (MOMENTS - 1)) for i in range(MOMENTS)}
        self._kept: dict[int, list[Image.Image]] = {}
        self._began: tuple[int, float] | None = None
        self._next = -math.inf

    def look(self, state: State, images: Tensor) -> None:
        """Notice a step: rows before state.step are final; images [N, 3, S, S] in [-1, 1] are the last ones."""
        step, now = state.step - 1, time.monotonic()
        self._began = self._began or (step, now)
        due = now >= self._next or step == self.steps
        if not due and step not in self.moments:
            return
        if images.is_cuda:
            torch.cuda.synchronize(images.device)  # the steps under way are not what a look costs
            now = time.monotonic()
        tiles = self._tiles(state, images)
        if step in self.moments:
            self._kept[step] = tiles
        if due:
            data = self._data(state, step, now, tiles)
            cost = time.monotonic() - now
            pause = max(PAUSE, cost / SHARE, min(LONGEST, (now - self._began[1]) / 100))
            tell(self.path, {**data, "pause": max(pause, data["per_step"] or 0)})
            self._next = time.monotonic() + pause

    def _first_members(self, state: State) -> list[int]:
        owners = state.owners.tolist()
        return [owners.index(owner) for owner in range(self.rows)]

    def _tiles(self, state: State, images: Tensor) -> list[Image.Image]:
        chosen = images[self._first_members(state)].float().clamp(-1, 1)
        pixels = ((chosen + 1) * 127.5).byte().permute(0, 2, 3, 1).cpu().numpy()
        return [Image.fromarray(one).resize((TILE, TILE), Image.Resampling.BICUBIC) for one in pixels]

    def _data(self, state: State, step: int, now: float, tiles: list[Image.Image]) -> dict:
        first, began = self._began or (step, now)
        seconds = (now - began) / (step - first) if step > first else None
        losses = state.log[:, : state.step, 0].double().cpu()
        rows = self._first_members(state)
        shown = sorted({round(i * step / (POINTS - 1)) for i in range(POINTS)})
        return {
            "batch": batch_of(self.path),
            "written": time.time(),
            "step": step,
            "steps": self.steps,
            "seeds": self.seeds[: self.rows],
            "of": len(self.seeds),
            "per_step": seconds,
            "left": seconds * (self.steps - step) if seconds else None,
            "nearest": self._nearest(state, losses[:, step]),
            "failed": self._failed(state),
            "curves": {"steps": shown, "losses": [_finite(losses[row, shown].tolist()) for row in rows]},
            "moments": sorted({*self._kept, step}),
            "picture": self._picture({**self._kept, step: tiles}),
        }

    def _nearest(self, state: State, losses: Tensor) -> dict | None:
        losses = torch.nan_to_num(losses, nan=math.inf)
        row = int(losses.argmin())
        loss = float(losses[row])
        return {"seed": self.seeds[int(state.owners[row])], "loss": loss} if math.isfinite(loss) else None

    def _failed(self, state: State) -> list[dict]:
        """Seeds of which no member goes on, and the last step at which one had a finite loss."""
        alive, last, owners = state.alive.cpu(), state.last_step.cpu(), state.owners
        gone = sorted(set(range(len(self.seeds))).difference(owners[alive].tolist()))
        return [{"seed": self.seeds[owner], "step": int(last[owners == owner].max())} for owner in gone]

    def _picture(self, columns: dict[int, list[Image.Image]]) -> str:
        """Seeds by steps and the target last, as a data URI."""
        sheet = Image.new("RGB", ((len(columns) + 1) * TILE, self.rows * TILE))
        for x, step in enumerate(sorted(columns)):
            for y, tile in enumerate(columns[step]):
                sheet.paste(tile, (x * TILE, y * TILE))
        with Image.open(self.target) as picture:
            target = picture.convert("RGB").resize((TILE, TILE))
        for y in range(self.rows):
            sheet.paste(target, (len(columns) * TILE, y * TILE))
        buffer = io.BytesIO()
        sheet.save(buffer, "JPEG", quality=88)
        return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()


def _finite(values: list[float]) -> list[float | None]:
    return [float(f"{value:.5g}") if math.isfinite(value) else None for value in values]
