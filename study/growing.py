"""Begin with the networks of another generator: what fits is taken, the rest stays as it was made."""

from __future__ import annotations

import re

from torch import Tensor, nn

from approach.biggan.format import GeneratorConfig, attention_name, block_places

Parts = dict[str, str | None]  # a part of the new network: what it was in the old one, or None where it is new


def old_blocks(new: GeneratorConfig, old: GeneratorConfig) -> dict[int, int]:
    """Which block of the old generator each block of the new one goes on from.

    From the front, blocks that are alike; then, from the back, blocks of the same widths, whether they up-sample or
    not (that has no weights). What is inserted between them is new.
    """
    front = 0
    while front < min(len(new.layers), len(old.layers)) and new.layers[front] == old.layers[front]:
        front += 1
    pairs = {index: index for index in range(front)}
    for back in range(1, min(len(new.layers), len(old.layers)) - front + 1):
        if new.layers[-back][1:] != old.layers[-back][1:]:
            break
        pairs[len(new.layers) - back] = len(old.layers) - back
    return pairs


def first_new_layer(new: GeneratorConfig, old: GeneratorConfig) -> int:
    """Where among a new generator's layers, of which the attention is one, stands the first that the old one lacks."""
    kept = old_blocks(new, old)
    first = next(index for index in range(len(new.layers)) if kept.get(index) != index)
    return first + (new.attention_layer_position <= first)


def generator_parts(new: GeneratorConfig, old: GeneratorConfig) -> Parts:
    """The numbered parts of a generator and what they were in another."""
    names, pairs = [place.name for place in block_places(old)], old_blocks(new, old)
    blocks = {
        place.name: names[pairs[index]] if index in pairs else None for index, place in enumerate(block_places(new))
    }
    return {**blocks, attention_name(new): attention_name(old)}


def discriminator_parts(new: list[int], old: list[int]) -> Parts:
    """The same for the discriminator's blocks, given both lists of widths: the last stay the last."""
    shift = len(new) - len(old)
    return {f"blocks.{index}": f"blocks.{index - shift}" if index >= shift else None for index in range(len(new))}


def part_of(name: str) -> str:
    """The part of a network that a tensor belongs to: up to its first number, or its module."""
    numbered = re.match(r".*?\.\d+(?=\.)", name)
    return numbered.group() if numbered else name.rpartition(".")[0]


def take(network: nn.Module, state: dict[str, Tensor], parts: Parts) -> set[str]:
    """Load what fits of another network's state dict; returns the names of what is new."""
    mine, taken = network.state_dict(), {}
    for name, tensor in mine.items():
        part = part_of(name)
        before = parts.get(part, part)
        old = None if before is None else state.get(before + name.removeprefix(part))
        if old is not None and old.shape == tensor.shape:
            taken[name] = old
    network.load_state_dict(taken, strict=False)
    return mine.keys() - taken.keys()


def told(names: set[str]) -> str:
    """The parts of a network that tensors belong to, and how many of them, for the log."""
    counts: dict[str, int] = {}
    for name in sorted(names):
        counts[part_of(name)] = counts.get(part_of(name), 0) + 1
    return ", ".join(f"{part} ({count} tensors)" for part, count in counts.items()) or "nothing"
