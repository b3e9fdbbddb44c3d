"""Code is tracked by what it says, through every import."""

import pytest

from approach import digest as digests
from approach.digest import _module, _remembered, closure, code_digest

SCRIPT = 'from kit.work import job\n\njob("run")\n'
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
    (tmp_path / "script.py").write_text(SCRIPT)
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
    for cached in (_module, _remembered, code_digest):
        cached.cache_clear()
    return code_digest(scripts / "script.py", scripts)


def test_the_closure_holds_what_is_imported_anywhere(scripts):
    names = [path.name for path in closure(scripts / "script.py", scripts)]
    assert sorted(names) == ["__init__.py", "late.py", "lines.py", "script.py", "work.py"]


@pytest.mark.parametrize(
    ("file", "old", "new", "changes"),
    [
        ("script.py", '"run"', '"halt"', True),
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


def move(scripts, name, folder):
    """Move a module of the kit into a package of its own, and adapt every import, as a refactoring does."""
    (scripts / "kit" / folder).mkdir()
    (scripts / "kit" / folder / "__init__.py").write_text("")
    (scripts / "kit" / f"{name}.py").rename(scripts / "kit" / folder / f"{name}.py")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("from kit.lines import say", "from kit.words.lines import say"),
        ("from kit import lines", "from kit.words import lines"),
        ("from kit import lines as l", "from kit.words import lines as l"),
        ("import kit.lines as l", "import kit.words.lines as l"),
        ("from .kit.lines import say", "from .kit.words.lines import say"),
        ("from kit.lines import *", "from kit.words.lines import *"),
    ],
)
def test_a_moved_file_reruns_nothing(scripts, before, after):
    script = scripts / "script.py"
    # Other imports stand around it, so that its place among them, in the order of the alphabet, changes too.
    script.write_text(f"{before}\nfrom kit.other import y\n\nsay(y)\n")
    old = digest(scripts)
    move(scripts, "lines", "words")
    script.write_text(f"from kit.other import y\n{after}\n\nsay(y)\n")
    assert digest(scripts) == old
    path = scripts / "kit" / "words" / "lines.py"
    path.write_text(path.read_text().replace("return text", "return text + text"))
    assert digest(scripts) != old


def test_a_module_that_moves_may_be_imported_by_a_module(scripts):
    old = digest(scripts)
    move(scripts, "lines", "words")
    work = scripts / "kit" / "work.py"
    work.write_text(work.read_text().replace("from . import lines", "from .words import lines"))
    assert digest(scripts) == old


def test_what_an_init_runs_is_seen(scripts):
    old = digest(scripts)
    package = scripts / "kit" / "__init__.py"
    package.write_text('"""The kit."""\n')
    assert digest(scripts) == old
    package.write_text("import kit.other\n")
    with_other = digest(scripts)
    assert with_other != old
    (scripts / "kit" / "other.py").write_text("y = 3\n")
    assert digest(scripts) not in (old, with_other)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("from math import floor", "from numpy import floor"),
        ("from kit.late import x", "from kit.other import x"),
        ("from kit.late import x as y", "from kit.late import x as z"),
        ("import math as m", "import cmath as m"),
        ("import kit.late as m", "import kit.other as m"),
        ("from kit import late as m", "from kit import other as m"),
        ("if 1:\n    from kit.late import x\nelse:\n    x = 1", "if 1:\n    x = 1\nelse:\n    from kit.late import x"),
    ],
)
def test_a_name_taken_from_elsewhere_is_seen(scripts, before, after):
    """Both modules are in the closure before and after: what is imported from which is all that differs."""
    script = scripts / "script.py"
    script.write_text(f"import kit.late\nimport kit.other\n\npass\n{before}\n")
    old = digest(scripts)
    script.write_text(f"import kit.late\nimport kit.other\n\npass\n{after}\n")
    assert digest(scripts) != old


def test_what_was_read_once_is_not_parsed_again(scripts, monkeypatch):
    before = digest(scripts)
    with monkeypatch.context() as patch:
        patch.setattr(digests, "_read", None)
        assert digest(scripts) == before
    for file in (scripts / "kept").iterdir():
        file.write_text("{")
    assert digest(scripts) == before
