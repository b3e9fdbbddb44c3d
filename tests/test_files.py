"""JSON files, written in one way and read back the same."""

from approach.files import read_json, write_json


def test_what_is_written_is_read_back(tmp_path):
    content = {"name": "富士山", "values": [1, 0.5, None, True], "inside": {"empty": []}}
    write_json(tmp_path / "content.json", content)
    assert read_json(tmp_path / "content.json") == content
    assert read_json(str(tmp_path / "content.json")) == content
    assert "富士山" in (tmp_path / "content.json").read_text(encoding="utf-8")
