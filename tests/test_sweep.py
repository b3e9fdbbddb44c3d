"""Sweeps: Hydra's grammar, expanded by Hydra's own sweeper, validated point by point."""

import subprocess
from functools import cache

import pytest
from hydra import compose, initialize_config_dir
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf
from snakemake.cli import parse_config

from approach.errors import UserError
from approach.planning import sweep
from approach.planning.command_line import read_seeds, read_short_keys, readable_name
from approach.planning.plan import make_plan
from approach.planning.schema import leaves

SWEEPS = [
    ["loss=l2,lpips"],
    ["loss=l2,lpips", "optimizer.lr=0.02,0.05"],
    ["optimizer.lr=choice(0.1,0.2,0.4)"],
    ["optimizer.lr=range(0.01,0.05,0.01)"],
    ["start.best_of=range(1,10,3)"],
    ["optimizer.beta1=0.5,0.9", "optimizer.beta2=0.9,0.999"],
    ["start.classes=[shore],[lamp,tree]"],
    ["start=random,best", "start.logit_std=1,2"],
    ["loss=glob(l*)"],
    ["optimizer.lr=sort(0.3,0.1,0.2,reverse=true)"],
    ['optimizer.bound="clamp","none"'],
    ["generator.truncation=0.2,0.4,0.6"],
    ["optimizer.lr=1e-3,1e-2"],
    ["optimizer.eps=1e-8,1e-6"],
    ["loss=l2", "loss.terms.l2=1,2,3"],
    ["steps=10", "loss=l1,l2"],
    ["loss=ssim", "loss=l1,l2"],
    ["optimizer.lr=0.1,0.2", "optimizer.lr=0.3,0.4"],
    ["optimizer.lr=0.1,0.1"],
    ["start.class_probability=0.5,0.9", "start.classes=[tree]"],
    ["start.best_of=int(choice(1,2))"],
    ["target.focus=[0.5,0.3]"],
    ["metrics=[l2,ssim,lpips]"],
    ["films.mine={vary: seed, of: [0,1,2]}"],
    ["films.starts=null"],
    ["experiment=rates"],
    ["experiment=crossing", "loss=l1"],
    ["films.starts.of=[2,1,0]"],
    ["start.classes=[\"golden retriever\",'a, b'],[tree]"],
    ["perceptual.weights=../networks/squeezenet1_1-features.pth", "loss=lpips,l2"],
]


@pytest.fixture(scope="module")
def config_dir(root):
    return root / "config"


def composed(words, config_dir):
    """What Hydra alone composes of a sweep's job: its configuration, and the sweep of its experiment."""
    forced = [f"++{word}" if word.startswith(tuple(f"{name}." for name in sweep.FREE_FORM)) else word for word in words]
    with initialize_config_dir(str(config_dir), version_base="1.3"):
        found = compose("config", forced, return_hydra_config=True)
    params = found.hydra.sweeper.params or {}
    OmegaConf.set_struct(found, False)
    del found["hydra"]
    return OmegaConf.to_container(found, resolve=True), [f"{key}={value}" for key, value in params.items()]


def jobs_of(words, config_dir):
    """The jobs that Hydra's own sweeper makes of words."""
    with initialize_config_dir(str(config_dir), version_base="1.3"):
        parser = OverridesParser.create(config_loader=GlobalHydra.instance().config_loader())
    return BasicSweeper.split_arguments(parser.parse_overrides(words), max_batch_size=None)[0]


@pytest.mark.parametrize("words", SWEEPS, ids=" ".join)
def test_points_are_what_hydra_composes_of_its_sweepers_jobs(config_dir, words):
    _, experiments = composed(jobs_of(words, config_dir)[0], config_dir)
    wanted = [composed(job, config_dir)[0] for job in jobs_of([*experiments, *words], config_dir)]
    assert [config for config, _ in sweep.points(words, config_dir)] == wanted


@pytest.mark.parametrize(
    ("words", "key", "values"),
    [
        (["loss=l2,lpips", "optimizer.lr=0.02,0.05"], "optimizer.lr", [0.02, 0.05, 0.02, 0.05]),
        (["loss=l2,lpips", "optimizer.lr=0.02,0.05"], "loss.name", ["l2", "l2", "lpips", "lpips"]),
        (["start.best_of=range(1,10,3)"], "start.best_of", [1, 4, 7]),
        (["optimizer.lr=sort(0.3,0.1,0.2,reverse=true)"], "optimizer.lr", [0.3, 0.2, 0.1]),
        (["start=random,best"], "start.best_of", [1, 200]),
        (["start.classes=['a b'],[tree]"], "start.classes", [["a b"], ["tree"]]),
        (["loss=l2", "loss.terms.l2=1,2"], "loss.terms", [{"l2": 1}, {"l2": 2}]),
    ],
)
def test_points_by_hand(config_dir, words, key, values):
    assert [sweep.get(config, key) for config, _ in sweep.points(words, config_dir)] == values


def ids(given, root):
    return list(make_plan(given, root).settings)


def test_settings_are_named_by_loss_rate_and_what_else_is_swept(root):
    assert ids({}, root)[0].startswith("loss~")
    assert ids({"loss": "l2,lpips", "lr": "0.02,0.05"}, root) == [
        *("loss~l2+lr~0.02", "loss~l2+lr~0.05", "loss~lpips+lr~0.02", "loss~lpips+lr~0.05")
    ]
    assert ids({"loss": "l2", "lr": 1}, root) == ["loss~l2+lr~1.0"]
    swept = ids({"loss": "l2", "lr": 0.1, "hydra": "start=random,best optimizer.beta1=0,0.9"}, root)
    assert swept[0] == "loss~l2+lr~0.1+optimizer.beta1~0.0+start~random"
    lists = ids({"loss": "l2", "lr": 0.1, "hydra": "start.classes=[shore],[field]"}, root)
    assert [len(name.rsplit("~", 1)[1]) for name in lists] == [8, 8]
    assert not any(set(name) & set(", /") for name in lists)


def test_an_experiments_sweep_gives_way_to_the_command_line(root):
    assert len(ids({"experiment": "crossing"}, root)) == 12
    assert ids({"experiment": "crossing", "loss": "l1", "lr": "0.3"}, root) == ["loss~l1+lr~0.3"]


def test_every_shipped_experiment_composes(root, config_dir):
    for name in sweep.groups(config_dir)["experiment"]:
        plan = make_plan({"experiment": name}, root)
        assert plan.name == name
        assert bool(plan.films) == (name != "census")  # which shows places, not films


def test_an_experiment_gives_its_name_however_it_is_chosen(root):
    assert make_plan({"experiment": "rates"}, root).name == "rates"
    assert make_plan({"hydra": "experiment=rates"}, root).name == "rates"
    assert make_plan({"hydra": "experiment=rates", "name": "mine"}, root).name == "mine"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"los": "l2"}, r"unknown key 'los'; did you mean loss\?"),
        ({"loss": "l3"}, r"unknown loss 'l3'; .*l2"),
        ({"loss": "lpipss"}, r"did you mean lpips\?"),
        ({"loss": None}, "loss= is empty"),
        ({"lr": "fast"}, "lr='fast': .*number"),
        ({"lr": -1}, "lr=-1: .*greater than 0"),
        ({"lr": "0.1,-2"}, "lr=-2"),
        ({"steps": -1}, "steps=-1"),
        ({"steps": "5,6"}, "'steps' cannot be swept"),
        ({"seeds": 0}, "seeds=0: give how many"),
        ({"seeds": "a,b"}, "seeds=a,b"),
        ({"seeds": True}, "seeds=True"),
        ({"name": "../up"}, "name='../up'"),
        ({"name": "a;b"}, "name='a;b'"),
        ({"device": "gpu"}, "device='gpu'"),
        ({"hydra": "optimizer.lrr=1"}, r"unknown key 'optimizer.lrr'; did you mean optimizer.lr\?"),
        ({"hydra": "video.fps=25,30"}, "'video.fps' cannot be swept"),
        ({"hydra": "optimizer.lr=interval(0,1)"}, "random sweep"),
        ({"hydra": "optimizer.lr='"}, "lr=''"),
        ({"hydra": "optimizer.betas=[0.9,0.99]"}, "unknown key 'optimizer.betas'"),
        ({"hydra": "loss.terms.lpip=1"}, r"unknown loss term 'lpip'; did you mean lpips\?"),
        ({"hydra": "loss.terms={lpip: 1}"}, "loss.terms.lpip='lpip'"),
        ({"loss": "l2 (x)"}, r"unknown loss 'l2 \(x\)'"),
        ({"lr": "0.1("}, r"lr=0.1\(: cannot be read"),
        ({"optimizer": "sgd"}, "unknown optimizer 'sgd'; known: adam, adam-norm$"),
        ({"start": "bets"}, r"unknown start 'bets'; did you mean best\?"),
        ({"starts": "best"}, r"unknown key 'starts'; did you mean start\?"),
        ({"beta1": 0.5}, r"unknown key 'beta1'; write hydra=optimizer.beta1=0.5"),
        ({"hydra": "films.starts={vary seed}"}, r"write a film as in hydra='films.mine=\{vary: seed"),
        ({"hydra": "films.starts={vary: seed"}, "a bracket or a quote is not closed"),
        ({"hydra": "target.picture=7"}, "target.picture=7: .*string"),
        ({"target": 7}, r"target=7: .*took the name for a number, .* target=./007"),
        ({"target": True}, "target=True: .*a truth value"),
        ({"target": "a{b}.jpg"}, r"a\{b\}.jpg: Snakemake takes braces"),
        ({"target": "a" * 300 + ".jpg"}, r"a\.\.\.: file name too long"),
        ({"hydra": "video.fps=fast"}, "video.fps='fast'"),
        ({"hydra": "optimizer.beta1=1.5"}, "optimizer.beta1=1.5"),
        ({"hydra": "~loss"}, "cannot be deleted"),
        ({"experiment": "wandrer"}, r"did you mean wanderer\?"),
        (
            {"generator": "biggan-deep-128", "loss": "discriminator"},
            r"generator.discriminator is null \(generator=biggan-deep-128\); take loss=l1-ssim$",
        ),
        ({"hydra": "generator.discriminator=null"}, r"is null \(generator=study\); take loss=l1-ssim$"),
        ({"hydra": "'films.odd={vary: sed}'"}, "films.odd.vary=sed"),
    ],
)
def test_mistakes_are_one_clear_line(root, given, said):
    with pytest.raises(UserError, match=said) as error:
        make_plan(given, root)
    assert "\n" not in str(error.value)


def test_seeds_are_a_count_or_a_list():
    assert read_seeds(3) == [0, 1, 2]
    assert read_seeds("3,7") == read_seeds(["3", "7"]) == read_seeds("[7,3]") == [3, 7]
    assert read_seeds([5]) == [5]


def test_a_target_is_taken_literally(root):
    plan = make_plan({"target": "pictures/a=b,c[d].jpg"}, root)
    assert plan.base["target"]["picture"] == "pictures/a=b,c[d].jpg"
    assert plan.name == "a-b-c-d"
    assert make_plan({"target": "me.jpg", "name": 7}, root).name == "7"
    (typed,) = typed_in_bash('target="a: b.jpg"').values()
    assert make_plan({"target": typed}, root).base["target"]["picture"] == "a: b.jpg"


def test_a_target_whose_name_is_a_number_is_found_where_it_is_that_number(root, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "7").touch()
    assert make_plan({"target": 7}, root).base["target"]["picture"] == "7"
    assert typed_in_bash("target=./007") == {"target": "./007"}


@pytest.mark.parametrize(
    ("picture", "name"),
    [
        ("me.jpg", "me"),
        ("pictures/été.jpg", "ete"),
        ("e\u0301te\u0301.jpg", "ete"),  # as macOS spells it
        ("Straße in Köln.png", "Strasse-in-Koln"),
        ("富士山.jpg", "target-e294ab9d"),
        ("富士山 2.jpg", "2-247389ff"),
        ("...", "target-ab5df625"),
        ("-x-.jpg", "x"),
        ("what?.jpg", "what"),
        ("https://example.org/a%20b.jpg?size=1", "a-b"),
        ("https://example.org/" + "a" * 300 + ".jpg", "a" * 60 + "-9835fa6b"),
    ],
)
def test_names_of_pictures(picture, name):
    assert readable_name(picture) == name


def test_pictures_with_letters_of_other_scripts_keep_apart(root):
    names = {make_plan({"target": f"{letters} 1.jpg"}, root).name for letters in ("富士山", "阿蘇山", "Эльбрус")}
    assert len(names) == 3


def test_a_long_url_is_downloaded_under_a_short_name(root):
    (file,) = make_plan({"target": "https://example.org/" + "a" * 300 + ".jpg"}, root).downloads
    assert file.endswith("a.jpg")
    assert len(file) < 150


def test_short_keys_and_hydra_words(config_dir):
    words, literal = read_short_keys({"lr": 0.05, "start": "best", "hydra": "video.fps=30 threads=1"}, config_dir)
    assert words == ["optimizer.lr=0.05", "start=best", "video.fps=30", "threads=1"]
    assert literal == {}


def typed_in_bash(line):
    """What Snakemake makes of a line typed after --config."""
    words = subprocess.run(["bash", "-c", f"printf '%s\\0' {line}"], capture_output=True, text=True, check=True).stdout
    return parse_config(words.split("\0")[:-1])


@pytest.mark.parametrize(
    ("line", "classes"),
    [
        ('hydra="start.classes=[golden retriever]"', ["golden retriever"]),
        ("""hydra='start.classes=["golden retriever"]'""", ["golden retriever"]),
        ("""hydra="start.classes=['golden retriever', lamp] video.fps=30" """, ["golden retriever", "lamp"]),
        ("""hydra='start.classes=["a, b"]'""", ["a, b"]),
        ("""hydra="'start.classes=[lamp]'" """, ["lamp"]),
    ],
)
def test_classes_with_spaces(root, line, classes):
    assert make_plan(typed_in_bash(line), root).base["start"]["classes"] == classes


@pytest.mark.parametrize(
    ("line", "key", "value"),
    [
        ('hydra="start.classes=golden retriever"', "start.classes", ["golden retriever"]),
        ("""hydra="start.classes=[lamp, potter's wheel]" """, "start.classes", ["lamp", "potter's wheel"]),
        ('hydra="generator.class_names=/x/(é).json"', "generator.class_names", "/x/(é).json"),
        (
            'hydra="films.starts={vary: trajectory, of: [loss~l2+lr~0.4/0, loss~l2+lr~0.4/2, loss~l2+lr~0.4/1]}"',
            "films.starts.of",
            ["loss~l2+lr~0.4/0", "loss~l2+lr~0.4/2", "loss~l2+lr~0.4/1"],
        ),
    ],
)
def test_what_hydra_cannot_read_is_answered_with_a_line_that_works(root, line, key, value):
    given = {"loss": "l2"}
    with pytest.raises(UserError) as error:
        make_plan({**given, **typed_in_bash(line)}, root)
    assert "Lexer" not in str(error.value) and "viable" not in str(error.value)
    said, _, corrected = str(error.value).partition("quote it: ")
    assert said
    assert sweep.get(make_plan({**given, **typed_in_bash(corrected)}, root).base, key) == value


@pytest.mark.parametrize("line", ["hydra='films.mine={vary: seed}'", 'hydra="films.mine={vary: seed, of: [2,1,0]}"'])
def test_a_film_on_the_command_line(root, line):
    assert "mine+loss~l1-ssim-discriminator+lr~0.4" in make_plan(typed_in_bash(line), root).films


def test_a_film_is_removed_or_replaced_whole(root):
    films = make_plan({"hydra": "films.starts=null"}, root)
    assert films.films == {} and films.notes == []
    assert make_plan({"hydra": "films={}"}, root).films == {}
    plan = make_plan({"hydra": "films.starts={vary: rank}"}, root)
    assert plan.base["films"] == {"starts": {"vary": "rank"}}
    plan = make_plan({"hydra": "films.starts.of=[2,1,0]"}, root)
    assert plan.base["films"] == {"starts": {"vary": "seed", "of": [2, 1, 0]}}


@pytest.mark.parametrize("experiment", ["crossing", "losses", "rates"])
def test_sweeping_experiments_make_no_film_of_the_starts_of_each_setting(root, experiment):
    plan = make_plan({"experiment": experiment}, root)
    assert not [name for name in plan.films if name.startswith("starts")]
    none = make_plan({"experiment": experiment, "hydra": "films={}"}, root)
    assert plan.films and not none.films and not [file for file in none.final_products() if "/films/" in file]
    again = make_plan({"experiment": experiment, "hydra": "films.starts={vary: seed}"}, root)
    assert len([name for name in again.films if name.startswith("starts")]) == len(plan.settings)


@pytest.mark.parametrize(
    ("given", "loss", "bound"),
    [
        ({}, "l1-ssim-discriminator", "norm"),
        ({"generator": "study64"}, "l1-ssim-discriminator", "norm"),
        ({"generator": "biggan-deep-128"}, "l1-ssim", "clamp"),
        ({"search": "halving"}, "l1-ssim-discriminator", "clamp"),
        ({"loss": "l2"}, "l2", "norm"),
        ({"optimizer": "adam"}, "l1-ssim-discriminator", "clamp"),
        ({"hydra": "optimizer.bound=none"}, "l1-ssim-discriminator", "none"),
        ({"experiment": "wanderer"}, "l1-lpips", "clamp"),
        ({"experiment": "wanderer", "generator": "study"}, "l1-lpips", "norm"),
    ],
    ids=str,
)
def test_a_generator_brings_loss_and_optimizer_unless_others_are_named(root, given, loss, bound):
    base = make_plan(given, root).base
    assert (base["loss"]["name"], base["optimizer"]["bound"]) == (loss, bound)


def test_terms_of_a_loss_are_swept_and_added(root):
    swept = make_plan({"loss": "l2", "hydra": "loss.terms.l2=1,2"}, root)
    assert list(swept.settings) == [f"loss~l2+lr~0.4+loss.terms.l2~{weight}" for weight in ("1.0", "2.0")]
    assert [setting.config["loss"]["terms"] for setting in swept.settings.values()] == [{"l2": 1.0}, {"l2": 2.0}]
    added = make_plan({"loss": "l1", "hydra": "loss.terms.ssim=0.5"}, root)
    assert added.base["loss"]["terms"] == {"l1": 1.0, "ssim": 0.5}
    replaced = make_plan({"loss": "l1", "hydra": "loss.terms={l2: 3}"}, root)
    assert replaced.base["loss"]["terms"] == {"l2": 3.0}


def test_a_sweep_of_beta1_keeps_its_settings(root):
    plan = make_plan({"hydra": "optimizer.beta1=0,0.9 optimizer.beta2=0.99"}, root)
    betas = [(one.config["optimizer"]["beta1"], one.config["optimizer"]["beta2"]) for one in plan.settings.values()]
    assert betas == [(0.0, 0.99), (0.9, 0.99)]


def test_adding_a_value_leaves_every_path_alone(root):
    assert set(ids({"loss": "l2", "lr": "0.02"}, root)) < set(ids({"loss": "l2,ssim", "lr": "0.02,0.05"}, root))


def test_a_thousand_settings_compose_four_times(root, monkeypatch):
    calls = []
    compose = sweep.compose_config.__wrapped__
    monkeypatch.setattr(sweep, "compose_config", cache(lambda *words: calls.append(words) or compose(*words)))
    rates = ",".join(str(i / 1000) for i in range(1, 251))
    assert len(ids({"loss": "l1,l2,pyramid,ssim", "lr": rates}, root)) == 1000
    assert len(calls) == 4


def test_every_leaf_of_the_schema_has_a_value_in_config(config_dir):
    config = sweep.points([], config_dir)[0][0]
    for name, _ in leaves():
        sweep.get(config, name)
