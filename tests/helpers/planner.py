"""Snakemake runs that make nothing, many in a row: each in a process of its own, forked where Snakemake is imported.

Half of the time of a dry run is the import of Snakemake. `python planner.py` imports it once, and then answers a line
{"words": [...], "cwd": ..., "env": {...}, "out": ..., "err": ...} with the exit status of `snakemake words`.
"""

import json
import os
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path


@cache
def _server() -> subprocess.Popen:
    """The process that forks; it ends when its standard input does."""
    environment = {**os.environ, "PYTHONPATH": ""}
    command = [sys.executable, "-P", __file__]
    return subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def run_forked(words: list[str], cwd: Path, env: dict[str, str]) -> subprocess.CompletedProcess:
    """What `snakemake words` would say and return, without the time of its import."""
    server = _server()
    with tempfile.TemporaryDirectory() as folder:
        out, err = Path(folder) / "out", Path(folder) / "err"
        asked = {"words": words, "cwd": str(cwd), "env": env, "out": str(out), "err": str(err)}
        server.stdin.write(json.dumps(asked) + "\n")
        server.stdin.flush()
        status = int(server.stdout.readline())
        return subprocess.CompletedProcess(words, status, out.read_text(), err.read_text())


def _answer(asked: dict) -> None:
    """Run Snakemake in this process, and end it."""
    from snakemake.cli import main  # noqa: PLC0415 (already imported)

    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for number, key in ((1, "out"), (2, "err")):
        os.dup2(os.open(asked[key], os.O_WRONLY | os.O_CREAT, 0o600), number)
    os.chdir(asked["cwd"])
    os.environ.clear()
    os.environ.update(asked["env"])
    sys.argv = ["snakemake", *asked["words"]]
    status = 1
    try:
        main()
    except SystemExit as ended:  # as Python ends: words are an error
        status = ended.code or 0
        if isinstance(status, str):
            print(status, file=sys.stderr)
            status = 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _serve() -> None:
    """Fork for every line of standard input."""
    import hydra  # noqa: PLC0415, F401 (what the Snakefile imports of other people's)
    import PIL.Image  # noqa: PLC0415, F401
    import pydantic  # noqa: PLC0415, F401
    import snakemake.cli  # noqa: PLC0415, F401

    for line in sys.stdin:
        child = os.fork()
        if not child:
            _answer(json.loads(line))
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    _serve()
