"""Plots: they are made, bounded, and say what the numbers say, with few curves and with many."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from approach.pictures import plots


def losses(names, rates, seeds, steps=60, failed=()):
    parts = []
    for name in names:
        for rate in rates:
            for seed in range(seeds):
                curve = 0.1 + np.exp(-np.arange(steps + 1) * rate) * (1 + 0.1 * seed)
                if seed in failed:
                    curve[steps // 2 :] = np.nan
                parts.append(
                    pd.DataFrame(
                        {
                            "setting": f"loss~{name}+lr~{rate}",
                            "loss_name": name,
                            "lr": rate,
                            "seed": seed,
                            "step": np.arange(steps + 1),
                            "loss": curve,
                        }
                    )
                )
    return pd.concat(parts, ignore_index=True)


def drawn(monkeypatch, draw):
    """The figure behind a plot."""
    kept = []
    save = plots.save
    monkeypatch.setattr(plots, "save", lambda figure, path: (kept.append(figure), save(figure, path)))
    draw()
    return kept[0]


def words(figure):
    return [text.get_text() for axis in figure.axes for text in [*axis.texts, axis.title, axis._left_title]]


@pytest.mark.parametrize(
    ("names", "rates", "seeds", "labels"),
    [
        (["l2"], [0.02], 3, ["start 0", "start 1", "start 2"]),
        (["l2"], [0.02], 60, ["median of 60"]),
        (["l2", "lpips", "discriminator"], [0.02, 0.05], 3, ["rate 0.02", "rate 0.05"] * 3),
        (["l2", "lpips"], [0.02, 0.05], 60, ["rate 0.02", "rate 0.05"] * 2),
    ],
)
def test_a_panel_per_loss_and_a_label_per_curve_or_group(monkeypatch, tmp_path, names, rates, seeds, labels):
    table = losses(names, rates, seeds)
    figure = drawn(
        monkeypatch, lambda: plots.losses_plot(table, tmp_path / "a" / "l.png", axes=["loss_name", "lr"], title="t")
    )
    assert [axis.get_title(loc="left") for axis in figure.axes] == [f"{name} loss" for name in names]
    assert sorted(text.get_text() for axis in figure.axes for text in axis.texts) == sorted(labels)
    assert all(axis.get_yscale() == "log" for axis in figure.axes)
    with Image.open(tmp_path / "a" / "l.png") as image:
        assert image.width < 4000 and image.height < 4000


def test_the_labels_keep_apart(monkeypatch, tmp_path):
    table = losses(["l2"], [0.02], 6)
    table["loss"] = 0.5 + 0.0001 * table["seed"] + np.exp(-table["step"])
    figure = drawn(monkeypatch, lambda: plots.losses_plot(table, tmp_path / "l.png", axes=["loss_name", "lr"]))
    heights = sorted(text.get_position()[1] for text in figure.axes[0].texts)
    assert len(heights) == 6 and min(np.diff(heights)) > 0.05


def test_failed_curves_end_with_a_cross(monkeypatch, tmp_path):
    table = losses(["l2"], [0.02], 3, failed=[1])
    figure = drawn(monkeypatch, lambda: plots.losses_plot(table, tmp_path / "l.png", axes=["loss_name", "lr"]))
    (cross,) = [line for line in figure.axes[0].lines if line.get_marker() == "x"]
    assert cross.get_xdata()[0] == 29
    assert "start 1 (failed)" in words(figure)


@pytest.mark.parametrize("fill", [0.0, -1.0, np.nan])
def test_losses_that_are_nought_negative_or_never_finite_are_drawn(tmp_path, fill):
    table = losses(["l2"], [0.02], 3)
    table["loss"] = fill
    plots.losses_plot(table, tmp_path / "l.png", axes=["loss_name", "lr"])
    assert (tmp_path / "l.png").stat().st_size > 1000


def trajectory_rows(names, rates, seeds, failed=()):
    return pd.DataFrame(
        [
            {
                "loss_name": name,
                "lr": rate,
                "seed": seed,
                "status": "failed" if (name, seed) in failed else "ok",
                "final_loss": 1.0,
                "final_l2": 0.1 + 0.1 * place + 0.01 * seed + rate,
                "final_ssim": 0.5 - 0.1 * place,
            }
            for place, name in enumerate(names)
            for rate in rates
            for seed in range(seeds)
        ]
    )


@pytest.mark.parametrize(("names", "rates", "seeds"), [(["l2"], [0.02], 1), (["l2", "lpips"], [0.02, 0.05, 0.1], 5)])
def test_settings_are_compared_by_median_and_spread(monkeypatch, tmp_path, names, rates, seeds):
    table = trajectory_rows(names, rates, seeds)
    figure = drawn(monkeypatch, lambda: plots.metrics_plot(table, tmp_path / "m.png", axes=["loss_name", "lr"]))
    assert [axis.get_title(loc="left") for axis in figure.axes] == ["l2", "ssim"]
    middle = table[(table["loss_name"] == "l2") & (table["lr"] == 0.02)]["final_l2"].median()
    assert f"{middle:.3g}" in words(figure)
    assert len([patch for axis in figure.axes for patch in axis.patches]) == 2  # the nearest, framed


def test_failed_inversions_are_counted_and_not_measured(monkeypatch, tmp_path):
    table = trajectory_rows(["l2", "lpips"], [0.02], 3, failed=[("l2", 0), ("lpips", 0), ("lpips", 1), ("lpips", 2)])
    figure = drawn(monkeypatch, lambda: plots.metrics_plot(table, tmp_path / "m.png", axes=["loss_name", "lr"]))
    said = words(figure)
    assert any("1 failed" in word for word in said) and "3 failed" in said and "-" in said


def test_the_same_table_gives_the_same_bytes(tmp_path):
    for name in ("a.png", "b.png"):
        plots.losses_plot(losses(["l2"], [0.02], 3), tmp_path / name, axes=["loss_name", "lr"])
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
