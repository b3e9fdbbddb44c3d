"""The model card is written for every way of training, from what the other rules leave."""

import json
import sys

import numpy as np
import pytest
from PIL import Image

from helpers.paths import ROOT

sys.path.insert(0, str(ROOT))
from study.scripts import model_card
from study.training import COLUMNS

RUNGS = {"samples": 900.0, "drawn": 200.0, "untrained": 20000.0}
RUNGS |= {f"blurred {blur} px": 500.0 * blur for blur in (0.5, 1.0, 2.0)}
FIGURES = {
    "frechet": RUNGS,
    "frechet_reduced": {name: 3 * value for name, value in RUNGS.items()},
    "frechet_classifier": {name: value / 100 for name, value in RUNGS.items()},
    "recognised": {
        "held-out pictures": 0.97,
        "samples": 0.93,
        "held-out pictures by mean colour": 0.33,
        "samples by mean colour": 0.36,
    },
    "recognised_by_class": [0.93] * 16,
    "diversity": {"samples": [0.36] * 16, "pictures": [0.4] * 16},
}
RECOVERY = {
    "steps": 100,
    "recovered_share": 0.9,
    "recovered_median": 0.03,
    "painting": [0.21],
    "painting_start_best": 0.4,
    "painting_over_recovered": 7.0,
}
RECORD = {
    "steps": 5000,
    "images": 120_000,
    "hours": 1.5,
    "grown": False,
    "pictures": 5120,
    "device": "CPU, 2 cores",
    "torch": "2.13.0",
    "generator_parameters": 2_500_000,
    "discriminator_parameters": 1_200_000,
}
WAYS = {
    "cpu": {"script": "train"},
    "grow": {"script": "train", "grown": True},
    "enlarge": {"script": "enlarge", "grown": True},
    "match": {"script": "match", "matched": {"steps": 987, "images": 15_792, "hours": 0.75}},
}
TOLD = {
    "cpu": "26,000 with the discriminator",
    "grow": "40,000 images as lessons by their pairs alone",
    "enlarge": "An enlarger (6 residual blocks",
    "match": "| 15,792 (987 steps) | 0.75 |",
}


@pytest.mark.parametrize("way", WAYS)
def test_the_card_is_written(way, tmp_path, monkeypatch):
    record = {**RECORD, **WAYS[way]}
    for name, content in (("record", record), ("figures", FIGURES), ("recovery", RECOVERY)):
        (tmp_path / f"{name}.json").write_text(json.dumps(content))
    told = {"match": {"pyramid", "features", "means"}, "enlarge": {"pyramid"}}.get(way, set(COLUMNS))
    rows = [[20 * n, 320 * n, n, *(1 / n if name in told else 0.0 for name in COLUMNS[3:])] for n in range(1, 9)]
    (tmp_path / "curves.csv").write_text("\n".join(",".join(map(str, row)) for row in (COLUMNS, *rows)) + "\n")
    options = {name: tmp_path / f"{name}.json" for name in ("record", "figures", "recovery")}
    options |= {"resources": ROOT / "resources" / "study", "card": tmp_path / "card.md", "curves": tmp_path / "c.png"}
    words = [word for name, path in options.items() for word in (f"--{name}", str(path))]
    monkeypatch.setattr(sys, "argv", ["model_card", *words, f"train={way}", "generator=study128"])
    model_card.main()
    card = (tmp_path / "card.md").read_text()
    assert TOLD[way] in card
    assert "| 4.5 % (better than painted pictures blurred 2.0 px) | **no** |" in card
    assert "| 0.930 (held-out pictures: 0.970) | **no** |" in card
    assert "| 0.90 (LPIPS 0.360 against 0.400) | yes |" in card
    assert "| balloon | 0.93 |" in card
    with Image.open(tmp_path / "c.png") as curves:
        assert np.asarray(curves.convert("L")).std() > 5
