"""What tells one inversion from another: whatever changes in it asks for other trajectories. No torch."""

import hashlib
import json

from approach.planning.command_line import readable_name
from approach.planning.downloads import destinations, uses_lpips, weights_file
from approach.planning.own_code import digests, own_names
from approach.planning.start_from import is_stored, picture_digest, picture_setting, start_picture, stored


def inversion_config(config: dict) -> dict:
    """What an inversion uses of a setting's configuration, with the contents of what it names."""
    chosen = ("loss", "optimizer", "start", "latent", "search", "steps")
    chosen += ("precision", "compile", "graphs", "micro_batch", "threads", "device")
    start = {key: value for key, value in config["start"].items() if key not in ("from", "picture")}
    optimizer = {key: value for key, value in config["optimizer"].items() if key != "schedule"}
    several = len(config["target"]["via"]) > 0
    if optimizer["period"] is None:
        optimizer.pop("period")
    if is_stored(config):
        found = stored(config)
        start["from"] = f"trajectory:{found.seed}@{found.step}:{found.digest}"
    elif name := start_name(config):
        start["from"] = f"picture:{name}"
    return {
        "truncation": config["generator"]["truncation"],
        "perceptual_net": config["perceptual"]["net"] if uses_lpips(config) else None,
        **({"own": digests(own_names(config))} if own_names(config) else {}),
        **({"destinations": [picture_digest(one)[:16] for one in destinations(config)]} if several else {}),
        **{key: config[key] for key in chosen},
        "start": start,
        "optimizer": optimizer,
    }


def start_name(config: dict) -> str | None:
    """The name of the picture that a setting starts at, and of how it is inverted; None where it starts elsewhere."""
    if start_picture(config) is None:
        return None
    inverts = picture_setting(config)
    said = [picture_digest(inverts), inversion_config(inverts), weights_file(config), inverts["target"]]
    said[-1] = {key: said[-1][key] for key in ("fit", "focus")}
    short = hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:8]
    return f"{readable_name(start_picture(config))}-{short}"
