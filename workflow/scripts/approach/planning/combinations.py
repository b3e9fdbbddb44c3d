"""What each key allows but the whole does not. No torch."""

from approach.errors import UserError
from approach.planning.downloads import destinations
from approach.planning.own_code import check_own, own_names


def check_combination(config: dict) -> None:
    """Refuse what each key allows but the whole does not.

    Raises:
        UserError: names the keys and the remedy.
    """
    if "discriminator" in config["loss"]["terms"] and config["generator"]["discriminator"] is None:
        raise UserError(
            f"loss={config['loss']['name']}: looks through a discriminator, as the embedded generators bring one, and "
            f"here generator.discriminator is null (generator={config['generator']['name']}); take loss=l1-ssim"
        )
    for section in ("panorama", "passes"):
        unknown = [name for name in config[section]["films"] or [] if name not in config["films"]]
        if not unknown:
            continue
        raise UserError(
            f"{section}.films: no film '{unknown[0]}' under films:, which has {', '.join(config['films']) or 'none'}"
        )
    if len(config["search"]["stages"]) > config["steps"]:
        raise UserError(
            f"steps={config['steps']}: search={config['search']['name']} has more stages; give it more steps"
        )
    if config["search"]["pool"] > 1 and config["start"]["best_of"] > 1:
        raise UserError("start.best_of: a search that looks at a pool needs none; take start=random, or search=descent")
    count = len(destinations(config))
    if count > 1 and len(config["search"]["stages"]) > 1:
        raise UserError(
            f"target: {count} pictures, and search={config['search']['name']} narrows towards one; take search=descent"
        )
    if count > config["steps"]:
        raise UserError(f"steps={config['steps']}: target has {count} pictures; give it more steps")
    for name in own_names(config):
        check_own(name)
    asked = config["passes"]["films"] != [] or config["passes"]["arrivals"]
    asked = asked or any(film.get("join") == "passes" for film in config["films"].values())
    if config["latent"]["classes"] == "embedding" and asked and not config["passes"]["free"]:
        raise UserError(
            "latent.classes=embedding has no mixtures of classes that a pass could keep to; say passes.free=true"
        )
    if config["precision"] == "tf32" and not config["device"].startswith(("cuda", "auto")):
        raise UserError(f"precision=tf32 is NVIDIA's, and device={config['device']}; take float32 or bf16")


def check_arrivals(config: dict, trajectories: int, axes: dict) -> None:
    """Refuse passes between arrivals of which there are too few, or which different generators make.

    Raises:
        UserError: says what is wrong.
    """
    count = config["passes"]["arrivals"]
    if min(count, trajectories) < 2:
        raise UserError(f"passes.arrivals={count}: passes need two arrivals; this run has {trajectories}")
    if len(axes.get("generator.truncation", [])) > 1:
        raise UserError("passes.arrivals: generator.truncation is swept, and arrivals of two generators have no passes")
