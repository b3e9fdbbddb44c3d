"""Files that come from a network where they are not here yet: the generator's weights, LPIPS's backbone, the target."""

import hashlib
import re
from collections.abc import Iterable
from urllib.parse import unquote, urlsplit

from approach.sources import is_url

DOWNLOADS = "resources/downloads"
# torchvision's published backbones; the eight hex digits begin the file's sha256.
BACKBONES = {"squeeze": "squeezenet1_1-b8a52dc0.pth", "alex": "alexnet-owt-7be5be79.pth", "vgg": "vgg16-397923af.pth"}
BACKBONE_URL = "https://download.pytorch.org/models/"


def uses_lpips(config: dict) -> bool:
    """Whether the setting's loss needs the LPIPS network."""
    return "lpips" in config["loss"]["terms"]


def weights_file(config: dict) -> str:
    """Where the generator's weights are, or will be."""
    generator = config["generator"]
    return generator["weights"] or f"{DOWNLOADS}/{generator['name']}-{_file_name(generator['url'])}"


def backbone_file(config: dict) -> str:
    """Where the LPIPS backbone is, or will be."""
    perceptual = config["perceptual"]
    return perceptual["weights"] or f"{DOWNLOADS}/{BACKBONES[perceptual['net']]}"


def destinations(config: dict) -> list[dict]:
    """The configuration of each destination of a setting, in its order: `picture` is that one, and `number` its place.

    The last picture that was named has the highest number, as it is the run's target.
    """
    target = config["target"]
    pictures = [*target["via"], target["picture"]]
    order = [int(number) for number in target["order"].split("-")] if target["order"] else range(1, len(pictures) + 1)
    each = [{"picture": pictures[number - 1], "number": number, "via": [], "order": None} for number in order]
    return [
        {**config, "target": {**target, **one, **({} if one["number"] == len(pictures) else {"sha256": None})}}
        for one in each
    ]


def picture_file(config: dict) -> str:
    """Where the target's picture is, or will be."""
    picture = config["target"]["picture"]
    if not is_url(picture):
        return picture
    short = hashlib.sha256(picture.encode()).hexdigest()[:8]
    return f"{DOWNLOADS}/target-{short}-{_file_name(picture)}"


def needed_downloads(configs: Iterable[dict]) -> dict[str, dict]:
    """What has to come from a network, if it is not there: file name under resources/downloads -> url and sha256."""
    needed = {}
    for config in configs:
        generator, perceptual = config["generator"], config["perceptual"]
        if generator["weights"] is None:
            needed[weights_file(config)] = {"url": generator["url"], "sha256": generator["sha256"]}
        for one in destinations(config):
            if is_url(one["target"]["picture"]):
                needed[picture_file(one)] = {"url": one["target"]["picture"], "sha256": one["target"]["sha256"]}
        if (uses_lpips(config) or "lpips" in config["metrics"]) and perceptual["weights"] is None:
            url = BACKBONE_URL + BACKBONES[perceptual["net"]]
            needed[backbone_file(config)] = {"url": url, "sha256": re.search(r"-([0-9a-f]{8})\.pth", url)[1]}
    return {path.removeprefix(f"{DOWNLOADS}/"): source for path, source in needed.items()}


def kind_of(file: str) -> str:
    """What a file under resources/downloads must be: a picture, or weights."""
    return "picture" if file.startswith("target-") else "weights"


def _file_name(url: str) -> str:
    """The end of a URL as a file name; the end of that where it is long."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", unquote(urlsplit(url).path.rsplit("/", 1)[-1]))
    return name[-100:]
