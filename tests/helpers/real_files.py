"""The files that no stand-in replaces: what `make weights` fetches."""

from pathlib import Path

from approach.planning import downloads
from approach.planning.plan import make_plan
from helpers.paths import ROOT

# The keys that `make weights` plans with.
FETCHED = {"experiment": "wanderer", "generator": "study", "loss": "l1-lpips", "hydra": "perceptual.net=squeeze"}


def real_files() -> dict[str, Path]:
    """The backbone of LPIPS and the painting, where the rule fetch leaves them."""
    config = make_plan(FETCHED, ROOT).base
    return {"backbone": ROOT / downloads.backbone_file(config), "painting": ROOT / downloads.picture_file(config)}
