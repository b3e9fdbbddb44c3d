"""A job's log holds everybody's words."""

from approach.job import job


def test_what_ffmpeg_appends_is_not_overwritten(tmp_path):
    path = tmp_path / "job.log"
    path.write_text("the words of the job before\n" * 20)
    with job(str(path), "test") as log:
        log.info("first")
        with path.open("ab") as words:  # as encode.py hands it to ffmpeg
            words.write(b"ffmpeg's words\n")
        log.info("last")
    first, words, last = path.read_text().splitlines()
    assert first.endswith(" first")
    assert words == "ffmpeg's words"
    assert last.endswith(" last")
