"""What is shared: films for messages and pages, posters for walls, and what they say of themselves."""

import av
import numpy as np
import pytest
from PIL import Image

from approach.errors import UserError
from approach.film import share
from approach.film.encode import encode_film, write_frames
from approach.film.probe import read_film
from approach.pictures import poster as posters
from approach.wording import work_of
from helpers.frames import noise, number_of, numbered

COUNT, FPS = 40, 25
WORK = work_of({"title": "Nach dem Nebel", "artist": "A. Person", "year": "2026", "licence": "CC BY 4.0"}, "x")


@pytest.fixture
def sources(tmp_path):
    files = [tmp_path / f"{channel}.mkv" for channel in range(3)]
    for file in files:
        write_frames(numbered(COUNT), file, fps=FPS, count=COUNT)
    return files


def test_a_webm_has_the_film_s_frames_colours_and_tags(sources, tmp_path):
    look = {"size": 64, "scaling": "nearest", "gap": 4, "margin": 4}
    film = tmp_path / "t.webm"
    encode_film(sources, film, fps=FPS, count=COUNT, look=look, codec={"webm": True, "metadata": WORK.metadata})
    found = read_film(film)
    assert (found["codec"], found["frames"], found["audio"]) == ("vp9", COUNT, 0)
    assert found["colours"]["transfer"] == "iec61966-2-1"
    with av.open(str(film)) as opened:
        tags = {key.lower(): value for key, value in opened.metadata.items()}
    assert (tags["title"], tags["artist"], tags["copyright"]) == ("Nach dem Nebel", "A. Person", "CC BY 4.0.")


def test_a_moving_picture_fits_into_a_message(sources, tmp_path, monkeypatch):
    film, output = tmp_path / "t.mp4", tmp_path / "t.webp"
    encode_film(
        sources, film, fps=FPS, count=COUNT, look={"size": 64, "scaling": "nearest"}, codec={"crf": 5, "preset": "fast"}
    )
    assert share.moving_picture(film, output, fps=FPS, frames=COUNT) == share.WIDTHS[0]
    with Image.open(output) as picture:
        assert picture.is_animated and picture.n_frames == COUNT // 2
    assert output.stat().st_size < share.MOST_BYTES == 8_000_000
    # ANMF chunks (RFC 9649): place and size of a frame, each in 24 bits
    placed = {part[4:16] for part in output.read_bytes().split(b"ANMF")[1:]}
    assert placed == {bytes(6) + b"".join((side - 1).to_bytes(3, "little") for side in picture.size)}, "all are whole"
    monkeypatch.setattr(share, "MOST_BYTES", output.stat().st_size // 2)
    assert share.moving_picture(film, output, fps=FPS, frames=COUNT) < share.WIDTHS[0]
    monkeypatch.setattr(share, "MOST_BYTES", 100)
    with pytest.raises(UserError, match="make the film shorter"):
        share.moving_picture(film, output, fps=FPS, frames=COUNT)
    assert not output.exists()
    share.stills(film, tmp_path, turn=32)
    seen = [number_of(np.asarray(Image.open(tmp_path / f"still-{n}.png"))[:64, :64]) for n in range(1, 6)]
    assert seen == [0, 8, 16, 24, 32]


def test_a_poster_is_of_its_size_and_its_text_is_text(tmp_path, monkeypatch):
    monkeypatch.setattr(posters, "SIZES", {"a2": 30.0, "a3": 30 / 2**0.5})
    files = {"a2": tmp_path / "a2.png", "a3": tmp_path / "a3.png", "pdf": tmp_path / "p.pdf"}
    posters.poster(
        files, work=WORK, labels=["start 0", "start 1", "start 2"],
        moments=np.stack(noise(12, 32, 32)).reshape(3, 4, 32, 32, 3),
        steps=[0, 3, 7, 12], target=noise(1, 32, 32)[0], found=None, colours="fog", note="a note",
    )  # fmt: skip
    # A2 is 420 x 594 mm, A3 is 297 x 420 mm: here at a tenth of the dots
    for size, wanted in (("a2", (42.0, 59.4)), ("a3", (29.7, 42.0))):
        with Image.open(files[size]) as picture:
            assert np.allclose(np.array(picture.size) / 300 * 10 * 2.54, wanted, atol=0.15)
            assert picture.text["Title"] == "Nach dem Nebel" and round(picture.info["dpi"][0]) == 300
    printed = files["pdf"].read_bytes()
    assert b"/Subtype /Type0" in printed or b"/Subtype /TrueType" in printed, "letters are letters"
    assert printed.count(b"/Type /Page\n") + printed.count(b"/Type /Page ") == 1 and b"Nach dem Nebel" in printed


def test_arrivals_are_told_apart_by_what_tells_them_apart():
    values = [{"loss": "l2", "lr": rate} for rate in (0.02, 0.05, 0.05)]
    labels = ["l2 loss, rate 0.02, start 1", "l2 loss, rate 0.05, start 0, to step 20", "l2 loss, rate 0.05, start 2"]
    channels = [{"label": label, "values": one} for label, one in zip(labels, values, strict=True)]
    channels[1]["until"] = 20
    told = [label.partition(", start")[0] for label in labels]
    assert posters.arrival_labels("trajectory", channels) == told
    assert posters.arrival_labels("trajectory", channels[1:]) == ["", ""], "two of one setting, apart by their starts"
    ranks = [{**channels[0], "label": f"{rank}, start 1"} for rank in ("closest", "strangest")]
    assert posters.arrival_labels("rank", ranks) == ["closest", "strangest"]
    assert posters.arrival_labels("lr", [{"label": "rate 0.02"}, {"label": "rate 0.05"}]) == ["rate 0.02", "rate 0.05"]


def test_a_card_for_links():
    card = posters.card(WORK, noise(3, 16, 16))
    assert card.size == (1200, 630)
