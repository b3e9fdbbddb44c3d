"""What a person gets wrong ends in one clear line and exit code 1, before any job where that is possible."""

import shutil

import pytest
from PIL import Image
from safetensors.torch import load_file, save_file


def refused(workflow, *, before_jobs=True, hydra="", **keys):
    given = {"name": "wrong", "loss": "l2", "steps": 2, "seeds": 1, **keys}
    result = workflow.run(hydra=hydra, forked=before_jobs, **given)
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    lines = [line for line in result.stderr.splitlines() if "error:" in line.lower()]
    assert lines, result.stderr
    if before_jobs:
        assert lines[0].startswith("error: ")
        assert [line for line in result.stderr.splitlines() if not line.startswith("Using ")] == lines[:1]
        assert not (workflow.folder / "results").exists()
    return lines[0]


@pytest.mark.slow
def test_mistyped_keys_and_values(workflow):
    assert "did you mean loss?" in refused(workflow, los="l2")
    assert "did you mean video.fps?" in refused(workflow, hydra="video.fsp=3")
    assert "loss= is empty" in refused(workflow, loss="")
    assert "'steps' cannot be swept" in refused(workflow, steps="5,6")
    assert "lr='fast'" in refused(workflow, lr="fast")
    assert "seeds=0" in refused(workflow, seeds=0)
    assert "steps=-1" in refused(workflow, steps=-1)
    assert "name='../up'" in refused(workflow, name="../up")


@pytest.mark.slow
def test_targets_that_are_no_pictures(workflow):
    folder = workflow.folder
    assert "no such file" in refused(workflow, target="missing.jpg")
    (folder / "words.jpg").write_text("this is no picture")
    assert "words.jpg" in refused(workflow, target="words.jpg")
    Image.effect_noise((600, 400), 80).convert("RGB").save(folder / "whole.jpg")
    data = (folder / "whole.jpg").read_bytes()
    (folder / "half.jpg").write_bytes(data[: len(data) // 2])
    assert "half.jpg" in refused(workflow, target="half.jpg")
    Image.new("1", (40_000, 40_000)).save(folder / "huge.png")
    assert "huge.png" in refused(workflow, target="huge.png")


@pytest.mark.slow
def test_weights_that_do_not_fit(workflow, tiny):
    broken = workflow.folder / "broken.safetensors"
    broken.write_bytes((tiny / "generator.safetensors").read_bytes()[:5000])
    assert "broken.safetensors" in refused(workflow, before_jobs=False, hydra=f"generator.weights={broken}")
    shutil.rmtree(workflow.folder / "results")
    other = workflow.folder / "other.safetensors"
    state = load_file(tiny / "generator.safetensors")
    state["embeddings.weight"] = state["embeddings.weight"][:, :3].contiguous()
    save_file(state, other)
    said = refused(workflow, before_jobs=False, hydra=f"generator.weights={other}")
    assert "other.safetensors" in said
    assert "embeddings.weight" in said


def test_a_class_that_the_generator_does_not_have(workflow):
    assert "no class 'vally'; did you mean valley?" in refused(workflow, hydra="start.classes=[vally]")


@pytest.mark.slow
def test_another_target_under_the_same_name_is_refused(workflow):
    folder = workflow.folder
    for name, colour in (("one", "red"), ("two", "blue")):
        Image.new("RGB", (40, 40), colour).save(folder / f"{name}.png")
    keys = {"name": "mine", "loss": "l2", "steps": 2, "seeds": 1}
    only = ("--until", "losses")
    workflow.done(*only, **keys, target="one.png")
    kept = (folder / "results/mine/loss~l2+lr~0.4/trajectories/0.safetensors").read_bytes()
    refusal = workflow.run(forked=True, **keys, target="two.png")
    assert refusal.returncode == 1
    assert "made from another target than two.png is now" in refusal.stderr
    assert (folder / "results/mine/loss~l2+lr~0.4/trajectories/0.safetensors").read_bytes() == kept
    workflow.done(*only, **keys, target="two.png", overwrite="true")
    assert workflow.planned(*only, **keys, target="two.png") == {}
    Image.new("RGB", (40, 40), "green").save(folder / "two.png")
    refusal = workflow.run(forked=True, **keys, target="two.png")
    assert "made from another target than two.png is now" in refusal.stderr


@pytest.mark.parametrize("key", ["video.fps", "nonsense"])
def test_dotted_keys_are_snakemakes_to_refuse(workflow, key):
    assert workflow.run(forked=True, **{key: 1}).returncode != 0


def test_targets_that_snakemake_would_misread(workflow):
    picture = Image.new("RGB", (40, 40), "red")
    for name in ("007", "a{b}.png"):
        picture.save(workflow.folder / name, format="PNG")
    assert "target=./007" in refused(workflow, target="007")
    assert "Snakemake takes braces" in refused(workflow, target="a{b}.png")
    assert "file name too long" in refused(workflow, target="a" * 300 + ".jpg")
    assert "prepare_target" in workflow.planned("--until", "prepare_target", target="./007", loss="l2")


def test_hydras_grammar_is_not_the_readers(workflow):
    said = refused(workflow, hydra="start.classes=golden retriever")
    assert said.endswith("""quote it: hydra='start.classes=["golden retriever"]'""")
    assert "no class 'golden retriever'" in refused(workflow, hydra='start.classes=["golden retriever"]')
    assert refused(workflow, optimizer="sgd").endswith("unknown optimizer 'sgd'; known: adam, adam-norm")


def test_a_film_from_the_command_line_reaches_its_jobs(workflow):
    keys = {"name": "mine", "loss": "l2", "steps": 2}
    workflow.done("--until", "choose", **keys, hydra="films.starts=null films.back={vary: seed, of: [2, 1, 0]}")
    films = [path.name for path in (workflow.folder / "results/mine/films").iterdir()]
    assert films == ["back+loss~l2+lr~0.4"]
