"""Films: the table, the choice, the frames, and real encodes read back frame by frame."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from approach.errors import UserError
from approach.film.captions import FIELDS, channel_captions, channel_losses, strip_height, strips
from approach.film.choice import choose
from approach.film.encode import encode_film, ffmpeg_program, film_size, write_frames
from approach.film.probe import count_frames, mismatch, read_film, read_frames
from approach.film.render import render_frames
from approach.film.timing import film_timing
from approach.planning.films import film_table
from helpers.frames import noise, number_of, numbered
from helpers.generators import StandIn
from helpers.tables import trajectory_rows
from helpers.trajectories import random_trajectory, spell

AXES = {"loss": ["l2", "lpips"], "lr": [0.02, 0.05]}
CODEC = {"crf": 12, "preset": "ultrafast"}


# ---------------------------------------------------------------------------------------------------- the table


def test_an_open_axis_gives_a_film_for_each_of_its_values():
    films, lines = film_table({"starts": {"vary": "seed", "of": [0, 2, 1]}}, AXES, range(3), spell)
    assert [film["name"] for film in films] == [
        f"starts+loss~{a}+lr~{b}" for a in ("l2", "lpips") for b in (0.02, 0.05)
    ]
    assert films[1]["candidates"][1] == {
        "setting": "loss~l2+lr~0.05",
        "seed": 2,
        "values": {"loss": "l2", "lr": 0.05},
    }
    assert lines == []


def test_fixed_keys_and_varied_axes_leave_the_name():
    axes = {"loss": ["l2", "ssim", "lpips"], "lr": [0.02]}
    films, _ = film_table(
        {"losses": {"vary": "loss", "seed": 1}, "one": {"vary": "seed", **{"loss": "l2", "lr": 0.02}}},
        axes,
        range(3),
        spell,
    )
    assert [film["name"] for film in films] == ["losses+lr~0.02", "one"]
    assert [one["values"]["loss"] for one in films[0]["candidates"]] == ["l2", "ssim", "lpips"]
    assert {one["seed"] for one in films[0]["candidates"]} == {1}


def test_ranks_have_all_seeds_as_candidates_and_trajectories_are_named():
    table = {
        "finds": {"vary": "rank", "of": ["closest", "median", "strangest"], "lr": 0.02},
        "mine": {"vary": "trajectory", "of": ["loss~l2+lr~0.02/3", "loss~lpips+lr~0.05/0", "loss~l2+lr~0.05/1"]},
    }
    films, _ = film_table(table, AXES, range(5), spell)
    assert [film["name"] for film in films] == ["finds+loss~l2", "finds+loss~lpips", "mine"]
    assert [one["seed"] for one in films[0]["candidates"]] == [0, 1, 2, 3, 4]
    assert [(one["setting"], one["seed"]) for one in films[2]["candidates"]] == [
        ("loss~l2+lr~0.02", 3),
        ("loss~lpips+lr~0.05", 0),
        ("loss~l2+lr~0.05", 1),
    ]


def test_a_trajectory_may_end_at_a_moment():
    names = [f"{spell({'loss': 'l2', 'lr': 0.05})}/{end}" for end in ("0", "1@20", "2")]
    (film,), lines = film_table({"f": {"vary": "trajectory", "of": names}}, AXES, range(3), spell)
    assert [one.get("until") for one in film["candidates"]] == [None, 20, None] and not lines
    rows = [dict(one, trajectories="a", status="ok", last_step=90, final_l2=1) for one in film["candidates"]]
    channels = choose(film, rows)["channels"]
    assert [one.get("until") for one in channels] == [None, 20, None]
    assert [one["label"].partition("start ")[2] for one in channels] == ["0", "1, to step 20", "2"]


def test_a_film_from_inside_a_search_shows_members_of_one_pool():
    axes, stages = {"loss": ["l2", "l1"]}, {"loss~l2": 5, "loss~l1": 1}
    films, lines = film_table({"f": {"vary": "stage", "seed": 1}}, axes, range(3), spell, stages)
    assert [film["name"] for film in films] == ["f+loss~l2"]
    assert len(lines) == 1 and "'f+loss~l1'" in lines[0] and "fewer than three stages" in lines[0]
    channels = choose(films[0], trajectory_rows(["loss~l2"], [1], set()), "pool.safetensors")["channels"]
    assert [(one["seed"], one["trajectory"], one["members"][0]["stage"]) for one in channels] == [
        (number, "pool.safetensors", stage) for number, stage in enumerate((1, 3, 5), start=1)
    ]
    assert [one["label"] for one in channels] == [
        "dropped after stage 1 of 5", "dropped after stage 3 of 5", "the one that is left"
    ]  # fmt: skip
    named = {"vary": "stage", "loss": "l2", "of": [2, 4, 5]}
    films, _ = film_table({"f": named}, axes, range(3), spell, stages)
    assert [[one["seed"] for one in film["candidates"]] for film in films] == [[0] * 3, [1] * 3, [2] * 3]
    assert choose(films[0], trajectory_rows(["loss~l2"], [0], set()))["title"] == "l2 loss, start 0"
    _, lines = film_table({"f": {**named, "of": [1, 2], "seed": 0}}, axes, range(3), spell, stages)
    assert lines == ["no film 'f': three channels need three members, and it has 1, 2"]
    with pytest.raises(UserError, match="no stage 6; they are numbered 1 to 5"):
        film_table({"f": {**named, "of": [1, 2, 6]}}, axes, range(3), spell, stages)


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        ({"vary": "seed"}, "three channels need three members"),
        ({"vary": "seed", "of": [0, 1, 7]}, "seed 7 is not part of this run"),
        ({"vary": "rank", "of": ["closest", "median", "strangest"]}, "seeds 0, 1"),
        ({"vary": "loss", "of": ["l2", "lpips"], "seed": 0}, "three channels need three members"),
        ({"vary": "seed", "of": [0, 1, 2], "loss": "ssim"}, "loss=ssim is not part of this run"),
        ({"vary": "seed", "join": "straight"}, "a ring needs 6 members, and it has 0, 1"),
    ],
)
def test_fewer_than_three_members_are_a_line_and_no_film(entry, why):
    films, lines = film_table({"f": entry}, AXES, [0, 1], spell)
    assert films == [] and len(lines) == 1 and why in lines[0] and "'f'" in lines[0] and "\n" not in lines[0]


@pytest.mark.parametrize(
    ("entry", "word"),
    [
        ({"vary": "sead"}, "seed"),
        ({}, "vary"),
        (None, "vary"),
        ({"vary": "seed", "of": [0, 1, 2, 3]}, "three channels"),
        ({"vary": "seed", "of": [0, 0, 1]}, "different"),
        ({"vary": "seed", "of": "012"}, "different"),
        ({"vary": "rank", "of": ["closest", "median", "oddest"]}, "strangest"),
        ({"vary": "rank", "seed": 0}, "seed"),
        ({"vary": "seed", "colour": 1}, "colour"),
        ({"vary": "trajectory", "of": ["a/1", "b/2", "c/3"]}, "a/1"),
        ({"vary": "seed", "join": "bridges"}, "passes or straight"),
        ({"vary": "rank", "join": "passes"}, "names its members"),
        ({"vary": "stage", "join": "passes"}, "names its members"),
        ({"vary": "seed", "of": [0, 1, 2], "join": "passes"}, "two members for each"),
        ({"vary": "trajectory", "of": ["a/1", "a/1@20", "c/3"]}, "different"),
        ({"vary": "trajectory", "of": ["a/1", "b/1@20", "c/3", "d/1", "e/1", "f/1"], "join": "straight"}, "ring"),
    ],
)
def test_a_wrong_table_is_one_clear_line(entry, word):
    with pytest.raises(UserError, match=word) as caught:
        film_table({"f": entry}, AXES, range(4), spell)
    assert "films.f" in str(caught.value) and "\n" not in str(caught.value)


# ---------------------------------------------------------------------------------------------------- the choice


def chosen(entry, seeds, failed=()):
    (film, *_), _ = film_table({"f": entry}, {"loss": ["l2"], "lr": [0.02]}, seeds, spell)
    return choose(film, trajectory_rows(["loss~l2+lr~0.02"], seeds, {("loss~l2+lr~0.02", seed) for seed in failed}))


def test_the_last_frame_of_a_ring_is_its_first():
    """Made in a batch of another size it would differ by rounding."""
    generator, source = StandIn(16), np.random.default_rng(0)
    z, classes = source.normal(size=(4, 128)).astype(np.float32), source.dirichlet(np.ones(10), 4).astype(np.float32)
    z, classes = np.concatenate([z, z[:1]]), np.concatenate([classes, classes[:1]])
    frames = list(render_frames(generator, z, classes, [0, 0, 1.5, 3, 4, 4], batch=2))
    assert generator.made == 3 and len(frames) == 6
    assert np.array_equal(frames[0], frames[-1]) and not np.array_equal(frames[0], frames[3])
    open_ended = list(render_frames(generator, z, classes, [0, 1.5, 3.5], batch=3))
    assert not np.array_equal(open_ended[0], open_ended[-1])


def test_a_ring_shares_its_members_out_among_three_channels():
    film = chosen({"vary": "seed", "of": [5, 0, 1, 2, 3, 4], "join": "passes"}, range(6), failed=[2])
    assert [[one["seed"] for one in channel["members"]] for channel in film["channels"]] == [[5, 0], [1, 2], [3, 4]]
    assert [(channel["setting"], channel["seed"]) for channel in film["channels"]] == [
        (film["film"], n) for n in (1, 2, 3)
    ]
    assert film["channels"][0]["label"] == "start 5, start 0" and film["title"] == "l2 loss, rate 0.02"
    assert "by the passes between their arrivals" in film["why"] and "Start 2 failed" in film["why"]


RANKS = {"vary": "rank", "of": ["closest", "median", "strangest"]}


def test_named_trajectories_are_taken_in_order():
    film = chosen({"vary": "seed", "of": [2, 0, 1]}, range(3))
    assert [channel["seed"] for channel in film["channels"]] == [2, 0, 1]
    assert [channel["label"] for channel in film["channels"]] == ["start 2", "start 0", "start 1"]
    assert film["title"] == "l2 loss, rate 0.02"
    assert film["channels"][0]["trajectory"] == "loss~l2+lr~0.02.st" and film["channels"][0]["last_step"] == 300


def test_ranks_by_metric():
    film = chosen(RANKS, range(7))
    assert [channel["seed"] for channel in film["channels"]] == [
        0,
        2,
        3,
    ]  # 3 is the median, but the strangest chose first
    assert film["by"] == "l2" and "place 1 of 7" in film["channels"][0]["why"]
    assert [channel["seed"] for channel in chosen({**RANKS, "by": "ssim"}, range(7))["channels"]] == [6, 4, 3]


def test_ranks_avoid_failed_inversions_where_they_can():
    channels = chosen(RANKS, range(6), failed=[0, 3])["channels"]
    assert channels[0]["seed"] == 1 and {channel["status"] for channel in channels} == {"ok"}
    film = chosen(RANKS, range(3), failed=[1])
    assert {channel["seed"] for channel in film["channels"]} == {0, 1, 2}
    assert "failed at step 40" in film["why"]


def test_a_metric_that_was_not_taken_is_one_clear_line():
    with pytest.raises(UserError, match="by=lpips"):
        chosen({**RANKS, "by": "lpips"}, range(3))


# ---------------------------------------------------------------------------------------------------- the frames


def test_frames_between_steps_interpolate_the_conditioning():
    generator, (z, classes) = StandIn(), random_trajectory(10)
    frames = list(render_frames(generator, z, classes, [0, 0, 2.5, 10, 10, 10], batch=2))
    assert len(frames) == 6 and generator.made == 3 and frames[0].dtype == np.uint8 and frames[0].shape == (64, 64, 3)
    seen = generator.conditioning(torch.from_numpy(z), torch.from_numpy(classes))
    for frame, wanted in zip(frames[1:4], [seen[0], (seen[2] + seen[3]) / 2, seen[10]], strict=True):
        pixels = (generator(wanted[None])[0].permute(1, 2, 0) + 1) * 127.5
        assert np.abs(frame - pixels.detach().numpy()).max() < 0.51
    assert (frames[0] == frames[1]).all() and (frames[3] == frames[5]).all()


# ---------------------------------------------------------------------------------------------------- the encodes


@pytest.mark.parametrize(("height", "width"), [(64, 64), (33, 47)])
def test_lossless_frames_come_back_bit_for_bit(tmp_path, height, width):
    frames = noise(40, height, width)
    found = write_frames(frames, tmp_path / "a b" / "frames.mkv", fps=25, count=40)
    assert all((a == b).all() for a, b in zip(frames, read_frames(tmp_path / "a b" / "frames.mkv"), strict=True))
    assert (found["frames"], found["fps"], found["width"], found["height"]) == (40, 25, width, height)
    assert count_frames(tmp_path / "a b" / "frames.mkv") == 40
    assert sorted(path.name for path in (tmp_path / "a b").iterdir()) == ["frames.mkv", "frames.sha256"]


def test_the_same_frames_give_the_same_bytes(tmp_path):
    for name in ("a.mkv", "b.mkv"):
        write_frames(noise(5), tmp_path / name, fps=25, count=5)
    assert (tmp_path / "a.mkv").read_bytes() == (tmp_path / "b.mkv").read_bytes()


def test_a_triptych_keeps_its_channels_in_step(tmp_path):
    sources = [tmp_path / f"{channel}.mkv" for channel in range(3)]
    for channel, source in enumerate(sources):
        write_frames([np.roll(frame, 0) for frame in numbered(60 + channel)[channel:]], source, fps=25, count=60)
    look = {"size": 128, "scaling": "nearest", "gap": 6, "margin": 8}
    found = encode_film(sources, tmp_path / "triptych.mp4", fps=25, count=60, look=look, codec=CODEC)
    assert (found["width"], found["height"]) == film_size(3, look) == (412, 144)
    assert found["colours"] == {"range": "tv", "matrix": "bt709", "primaries": "bt709", "transfer": "iec61966-2-1"}
    assert found["pix_fmt"] == "yuv420p" and found["audio"] == 0 and max(np.diff(found["keyframes"])) <= 25
    for number, frame in enumerate(read_frames(tmp_path / "triptych.mp4")):
        pictures = [frame[8:136, 8 + 134 * channel :][:, :128] for channel in range(3)]
        assert [number_of(picture) for picture in pictures] == [number, number + 1, number + 2]
        assert (frame[:6] < 60).all()
    assert number == 59


@pytest.mark.parametrize("scaling", ["mitchell", "nearest"])
def test_colours_survive(tmp_path, scaling):
    swatches = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (128, 128, 128), (255, 255, 255), (0, 0, 0), (200, 120, 40)]
    frames = [np.full((64, 64, 3), colour, np.uint8) for colour in swatches]
    write_frames(frames, tmp_path / "f.mkv", fps=10, count=len(frames))
    look = {"size": 96, "scaling": scaling}
    encode_film(
        [tmp_path / "f.mkv"], tmp_path / "f.mp4", fps=10, count=len(frames), look=look, codec={**CODEC, "crf": 1}
    )
    import av  # noqa: PLC0415

    with av.open(str(tmp_path / "f.mp4")) as film:
        for colour, frame in zip(swatches, film.decode(video=0), strict=True):
            luma, blue, red = (
                plane[48 // step, 48 // step] for plane, step in zip(planes(frame), (1, 2, 2), strict=True)
            )
            # ITU-R BT.709, limited range, from its definition.
            y, b, r = (luma - 16) / 219, (blue - 128) / 224, (red - 128) / 224
            back = np.array([y + 1.5748 * r, y - 0.1873 * b - 0.4681 * r, y + 1.8556 * b]) * 255
            assert np.abs(back - colour).max() < 4


def test_an_enlarged_edge_has_no_halo_and_a_picture_of_the_films_size_is_not_softened(tmp_path):
    picture = np.full((64, 64, 3), 60, np.uint8)
    picture[:, 32:] = 190
    write_frames([picture] * 5, tmp_path / "f.mkv", fps=10, count=5)
    for size in (512, 64):
        film = tmp_path / f"{size}.mp4"
        encode_film([tmp_path / "f.mkv"], film, fps=10, count=5, look={"size": size}, codec={**CODEC, "crf": 1})
        frame = next(iter(read_frames(film))).astype(int)
        assert frame.min() >= 52 and frame.max() <= 197, "Lanczos goes to 45 and 204"
        if size == 64:
            assert np.abs(frame - picture).max() <= 4


def planes(frame):
    flat = frame.to_ndarray(format="yuv420p").astype(float)
    height, width = frame.height, frame.width
    parts = flat.reshape(-1)
    small = height * width // 4
    yield parts[: height * width].reshape(height, width)
    yield parts[height * width :][:small].reshape(height // 2, width // 2)
    yield parts[height * width + small :][:small].reshape(height // 2, width // 2)


def test_a_producer_that_fails_leaves_nothing_and_no_process(tmp_path):
    def producer():
        yield from noise(7)
        raise MemoryError("the generator died")

    with pytest.raises(MemoryError, match="generator died"):
        write_frames(producer(), tmp_path / "frames.mkv", fps=25, count=40)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("count", [6, 8])
def test_too_few_or_too_many_frames_leave_nothing(tmp_path, count):
    with pytest.raises(UserError, match=f"frames is {count}, not 7"):
        write_frames(noise(count), tmp_path / "frames.mkv", fps=25, count=7)
    assert list(tmp_path.iterdir()) == []


def test_a_frame_of_another_shape_is_refused(tmp_path):
    with pytest.raises(ValueError, match="among frames"):
        write_frames([*noise(2), *noise(1, 8, 8)], tmp_path / "frames.mkv", fps=25, count=3)
    assert list(tmp_path.iterdir()) == []


def test_an_older_film_outlives_a_failed_one(tmp_path):
    write_frames(noise(3), tmp_path / "frames.mkv", fps=25, count=3)
    before = (tmp_path / "frames.mkv").read_bytes()
    with pytest.raises(UserError):
        write_frames(noise(2), tmp_path / "frames.mkv", fps=25, count=3)
    assert (tmp_path / "frames.mkv").read_bytes() == before


def test_a_killed_producer_never_names_its_film(tmp_path):
    code = (
        "import sys, time, numpy as np; from pathlib import Path; from approach.film.encode import write_frames\n"
        "def frames():\n"
        "    while True:\n"
        "        yield np.zeros((64, 64, 3), np.uint8); time.sleep(0.01)\n"
        "print('on', flush=True); write_frames(frames(), Path(sys.argv[1]), fps=25, count=100000)"
    )
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", code, str(tmp_path / "frames.mkv")]
    producer = subprocess.Popen(command, env=env, stdout=subprocess.PIPE)
    producer.stdout.readline()
    time.sleep(1.5)
    producer.send_signal(signal.SIGKILL)
    producer.wait()
    producer.stdout.close()
    assert not (tmp_path / "frames.mkv").exists()
    write_frames(noise(3), tmp_path / "frames.mkv", fps=25, count=3)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["frames.mkv", "frames.sha256"]


@pytest.mark.parametrize(
    "damage", ["a bit", "half", "nothing", "another", "no file", "no checksum", "an empty checksum"]
)
def test_damaged_frames_go_into_no_film(tmp_path, damage):
    frames, checksum, film = tmp_path / "f.mkv", tmp_path / "f.sha256", tmp_path / "f.mp4"
    write_frames(noise(4), tmp_path / "other.mkv", fps=25, count=4)
    write_frames(noise(3), frames, fps=25, count=3)
    data = frames.read_bytes()
    middle = len(data) // 2
    flipped = [data[:at] + bytes([data[at] ^ 1 << at % 8]) + data[at + 1 :] for at in range(0, len(data), 97)]
    forms = {"a bit": flipped, "half": [data[:middle]], "nothing": [b""]}
    forms["another"] = [(tmp_path / "other.mkv").read_bytes()]
    if "checksum" in damage:
        checksum.unlink() if damage == "no checksum" else checksum.write_bytes(b"")
    for changed in forms.get(damage, [data]):
        frames.write_bytes(changed)
        if damage == "no file":
            frames.unlink()
        with pytest.raises(UserError, match=r"f\.mkv: is damaged .*; delete it to have it rendered again"):
            encode_film([frames], film, fps=25, count=3, look={"size": 64}, codec=CODEC)
    assert not film.exists()


def test_ffmpeg_that_gives_up_is_quoted(tmp_path):
    write_frames(noise(3), tmp_path / "f.mkv", fps=25, count=3)
    codec = {"crf": 12, "preset": "hurried"}
    with pytest.raises(UserError, match="ffmpeg could not write") as caught:
        look, log = {"size": 64}, tmp_path / "log"
        encode_film([tmp_path / "f.mkv"], tmp_path / "f.mp4", fps=25, count=3, look=look, codec=codec, log_file=log)
    assert "\n" not in str(caught.value) and "hurried" in log.read_text()
    assert not (tmp_path / "f.mp4").exists()


def test_channels_of_different_length_and_odd_sizes_are_refused(tmp_path):
    write_frames(noise(3), tmp_path / "a.mkv", fps=25, count=3)
    write_frames(noise(4), tmp_path / "b.mkv", fps=25, count=4)
    sources, look = [tmp_path / "a.mkv", tmp_path / "b.mkv"], {"size": 64}
    with pytest.raises(UserError, match=r"b\.mkv holds 4 frames and the film 3"):
        encode_film(sources, tmp_path / "f.mp4", fps=25, count=3, look=look, codec=CODEC)
    with pytest.raises(UserError, match="65 x 65"):
        encode_film(sources[:1], tmp_path / "f.mp4", fps=25, count=3, look={"size": 65}, codec=CODEC)


def test_an_unknown_ffmpeg_is_one_clear_line_that_helps(monkeypatch):
    assert Path(ffmpeg_program()).is_file()
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", "no-such-ffmpeg")
    with pytest.raises(UserError, match="IMAGEIO_FFMPEG_EXE=no-such-ffmpeg: no such program") as caught:
        ffmpeg_program()
    assert "pip install imageio-ffmpeg" in str(caught.value) and "video.ffmpeg" not in str(caught.value)


def test_no_ffmpeg_at_all_is_one_clear_line_that_helps(monkeypatch):
    def nowhere():
        raise RuntimeError("No ffmpeg exe could be found. Install ffmpeg on your system, or ...")

    monkeypatch.delenv("IMAGEIO_FFMPEG_EXE", raising=False)
    monkeypatch.setattr("imageio_ffmpeg.get_ffmpeg_exe", nowhere)
    with pytest.raises(UserError) as caught:
        ffmpeg_program()
    assert str(caught.value) == (
        "no ffmpeg found; `pip install imageio-ffmpeg` brings one, or set the variable IMAGEIO_FFMPEG_EXE to yours"
    )


def test_mismatch_says_what_differs(tmp_path):
    write_frames(noise(3), tmp_path / "a.mkv", fps=25, count=3)
    found = read_film(tmp_path / "a.mkv")
    assert mismatch(found, frames=3, width=70) == ""
    assert mismatch(found, frames=4, width=70) == "frames is 3, not 4"


# ---------------------------------------------------------------------------------------------------- captions


def captioned(fields=FIELDS, failed=False):
    film = film_timing({"fps": 10, "seconds": 2, "hold": 0.5}, [20])
    table = {"loss": np.where(np.arange(21) > (12 if failed else 99), np.nan, np.geomspace(1, 0.0312, 21))}
    table["top_class"] = ["alp"] * 10 + ["a promontory of very many words, headland, head, foreland"] * 11
    channel = {"label": "seed 0", "status": "failed" if failed else "ok", "last_step": 12 if failed else 20}
    return film, channel_captions(channel, film["positions"][0], table, fields)


def test_captions_name_the_step_nearest_to_the_frame():
    film, captions = captioned()
    assert len(captions) == film["frames"]
    assert captions[0] == {"left": ["seed 0", "alp"], "right": ["step 0", "loss 1.0000"], "failed": False}
    assert captions[-1]["right"] == ["step 20", "loss 0.0312"]
    for position, caption in zip(film["positions"][0], captions, strict=True):
        assert abs(int(caption["right"][0].split()[1]) - position) <= 0.5


def test_a_failed_inversion_says_so_from_where_it_stopped():
    film, captions = captioned(failed=True)
    for position, caption in zip(film["positions"][0], captions, strict=True):
        assert caption["failed"] == (position >= 11.5)
        assert ("stopped at step 12" in caption["left"][0]) == caption["failed"]
        assert "nan" not in caption["right"][1]


def test_captions_are_read_from_the_table_that_is_handed_over(tmp_path):
    (tmp_path / "any name").write_text("seed,step,loss,top_class\n1,1,0.2,alp\n0,0,0.9,shore\n1,0,0.4,alp\n")
    channel = {"setting": "loss~l2", "seed": 1, "trajectory": "nowhere/trajectories/0-1.safetensors"}
    assert channel_losses(channel, {"loss~l2": tmp_path / "any name"})["loss"].tolist() == [0.4, 0.2]


@pytest.mark.parametrize("fields", [FIELDS, ["step"], ["loss"], ["class"], []])
@pytest.mark.parametrize("size", [64, 512])
def test_strips_fit_below_their_pictures(fields, size):
    film, captions = captioned(fields)
    made = list(strips([captions] * 3, size, 6, fields))
    height = strip_height(size, fields)
    assert len(made) == film["frames"] and height % 2 == 0
    assert {strip.shape for strip in made} == {(height, 3 * size + 12, 3)}
    assert made[0].max() > 100


def test_captions_are_encoded_below_the_pictures(tmp_path):
    film, captions = captioned()
    write_frames(numbered(film["frames"]), tmp_path / "f.mkv", fps=10, count=film["frames"])
    look = {"size": 128, "scaling": "nearest", "gap": 4, "margin": 4}
    parts = strips([captions], 128, 4, FIELDS)
    found = encode_film(
        [tmp_path / "f.mkv"], tmp_path / "f.mp4", fps=10, count=film["frames"], look=look, codec=CODEC, captions=parts
    )
    assert found["height"] == 136 + strip_height(128, FIELDS)
    numbers = [number_of(frame[4:132, 4:132]) for frame in read_frames(tmp_path / "f.mp4")]
    assert numbers == list(range(film["frames"]))
    with pytest.raises(ValueError, match="caption strips"):
        short = list(strips([captions], 128, 4, FIELDS))[:-1]
        encode_film(
            [tmp_path / "f.mkv"],
            tmp_path / "g.mp4",
            fps=10,
            count=film["frames"],
            look=look,
            codec=CODEC,
            captions=short,
        )
    assert not (tmp_path / "g.mp4").exists()
