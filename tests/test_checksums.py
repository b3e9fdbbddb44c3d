"""The record of checksums, and what is said where a folder differs from it."""

import pytest
import yaml
from PIL import Image

from approach.checksums import FILE, check_products, check_sources, checksum_lines, read_checksums
from approach.errors import UserError
from approach.sources import sha256_of
from approach.target import write_target


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "films" / "player").mkdir(parents=True)
    for file in ("losses.csv", "films/film.json", "films/player/index.html", "films/player/.snakemake_timestamp"):
        (tmp_path / file).write_text(file)
    return tmp_path


def products(folder):
    return [str(folder / file) for file in ("losses.csv", "films/film.json", "films/player")]


def recorded(folder):
    (folder / FILE).write_text(checksum_lines(products(folder), folder))
    return read_checksums(folder / FILE)


def test_files_and_the_files_of_folders_are_recorded(folder):
    found = recorded(folder)
    assert list(found) == ["films/film.json", "films/player/index.html", "losses.csv"]
    assert found["losses.csv"] == sha256_of(folder / "losses.csv")
    assert check_products(found, products(folder), folder) == []


def test_every_difference_is_a_line(folder):
    found = recorded(folder)
    (folder / "losses.csv").write_text("losses.csW")
    (folder / "films/player/index.html").unlink()
    (folder / "new.png").touch()
    wanted = [*products(folder), str(folder / "new.png"), str(folder / "arrivals.csv")]
    assert check_products(found, wanted, folder) == [
        f"lost: {folder}/films/player/index.html",
        f"changed: {folder}/losses.csv",
        f"not recorded: {folder}/new.png",
        f"never made: {folder}/arrivals.csv",
    ]


@pytest.mark.parametrize("content", [None, b"", b"\xff\xfe", b"no checksum\n", b"0" * 64 + b" one space"])
def test_a_record_that_cannot_be_read_is_one_line(folder, content):
    if content is not None:
        (folder / FILE).write_bytes(content)
    if content == b"":
        assert read_checksums(folder / FILE) == {}
        return
    with pytest.raises(UserError, match=f"{FILE}: .*the run's own command writes it anew") as error:
        read_checksums(folder / FILE)
    assert "\n" not in str(error.value)


def test_sources_are_compared_with_what_the_experiment_says(folder):
    weights, picture = folder / "weights.bin", folder / "picture.png"
    weights.write_text("weights")
    Image.new("RGB", (4, 4)).save(picture)
    write_target(folder / "target.png", Image.new("RGBA", (4, 4)), {"sha256": sha256_of(picture)})
    (folder / "experiment.yaml").write_text(yaml.safe_dump({"sha256": {"weights": sha256_of(weights)}}))
    sources = {"weights": str(weights), "backbone": str(folder / "not recorded")}
    assert check_sources(folder, sources, str(picture)) == []
    weights.write_text("others")
    picture.unlink()
    assert check_sources(folder, sources, str(picture)) == [
        f"changed: {weights} (weights)",
        f"lost: {picture} (picture)",
    ]


@pytest.mark.parametrize("content", ["", "[", "sha256: 3", "sha256: {weights: [1]}", "\x00"])
def test_a_damaged_experiment_is_a_line(folder, content):
    (folder / "weights.bin").write_text("weights")
    (folder / "experiment.yaml").write_text(content)
    (folder / "target.png").write_bytes(b"")
    found = check_sources(folder, {"weights": str(folder / "weights.bin")}, "picture.png")
    assert len(found) == 2
    assert all(line.startswith(("unreadable: ", "changed: ")) for line in found)
