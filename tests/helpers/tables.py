"""Invented rows of trajectories.csv, as choosing a film and showing the arrivals read them."""

import pandas as pd


def trajectory_rows(settings, seeds, failed=()):
    rows = []
    for setting in settings:
        for seed in seeds:
            status = "failed" if (setting, seed) in failed else "ok"
            # Seed 0 is nearest, then 1, 2...; the fourth is the strangest.
            row = {"setting": setting, "seed": str(seed), "final_loss": 0.5, "final_l2": f"{0.1 * (seed + 1)}"}
            row |= {"final_ssim": 1 - 0.1 * seed, "strangeness": 9.0 if seed == 3 else 1.0, "status": status}
            rows.append(row | {"last_step": "40" if status == "failed" else "300", "trajectories": f"{setting}.st"})
    return rows


def trajectory_table(count, failed=()):
    rows = [
        {
            "setting": "loss~l2+lr~0.02",
            "loss_name": "l2",
            "seed": seed,
            "final_l2": 0.1 + 0.01 * ((seed * 7) % count),
            "arrival_class": "alp",
            "final_loss": 1.0,
            "strangeness": float((seed * 3) % count),
            "status": "failed" if seed in failed else "ok",
            "last_step": 12 if seed in failed else 300,
            "trajectories": "x.safetensors",
        }
        for seed in range(count)
    ]
    return pd.DataFrame(rows)
