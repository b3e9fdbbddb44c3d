"""Sweeps: Hydra's grammar, expanded by Hydra's own sweeper, validated point by point."""

import time
from functools import cache

import pytest
from approach.errors import UserError
from approach.planning import sweep
from approach.planning.plan import make_plan, read_seeds, read_short_keys
from approach.planning.schema import leaves
from hydra import compose, initialize_config_dir
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

SWEEPS = [
    ["loss=l2"],
    ["loss=l2,lpips"],
    ["loss=l2,lpips", "optimizer.lr=0.02,0.05"],
    ["optimizer.lr=0.02,0.05", "loss=l2,lpips"],
    ["loss=choice(l1,l2)"],
    ["optimizer.lr=choice(0.1,0.2,0.4)"],
    ["optimizer.lr=range(0.01,0.05,0.01)"],
    ["start.best_of=range(1,4)"],
    ["start.best_of=range(1,10,3)"],
    ["optimizer.beta1=0,0.9"],
    ["optimizer.betas=[0.9,0.99],[0.5,0.9]"],
    ["optimizer.betas=[0.9,0.99]"],
    ["start.classes=[shore],[lamp,tree]"],
    ["start.classes=[shore,lamp]"],
    ["start=random,best"],
    ["start=random,best", "start.logit_std=1,2"],
    ["loss=glob(l*)"],
    ["loss=glob(*,exclude=l*)"],
    ["optimizer.lr=sort(0.3,0.1,0.2)"],
    ["optimizer.lr=sort(0.3,0.1,0.2,reverse=true)"],
    ["optimizer.bound=clamp,resample,none"],
    ["optimizer.bound='clamp','none'"],
    ['optimizer.bound="clamp","none"'],
    ["optimizer.classes=free,fixed", "loss=l1,l2,ssim"],
    ["generator.truncation=0.2,0.4,0.6"],
    ["optimizer.lr=1e-3,1e-2"],
    ["optimizer.lr=1e-3"],
    ["optimizer.eps=1e-8,1e-6"],
    ["optimizer.warmup=0,0.1", "optimizer.decay=0,0.5"],
    ["loss=l1,l1-lpips"],
    ["loss=l2", "loss.terms.l2=1,2,3"],
    ["steps=10"],
    ["steps=10", "loss=l1,l2"],
    ["loss=l1,l2", "loss=ssim"],
    ["loss=ssim", "loss=l1,l2"],
    ["optimizer.lr=0.1,0.2", "optimizer.lr=0.3,0.4"],
    ["optimizer.lr=0.1,0.1"],
    ["optimizer.class_lr_ratio=0,0.5,1,2"],
    ["start.temperature=0.5,1.0"],
    ["start.class_probability=0.5,0.9", "start.classes=[tree]"],
    ["optimizer.lr=float(choice(1,2))"],
    ["start.best_of=int(choice(1,2))"],
    ["video.fps=30"],
    ["target.focus=[0.5,0.3]"],
    ["metrics=[l2,ssim,lpips]"],
    ["films.mine={vary: seed, of: [0,1,2]}"],
    ["experiment=rates"],
    ["experiment=losses"],
    ["experiment=crossing"],
    ["perceptual.weights=../shared/data/lpips/squeezenet1_1-features.pth", "loss=lpips,l2"],
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
    assert all(len(name.rsplit("~", 1)[1]) == 8 for name in lists)
    assert not any(set(name) & set(", /") for name in lists)


def test_an_experiments_sweep_gives_way_to_the_command_line(root):
    assert len(ids({"experiment": "crossing"}, root)) == 12
    assert ids({"experiment": "crossing", "loss": "l1", "lr": "0.3"}, root) == ["loss~l1+lr~0.3"]


def test_every_shipped_experiment_composes(root, config_dir):
    for name in sweep.groups(config_dir)["experiment"]:
        plan = make_plan({"experiment": name}, root)
        assert plan.name == name
        assert plan.films or plan.notes


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
        ({"hydra": "optimizer.lr='"}, "hydra="),
        ({"hydra": "video.fps=fast"}, "video.fps='fast'"),
        ({"hydra": "optimizer.beta1=1.5"}, "optimizer.beta1=1.5"),
        ({"hydra": "~loss"}, "cannot be deleted"),
        ({"experiment": "wandrer"}, r"did you mean wanderer\?"),
        ({"generator": "biggan-deep-128", "loss": "discriminator"}, "the discriminator belongs to the study generator"),
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
    plan = make_plan({"target": "pictures/a=b,c{d}.jpg"}, root)
    assert plan.base["target"]["picture"] == "pictures/a=b,c{d}.jpg"
    assert plan.name == "a-b-c-d"
    assert make_plan({"target": "me.jpg", "name": 7}, root).name == "7"


def test_short_keys_and_hydra_words(config_dir):
    words, literal = read_short_keys({"lr": 0.05, "hydra": "video.fps=30 optimizer.betas=[0.9,0.99]"}, config_dir)
    assert sorted(words) == ["optimizer.betas=[0.9,0.99]", "optimizer.lr=0.05", "video.fps=30"]
    assert literal == {}


def test_adding_a_value_leaves_every_path_alone(root):
    assert set(ids({"loss": "l2", "lr": "0.02"}, root)) < set(ids({"loss": "l2,ssim", "lr": "0.02,0.05"}, root))


def test_a_thousand_settings_compose_four_times(root, monkeypatch):
    calls = []
    compose = sweep.compose_config.__wrapped__
    monkeypatch.setattr(sweep, "compose_config", cache(lambda *words: calls.append(words) or compose(*words)))
    rates = ",".join(str(i / 1000) for i in range(1, 251))
    began = time.process_time()
    assert len(ids({"loss": "l1,l2,pyramid,ssim", "lr": rates}, root)) == 1000
    print(f"1,000 settings planned in {time.process_time() - began:.2f} s of CPU")
    assert len(calls) == 4


def test_every_leaf_of_the_schema_has_a_value_in_config(config_dir):
    config = sweep.points([], config_dir)[0][0]
    for name, _ in leaves():
        sweep.get(config, name)
