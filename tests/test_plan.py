"""What the rules ask the plan: files, values and products, without Snakemake."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from approach.errors import UserError
from approach.planning.checks import check_before_jobs
from approach.planning.estimate import closing_lines
from approach.planning.films import film_table
from approach.planning.plan import generator_files, make_plan
from approach.sources import sha256_of
from approach.trajectories import write_trajectories

SETTINGS = ["loss~l2+lr~0.05", "loss~ssim+lr~0.05"]
L2_FILM, SSIM_FILM = (f"starts+{setting}" for setting in SETTINGS)


def planned(root, **given):
    return make_plan({"name": "plan", "loss": "l2,ssim", "lr": 0.05, **given}, root)


@pytest.fixture(scope="module")
def plan(root):
    return planned(root, seeds=5, seeds_per_job=2)


@pytest.fixture
def anywhere(tmp_path, monkeypatch):
    """An empty folder to work in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_settings_files(anywhere, plan):
    folder = "results/plan/loss~l2+lr~0.05/trajectories"
    assert plan.batch_files(SETTINGS[0], "csv") == [f"{folder}/{batch}.csv" for batch in ("0-1", "2-3", "4")]
    assert len(plan.all_batch_files()) == 6
    assert plan.per_setting("losses.csv") == [f"results/plan/{setting}/losses.csv" for setting in SETTINGS]
    assert plan.setting_values()[SETTINGS[1]] == {"loss": "ssim", "lr": 0.05}
    assert plan.setting_batches()[SETTINGS[0]] == {"0-1": [0, 1], "2-3": [2, 3], "4": [4]}
    assert plan.inversion_labels(SETTINGS[0], "4") == {
        **{"experiment": "plan", "setting": SETTINGS[0], "batch": "4"},
        "generator": "study",
    }


def test_the_candidates_of_a_film_and_where_they_are(plan):
    folder = "results/plan/loss~l2+lr~0.05/trajectories"
    assert plan.candidate_files(L2_FILM) == {
        **{f"{SETTINGS[0]}/{seed}": f"{folder}/0-1.safetensors" for seed in (0, 1)},
        f"{SETTINGS[0]}/2": f"{folder}/2-3.safetensors",
    }
    assert plan.candidate_batches(L2_FILM) == [f"{folder}/0-1.safetensors", f"{folder}/2-3.safetensors"]
    assert plan.candidate_settings(L2_FILM) == [SETTINGS[0]]
    assert plan.per_film("film.json") == [f"results/plan/films/{film}/film.json" for film in (L2_FILM, SSIM_FILM)]


def test_a_rank_reads_the_table_and_named_members_their_files(root):
    words = "'films.best={vary: rank, of: [closest, median, strangest], loss: l2, lr: 0.05}'"
    plan = planned(root, hydra=words)
    assert plan.ranking("best") == ["results/plan/trajectories.csv"]
    assert plan.named_batches("best") == []
    assert plan.ranking(L2_FILM) == []
    assert plan.named_batches(L2_FILM) == plan.candidate_batches(L2_FILM) != []


def test_captions_need_more(root, plan):
    captioned = planned(root, hydra="video.captions=[loss]")
    assert captioned.caption_losses(L2_FILM) == [f"results/plan/{SETTINGS[0]}/losses.csv"]
    bare = planned(root, hydra="video.captions=[]")
    assert bare.caption_losses(L2_FILM) == []
    assert captioned.caption_settings(L2_FILM) == [SETTINGS[0]] and bare.caption_settings(L2_FILM) == []


def test_a_film_s_own_video_is_its_own(root):
    words = "'films.mine={vary: seed, of: [2, 1, 0], loss: l2, lr: 0.05, video: {seconds: 30, fog: 0.5}}'"
    plan = planned(root, hydra=f"{words} films.mine.video.time=steps")
    assert plan.video("mine") == {**plan.base["video"], "seconds": 30.0, "fog": 0.5, "time": "steps"}
    assert plan.video(L2_FILM) == plan.base["video"]
    assert "target" in plan.frame_files("mine") and "target" not in plan.frame_files(L2_FILM)


@pytest.mark.parametrize(
    ("own", "said"),
    [
        ("{second: 3}", "unknown key 'films.mine.video.second'; did you mean seconds"),
        ("{fps: 0}", "films.mine.video.fps=0: input should be greater"),
        ("{keep_frames: true}", "films.mine.video.keep_frames: all films"),
        ("30", "films.mine.video=30: write keys of video"),
    ],
)
def test_a_film_s_own_video_is_checked(root, own, said):
    with pytest.raises(UserError, match=re.escape(said)):
        planned(root, hydra=f"'films.mine={{vary: seed, video: {own}}}'")


def test_the_page_lists_every_product_but_itself_and_the_latents(plan):
    linked = {path for group in plan.page_links().values() for path in group.values()}
    others = {plan.target, *plan.all_batch_files(), *plan.per_film("viewer"), f"{plan.results}/page/index.html"}
    assert linked == set(plan.checked_products()) - others


def test_a_panorama_measures_the_loss_that_its_trajectories_share(root):
    plan = planned(root, hydra="'films.losses={vary: loss, of: [l2, ssim, pyramid]}'", loss="l2,ssim,pyramid", seeds=1)
    assert plan.survey_loss("losses+lr~0.05+seed~0") == {"name": "l2", "terms": {"l2": 1.0}}
    assert planned(root).survey_loss(SSIM_FILM)["name"] == "ssim"
    assert planned(root).survey_losses() == {L2_FILM: "l2", SSIM_FILM: "ssim"}


def test_only_the_wanted_films_get_a_panorama(root):
    def panoramas(words):
        return [file for file in planned(root, hydra=words).final_products() if file.endswith("panorama.png")]

    both = panoramas("panorama.films=null")
    assert [Path(file).parent.name for file in both] == [L2_FILM, SSIM_FILM]
    assert panoramas("panorama.films=[starts]") == both and panoramas("panorama.films=[]") == []
    assert planned(root, hydra="panorama.films=[]").survey_losses() == {L2_FILM: None, SSIM_FILM: None}
    with pytest.raises(UserError, match="no film 'start' under films:, which has starts"):
        planned(root, hydra="panorama.films=[start]")


def test_the_target_is_told_by_its_content(root, anywhere):
    for name, colour in (("one.png", "red"), ("same.png", "red"), ("other.png", "blue")):
        Image.new("RGB", (8, 8), colour).save(name)
    found = [planned(root, target=name) for name in ("one.png", "./one.png", "same.png", "other.png")]
    assert len({plan.target_config()["sha256"] for plan in found[:3]}) == 1
    assert found[3].target_config() != found[0].target_config()
    assert {tuple(plan.target_files()) for plan in found} == {("architecture",)}
    address = planned(root, target="https://example.org/one.png")
    assert address.target_files()["picture"] == f"resources/downloads/{next(iter(address.downloads))}"
    assert "sha256" not in address.target_config()


BACKBONE = "resources/downloads/squeezenet1_1-b8a52dc0.pth"
GENERATOR = {"architecture", "weights"}


def test_what_is_opened_is_what_is_used(root, plan):
    assert set(generator_files(plan.base)) == {*GENERATOR, "class_names"}
    assert set(generator_files(plan.base, "architecture", "class_names")) == {"architecture", "class_names"}
    assert set(plan.inversion_files(SETTINGS[0])) == {*GENERATOR, "class_names", "target"}
    assert set(plan.still_files(SETTINGS[0])) == {*GENERATOR, "target"}
    assert set(planned(root, hydra="video.fog=0").frame_files(L2_FILM)) == GENERATOR
    assert set(planned(root, hydra="video.fog=0.5").frame_files(L2_FILM)) == {*GENERATOR, "target"}
    lpips = planned(root, loss="l2,lpips", hydra="metrics=[l2,lpips] video.fog=0")
    assert lpips.still_files(SETTINGS[0])["backbone"] == BACKBONE
    assert "backbone" not in lpips.frame_files(L2_FILM)
    assert lpips.fog_net(L2_FILM) is None
    assert "backbone" not in lpips.inversion_files(SETTINGS[0])
    assert lpips.inversion_files("loss~lpips+lr~0.05")["backbone"] == BACKBONE
    assert set(planned(root, loss="discriminator").inversion_files("loss~discriminator+lr~0.05")) >= {
        "discriminator",
        "discriminator_config",
    }


def test_another_network_is_named_only_where_it_is_used(root, plan):
    assert plan.lpips_net(["l2"]) is None
    assert plan.lpips_net(["l2", "lpips"]) == "squeeze"
    foggy = planned(root, hydra="metrics=[l2,lpips] video.fog=0.5 perceptual.net=vgg")
    assert foggy.fog_net(L2_FILM) == "vgg"
    assert foggy.frame_files(L2_FILM)["backbone"].endswith(".pth")


def test_the_products_of_a_run(root, anywhere, plan):
    products = plan.final_products()
    assert len(set(products)) == len(products)
    assert {"results/plan/metrics.png", "results/plan/page/index.html", *plan.all_batch_files()} <= set(products)
    assert {f"results/plan/films/{L2_FILM}/{file}" for file in ("viewer", "triptych.mp4")} <= set(products)
    assert "results/plan/metrics.png" not in planned(root, loss="l2").final_products()
    exhibited = set(planned(root, video="exhibition").final_products()) - set(planned(root).final_products())
    assert len(exhibited) == 2 * (3 + 12)
    assert all("/exhibition/" in file for file in exhibited)


def test_the_record_leaves_out_how_the_work_was_shared_out(plan):
    assert set(plan.base) - set(plan.recorded_config()) == {"seeds_per_job", "overwrite", "track"}


# The checks before the jobs


def test_every_setting_is_looked_at_and_each_file_once(root, anywhere, monkeypatch):
    looked = []
    monkeypatch.setattr("approach.planning.checks.check_picture", looked.append)
    rates = ",".join(str(number / 100) for number in range(1, 31))
    check_before_jobs(planned(root, lr=rates))
    assert looked == [str(root / "resources/study/target.png")]


def test_a_class_that_only_a_middle_setting_starts_from_is_refused(root, anywhere):
    with pytest.raises(UserError, match=r"no class 'mushrom'; did you mean mushroom"):
        check_before_jobs(planned(root, hydra="start.classes=[tree],[mushrom],[lamp]"))


def test_a_start_class_is_matched_as_the_inversion_matches_it(tiny, root, anywhere):
    for file in tiny.iterdir():
        shutil.copy(file, anywhere)
    Path("classes.json").write_text(
        json.dumps(["grey whale, Eschrichtius robustus", "valley", "shore", "lamp", "tree"])
    )
    files = "generator.config=config.json generator.weights=generator.safetensors generator.class_names=classes.json"
    files += " generator.discriminator=null"
    check_before_jobs(planned(root, hydra=f"{files} 'start.classes=[Valley,grey whale,eschrichtius robustus]'"))
    with pytest.raises(UserError, match="no class 'whale'"):
        check_before_jobs(planned(root, hydra=f"{files} start.classes=[whale]"))


def test_imagenets_names_are_known_before_the_download(root, anywhere):
    big = {"generator": "biggan-deep-128"}
    check_before_jobs(planned(root, **big, hydra="start.classes=[alp,cliff]"))
    with pytest.raises(UserError, match=r"no class 'clif'; did you mean cliff\?"):
        check_before_jobs(planned(root, **big, hydra="start.classes=[clif]"))


def test_a_missing_file_is_named_with_its_key(root, anywhere):
    with pytest.raises(UserError, match=r"generator\.weights=none\.bin: there is no such file"):
        check_before_jobs(planned(root, hydra="generator.weights=none.bin"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name: mine\nconfig: resources/study/config.json\n", r"generator\.weights is missing: .*config/generator/"),
        ("name: mine\nweights: none.bin\n", r"generator\.config is missing"),
        ("", r"generator\.name is missing"),
    ],
)
def test_an_incomplete_generator_is_one_clear_line(root, tmp_path, text, said):
    shutil.copytree(root / "config", tmp_path / "config")
    (tmp_path / "config" / "generator" / "mine.yaml").write_text(text)
    with pytest.raises(UserError, match=said) as error:
        make_plan({"generator": "mine"}, tmp_path)
    assert "\n" not in str(error.value)


# The last words


def test_the_last_words_name_only_what_is_there(root, anywhere, plan):
    triptych, page = Path(f"results/plan/films/{L2_FILM}/triptych.mp4"), Path("results/plan/page/index.html")
    assert not [line for line in closing_lines(plan) if "results/" in line]
    for file in (triptych, page):
        file.parent.mkdir(parents=True)
        file.touch()
    assert closing_lines(plan)[:2] == [f"film: {triptych}", f"page: {page}"]
    assert SSIM_FILM not in "".join(closing_lines(plan))


def test_trajectories_of_another_target_are_found_in_any_setting(root, anywhere):
    Image.new("RGB", (8, 8), "red").save("target.png")
    plan = planned(root, target="target.png")
    sums = {"target": sha256_of("target.png"), "generator": sha256_of(plan.base["generator"]["weights"])}
    for setting, target in zip(SETTINGS, (sums["target"], "0" * 64), strict=True):
        made_from = {"target": {"sha256": target}, "generator": {"sha256": sums["generator"]}}
        file = Path(plan.batch_files(setting)[0])
        file.parent.mkdir(parents=True)
        arrays = np.zeros((3, 2, 4), np.float32)
        write_trajectories(file, [0, 1, 2], arrays, arrays, arrays, {"seeds": [0, 1, 2], "made_from": made_from})
    with pytest.raises(UserError, match=r"made from another target than target\.png is now: .*overwrite=true"):
        check_before_jobs(plan)
    check_before_jobs(planned(root, target="target.png", overwrite=True))


@pytest.mark.parametrize("entry", [[0], "seed", 3])
def test_a_film_that_is_no_table_is_refused_in_one_line(entry):
    with pytest.raises(UserError, match=r"films\.f=.*write what the film varies"):
        film_table({"f": entry}, {"loss": ["l2"]}, [0, 1, 2], str)
