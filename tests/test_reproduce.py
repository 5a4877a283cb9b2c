"""The reproduction's report: what it says, what a program can read, and when it fails."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from training.reproduce_report import Figures, Race, Row, shortfalls, table, write_report

BOTH = ["ai-edge-litert", "tflite-runtime"]


def row(kind: str, accuracy: float, size_kb: float) -> Row:
    return Row(f"mlp-{kind}.tflite", kind, accuracy, 0.8851, size_kb, 14.0, BOTH)


GOOD = Figures(
    rows=[
        row("float32", 0.8851, 399.941),
        row("float16", 0.8850, 201.746),
        row("dynamic-range", 0.8853, 102.312),
        row("int8", 0.8840, 105.984),
    ],
    keras_accuracies=[0.8851, 0.8810, 0.8870],
    h5_kb=1214.7,
    float32_agrees=10_000,
    race=Race(article_s=20.0, article_accuracy=0.881, fast_s=7.0, fast_accuracy=0.888, fast_epochs=15),
    machine="a machine, 2 cores",
    date="2026-01-01",
    versions="Python 3.11",
)


def with_row(kind: str, **changes: object) -> Figures:
    rows = [msgspec.structs.replace(each, **changes) if each.kind == kind else each for each in GOOD.rows]
    return GOOD._replace(rows=rows)


def test_nothing_falls_short_when_all_holds():
    assert shortfalls(GOOD) == []


@pytest.mark.parametrize(
    ("figures", "said"),
    [
        (GOOD._replace(keras_accuracies=[0.87, 0.871, 0.872]), "Keras accuracy 0.8710: expected within 0.01"),
        (GOOD._replace(float32_agrees=9_999), "float32 answers 9999 of 10,000"),
        (GOOD._replace(h5_kb=2000.0), ".h5 has 1.95 MB"),
        (with_row("float32", size_kb=450.0), "float32 .tflite has 450.0 KB"),
        (with_row("int8", accuracy=0.8800), "int8 0.8800, float32 0.8851"),
        (with_row("int8", size_kb=110.5), "int8 has 110.5 KB, expected at most 110"),
        (GOOD._replace(race=GOOD.race._replace(fast_accuracy=0.8849)), "the fast recipe reaches 0.8849"),
        (GOOD._replace(race=GOOD.race._replace(fast_s=20.5)), "fast recipe 20.5 s, article's fit 20.0 s"),
    ],
)
def test_each_requirement_is_named_when_it_is_missed(figures: Figures, said: str):
    missed = shortfalls(figures)
    assert len(missed) == 1
    assert said in missed[0]


def test_the_json_for_programs_is_one_object_a_file(tmp_path: Path):
    assert write_report(tmp_path, GOOD) == []
    files = json.loads((tmp_path / "reproduce.json").read_text())
    assert [entry["kind"] for entry in files] == ["float32", "float16", "dynamic-range", "int8"]
    for entry in files:
        assert set(entry) == {"file", "kind", "accuracy", "keras_accuracy", "size_kb", "p50_us", "loads_in"}
        assert entry["loads_in"] == BOTH
    run = json.loads((tmp_path / "reproduce-run.json").read_text())
    assert run["race"]["fast_s"] == 7.0
    assert run["shortfalls"] == []


def test_the_report_sets_the_article_beside_every_file(tmp_path: Path):
    write_report(tmp_path, GOOD)
    text = (tmp_path / "reproduce.md").read_text()
    assert table(GOOD) in text
    for figure in ("88.55%", "398.969", "1.19 MB", "-0.11", "106.0", "10,000 of 10,000"):
        assert figure in text
    assert "mean 88.44%" in text
    assert "0.31 points" in text
    assert "Everything that must hold, holds." in text


def test_the_report_says_what_falls_short(tmp_path: Path):
    missed = write_report(tmp_path, with_row("int8", size_kb=120.0))
    assert missed[0] in (tmp_path / "reproduce.md").read_text()


def test_a_missing_runtime_is_explained(tmp_path: Path):
    rows = [msgspec.structs.replace(each, loads_in=BOTH[:1]) for each in GOOD.rows]
    write_report(tmp_path, GOOD._replace(rows=rows))
    assert "tflite-runtime has no wheel for this Python" in (tmp_path / "reproduce.md").read_text()
