"""The configuration of study/config/, composed."""

from collections.abc import Sequence
from pathlib import Path

from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

CONFIG = Path(__file__).resolve().parent / "config"


def refusal(train: dict) -> str | None:
    """Why train=enlarge or train=match cannot begin with settings; None where it can."""
    if not train["begin_from"]:
        return "train.begin_from is null: give the folder of an exported generator"
    if train["device"] != "cpu":
        return f"train.device={train['device']}: train={train['script']} computes on the CPU alone"
    return None


def compose_settings(overrides: Sequence[str] = ()) -> dict:
    """The configuration with Hydra overrides, as plain dicts."""
    with initialize_config_dir(str(CONFIG), version_base="1.3"):
        return OmegaConf.to_container(compose("config", overrides=list(overrides)), resolve=True)
