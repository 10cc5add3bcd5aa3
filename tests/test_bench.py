"""The benchmarks' collector."""

import bench
import pytest


def write(folder, name, body):
    path = folder / name
    path.write_text(f'"""Reading, fast and slow."""\n\ndef run():\n    {body}\n', encoding="utf-8")
    return path


def test_rows_of_a_script(tmp_path):
    path = write(tmp_path, "bench_x.py", "print('noise'); return [dict(row='a', ratio=2.0)]")
    assert bench.rows_of(path) == [{"row": "a", "ratio": 2.0}]
    assert bench.title(path) == "Reading, fast and slow"


def test_a_failing_script_is_told_with_its_last_words(tmp_path, capsys):
    path = write(tmp_path, "bench_x.py", "raise ZeroDivisionError('no peer')")
    with pytest.raises(RuntimeError, match=r"bench_x\.py failed:(.|\n)*no peer"):
        bench.rows_of(path)
    assert bench.main([str(path), "--out", str(tmp_path / "out.md")]) == 1
    assert not (tmp_path / "out.md").exists()


def test_table():
    rows = [
        {"row": "read | parse", "ours": 0.12345, "peer": "13 s", "ratio": 105.3, "note": "CPU"},
        {"row": "write", "note": "skipped"},
        {"row": "slow", "ratio": 0.00512},
    ]
    lines = bench.table(rows).splitlines()
    assert lines[2] == "| read \\| parse | 0.1235 | 13 s | 105 | CPU |"
    assert lines[3] == "| write | – | – | – | skipped |"
    assert lines[4] == "| slow | – | – | 0.005 | – |"
    assert all(line.count("|") - line.count("\\|") == 6 for line in lines)


def test_everything_is_collected_into_one_page(tmp_path, monkeypatch):
    folder = tmp_path / "tests" / "benchmarks"
    folder.mkdir(parents=True)
    for name in ("bench_b.py", "bench_a.py"):
        write(folder, name, f"return [dict(row='{name}', ratio=1.5)]")
    monkeypatch.setattr(bench, "ROOT", tmp_path)
    assert bench.main(["--out", str(tmp_path / "out.md")]) == 0
    text = (tmp_path / "out.md").read_text("utf-8")
    assert text.index("bench_a.py") < text.index("bench_b.py")
    assert "Made by `make bench`" in text
    assert "numpy " in text
    assert "| bench_a.py | – | – | 1.50 | – |" in text
