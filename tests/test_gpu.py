"""What only a CUDA device can show: an inversion there gives the same bytes twice, and begins as on the processor."""

import pandas as pd
import pytest

from helpers.runs import Workflow

KEYS = {"name": "card", "loss": "l2", "seeds": 3, "steps": 20}
BATCH = "results/card/loss~l2+lr~0.4/trajectories/0-2"


def inverted(folder, words, device):
    """The files of a batch that was inverted on a device: its latents, as bytes, and its log."""
    folder.mkdir()
    workflow = Workflow(folder, words)
    workflow.done("--until", "invert", **KEYS, device=device)
    return (folder / f"{BATCH}.safetensors").read_bytes(), pd.read_csv(folder / f"{BATCH}.csv")


def test_two_inversions_give_the_same_bytes(gpu, tmp_path, tiny_words):
    first, again = (inverted(tmp_path / name, tiny_words, gpu.type)[0] for name in ("first", "again"))
    assert first == again


def test_the_losses_begin_as_on_the_processor(gpu, tmp_path, tiny_words):
    here, there = (inverted(tmp_path / device, tiny_words, device)[1] for device in ("cpu", gpu.type))
    begin = [table.loc[table["step"] == 0, "loss"].tolist() for table in (here, there)]
    assert begin[1] == pytest.approx(begin[0], rel=1e-4)
