"""A job's log holds everybody's words, and its torch has the threads that its rule declares."""

import subprocess

from approach.job import job
from helpers.paths import SNAKEMAKE

ASKS_TORCH = """
rule all:
    output:
        "threads.txt",
    threads: 2
    script:
        "ask.py"
"""


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


def test_torch_has_the_threads_of_its_rule(tmp_path):
    """No script says so to torch: Snakemake sets OMP_NUM_THREADS, whatever it was (here 1, conftest.py)."""
    (tmp_path / "Snakefile").write_text(ASKS_TORCH)
    (tmp_path / "ask.py").write_text(
        "import torch\nopen(snakemake.output[0], 'w').write(str(torch.get_num_threads()))\n"
    )
    subprocess.run([SNAKEMAKE, "--cores", "2", "--quiet", "all"], cwd=tmp_path, check=True, capture_output=True)
    assert (tmp_path / "threads.txt").read_text() == "2"
