"""Code is tracked by what it says, through every import."""

import pytest
from approach import digest as digests
from approach.digest import _module, closure, code_digest

SCRIPT = 'from kit.work import job\n\njob("walk")\n'
JOB = '''"""Jobs."""

from . import lines
from .errors import Wrong


def job(title):
    """Do it."""
    return lines.say(title)
'''
LINES = "def say(text):\n    import kit.late\n\n    return text\n"


@pytest.fixture
def scripts(tmp_path, monkeypatch):
    monkeypatch.setattr(digests, "KEPT", tmp_path / "kept")
    (tmp_path / "kit").mkdir()
    (tmp_path / "walk.py").write_text(SCRIPT)
    for name, text in {
        "__init__": "",
        "work": JOB,
        "lines": LINES,
        "errors": "class Wrong(Exception): ...\n",
        "late": "x = 1\n",
        "other": "y = 2\n",
    }.items():
        (tmp_path / "kit" / f"{name}.py").write_text(text)
    return tmp_path


def digest(scripts):
    _module.cache_clear()
    code_digest.cache_clear()
    return code_digest(scripts / "walk.py", scripts)


def test_the_closure_holds_what_is_imported_anywhere(scripts):
    names = [path.name for path in closure(scripts / "walk.py", scripts)]
    assert sorted(names) == ["__init__.py", "late.py", "lines.py", "walk.py", "work.py"]


@pytest.mark.parametrize(
    ("file", "old", "new", "changes"),
    [
        ("walk.py", '"walk"', '"run"', True),
        ("kit/work.py", "return lines", "return  lines", False),
        ("kit/work.py", '"""Do it."""', '"""Do it well."""', False),
        ("kit/work.py", '    """Do it."""\n', "    # a remark\n", False),
        ("kit/lines.py", "return text", "return text + text", True),
        ("kit/late.py", "1", "2", True),
        ("kit/other.py", "2", "3", False),
        ("kit/errors.py", "Wrong", "Mistaken", False),
    ],
)
def test_what_changes_the_digest(scripts, file, old, new, changes):
    before = digest(scripts)
    path = scripts / file
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    assert (digest(scripts) != before) == changes


def test_what_was_read_once_is_not_parsed_again(scripts, monkeypatch):
    before = digest(scripts)
    with monkeypatch.context() as patch:
        patch.setattr(digests, "_read", None)
        assert digest(scripts) == before
    for file in (scripts / "kept").iterdir():
        file.write_text("{")
    assert digest(scripts) == before


def test_the_inversion_knows_nothing_of_films(root):
    scripts = root / "workflow" / "scripts"
    names = {path.stem for path in closure(scripts / "invert.py", scripts)}
    assert {"descent", "losses", "generator", "starts"} <= names
    assert not names & {"choice", "encode", "montage", "plots", "page", "plan", "schema", "sweep", "tables", "render"}
