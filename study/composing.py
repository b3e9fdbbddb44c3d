"""The configuration of study/config/, composed."""

from collections.abc import Sequence
from pathlib import Path

from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

CONFIG = Path(__file__).resolve().parent / "config"


def compose_settings(overrides: Sequence[str] = ()) -> dict:
    """The configuration with Hydra overrides, as plain dicts."""
    with initialize_config_dir(str(CONFIG), version_base="1.3"):
        return OmegaConf.to_container(compose("config", overrides=list(overrides)), resolve=True)
