"""The passes between arrivals as a contact sheet: the images along each band, with their losses."""

from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image

from approach.pictures.montage import sheet
from approach.pictures.readings import ridge


def passes_sheet(
    found: Mapping[str, np.ndarray],
    said: Mapping,
    target: np.ndarray,
    *,
    shown: Sequence[int] | None = None,
    title: str,
    tile: int,
) -> Image.Image:
    """Draw the images along every band, a row each, the target last.

    Args:
        found: the arrays of passes.safetensors.
        said: its metadata: pairs, labels, loss, free.
        target: uint8 [H, W, 3].
        shown: the numbers of the passes to draw; by default all.
        title: in large type.
        tile: pixels of a picture's side.
    """
    rows = []
    labels = said["labels"]
    for number in range(len(said["pairs"])) if shown is None else shown:
        a, b = said["pairs"][number]
        losses = found["losses"][number]
        top = int(losses[1:-1].argmax()) + 1
        tiles = [
            {"image": image, "caption": f"{'pass ' if place == top else ''}{loss:#.3g}", "failed": place == top}
            for place, (image, loss) in enumerate(zip(found["images"][number], losses, strict=True))
        ]
        heights = f"{ridge(found['profiles'][number]):.2g} high", f"({ridge(found['straight'][number]):.2g} straight)"
        rows.append({"label": [f"{labels[a]} to", labels[b], *heights], "failed": False, "tiles": tiles})
    count = found["images"].shape[1]
    heads = [["arrival"], *[[""]] * (count - 2), ["arrival"]]
    reach = "anywhere in the conditioning" if said["free"] else "where latents lead"
    subtitle = f"The lowest way found between every two arrivals, {reach}; below each image its {said['loss']} loss"
    subtitle += ". Heights are measured between the images, too"
    return sheet(rows, heads, target, title=title, subtitle=subtitle, tile=tile)
