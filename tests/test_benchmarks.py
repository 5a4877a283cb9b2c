"""`make bench`: what is compared gives answers, the ratios are right, and what fell short says so."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import numpy as np
import pytest

from benchmarks.frames import COUNT, moving_frames, still_frames
from benchmarks.hot_loop import steps
from benchmarks.pareto import draw_pareto
from benchmarks.readme import BEGIN, END, block, with_block
from benchmarks.recipes import RECIPES
from benchmarks.report import render, threads_table
from benchmarks.suite import QUICK, needed, settings_to_measure, training, work
from benchmarks.targets import Row, rows, target_table
from benchmarks.worker import best_labels, in_turns
from benchmarks.zoo import Point, card_facts, dominates, find_zoo, front
from conftest import ROOT, SHIPPED_MODEL
from device.classifier import Classifier
from device.errors import GarmentcamError, ModelError
from device.gray import to_gray
from device.labels import LABELS
from device.model_card import card_path, read_card, write_card
from device.runtime import import_runtime, installed_runtimes


def shipped_copy(path: Path, **changes: object) -> Path:
    """What ships, in another file and with another card."""
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(SHIPPED_MODEL, path)
    write_card(msgspec.structs.replace(read_card(card_path(SHIPPED_MODEL)), **changes), card_path(path))
    return path


def test_the_frames_are_of_all_labels_and_the_still_ones_differ_by_noise_only():
    shown = moving_frames()
    assert len(shown) == COUNT
    assert all(sum(frame.truth == label for frame in shown) == COUNT // len(LABELS) for label in LABELS)
    for frame in shown:
        np.testing.assert_array_equal(frame.gray, to_gray(frame.bgr))
    one, other = still_frames()[:2]
    assert 0 < np.abs(one.astype(int) - other).mean() < 10


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_answers_and_is_right_more_often_than_by_chance(name: str, tmp_path: Path):
    interpreter = import_runtime("auto").module.Interpreter
    see, make = RECIPES[name]
    answer = make(see, interpreter, SHIPPED_MODEL, tmp_path)
    shown = moving_frames()[:20]
    assert sum(answer(frame.bgr) == frame.truth for frame in shown) >= 10


def test_cases_are_run_in_turns_and_every_fifth_call_is_counted():
    calls: list[str] = []

    def a(frame: int) -> None:
        calls.append(f"a{frame}")
        if len(calls) % 5:
            time.sleep(0.02)

    times = in_turns({"a": a, "b": lambda frame: calls.append(f"b{frame}")}, [1, 2], 2)
    assert {name: len(found) for name, found in times.items()} == {"a": 4, "b": 4}
    assert calls[:20:5] == ["a1", "b1", "b2", "a2"]
    assert all(len(set(calls[at : at + 5])) == 1 for at in range(0, len(calls), 5))
    assert min(times["a"]) < 20_000


@pytest.mark.parametrize(
    ("values", "at_least", "verdict"),
    [([1.2], False, "aim"), ([1.2, 1.9, 9], False, "must"), ([2.1], False, "short"),
     ([2.1], True, "aim"), ([1.9], True, "must"), ([1.2], True, "short")],
)  # fmt: skip
def test_a_row_reaches_what_its_median_reaches(values: list[float], at_least: bool, verdict: str):
    must, aim = (1.3, 2.0) if at_least else (2.0, 1.3)
    assert Row("what", "runtime", values, must, aim, at_least=at_least).verdict == verdict


def test_recipes_answer_what_our_classifier_says_of_their_picture(tmp_path: Path):
    classifier = Classifier(SHIPPED_MODEL)
    for name, (see, make) in RECIPES.items():
        answer = make(see, classifier.runtime.module.Interpreter, SHIPPED_MODEL, tmp_path)
        for frame in moving_frames()[:20]:
            assert answer(frame.bgr) in best_labels(classifier, see(frame.bgr, tmp_path)), name


def test_a_settled_loop_takes_no_memory_and_one_that_does_is_caught(tmp_path: Path):
    """`cutout-1` makes its pictures anew for each frame; what ships must not."""
    other = shipped_copy(tmp_path / "other.tflite", preprocessing="cutout-1")
    often = [
        {
            line
            for line, (count, _) in work("allocations", model=str(model), runtime="auto")["lines"].items()
            if count > 49
        }
        for model in (SHIPPED_MODEL, other)
    ]
    assert often[0] == set()
    assert any(line.startswith("preprocess.py") for line in often[1])


def test_a_resting_board_wakes():
    found = work("wake", model=str(SHIPPED_MODEL), runtime="auto", times=2)["ms"]
    assert len(found) == 2
    assert all(0 < ms < 1500 for ms in found)  # within the scene that shows it; how soon is for an idle machine to tell


def test_the_steps_of_a_frame_take_time():
    found = list(steps(SHIPPED_MODEL, times=40))
    whole = {kind: us for what, kind, us in found if what == "all of the preprocessing"}
    parts = {kind: sum(us for _, of, us in found if of == kind) - whole[kind] for kind in whole}
    assert set(whole) == {"Y", "BGR"}
    assert all(0.3 * whole[kind] < parts[kind] < 3 * whole[kind] for kind in whole)


def test_models_without_a_card_are_none_of_the_zoo(tmp_path: Path):
    with_card = shipped_copy(tmp_path / "a" / "model.tflite")
    (tmp_path / "without.tflite").write_bytes(b"model")
    for twin in ("validated", "halves/0"):  # what ships, but for the people it learnt from
        shipped_copy(tmp_path / "a" / twin / "model.tflite")
    assert find_zoo(tmp_path) == [with_card]


def test_a_model_is_named_by_its_card_and_its_kind(tmp_path: Path):
    assert card_facts(SHIPPED_MODEL)["name"] == "camera-int8"
    assert set(card_facts(SHIPPED_MODEL)["accuracies"]) == {"Fashion-MNIST test", "photographs of unseen people"}
    assert card_facts(shipped_copy(tmp_path / "camera-float16.tflite"))["name"] == "camera-float16"


def test_only_a_model_that_is_nowhere_worse_dominates():
    ours = Point("ours", "litert", 0.9, 100.0, 1000)
    assert not dominates(ours, ours)
    assert dominates(ours._replace(size_bytes=999), ours)
    for worse in ({"accuracy": 0.89}, {"invoke_us": 101.0}, {"size_bytes": 1001}):
        assert not dominates(ours._replace(**{"accuracy": 0.95, "invoke_us": 90.0, "size_bytes": 900, **worse}), ours)


def test_the_front_leaves_out_what_is_slower_and_no_more_right():
    fast, right, slow = (Point(name, "litert", *at, 1) for name, at in
                         (("fast", (0.8, 10.0)), ("right", (0.9, 20.0)), ("slow", (0.9, 30.0))))  # fmt: skip
    assert front([slow, right, fast]) == [fast, right]


def test_the_readme_gets_its_table_between_the_marks():
    text = f"before\n{BEGIN}\nold\n{END}\nafter\n"
    assert with_block(text, "new\n") == f"before\n{BEGIN}\nnew\n{END}\nafter\n"
    for wrong in ("no marks", f"{END} {BEGIN}"):
        with pytest.raises(GarmentcamError, match="expected a line"):
            with_block(wrong, "new")


def made_up(training: dict[str, object]) -> dict[str, object]:
    """As `measure` gives it, of one runtime, with times that are easy to divide."""
    names = ["invoke", "read", "floor", "ours, BGR", "ours, Y", *RECIPES]
    took_us = [90.0, 10.0, 100.0, 180.0, 150.0, 1500.0, 3000.0, 9000.0, 120.0]
    labels = {name: ["Bag", "Coat"] for name in names[3:]}
    answers = {
        "runtime": "litert 2", "times": {name: [us] * 2 for name, us in zip(names, took_us, strict=True)},
        "labels": labels, "as_meant": dict.fromkeys(RECIPES, 2), "truth": ["Bag", "Bag"],
    }  # fmt: skip
    paced = [
        {"cpu_s_an_hour": hour, "total": [100.0] * 99 + [200.0], "own": [66.6], "floor": [90.0]} for hour in (90, 80, 8)
    ]
    rounds = {f"{name} litert": [found] for name, found in zip(("moving", "still", "resting"), paced, strict=True)}
    none = {"error": "it broke"}
    stage = {"p50_us": 100.0}
    settings = [
        {"model": model, "runtime": "litert 2", "threads": threads, "error": "", "agreement": 1.0,
         "tight": {"inference": stage}, "paced": {"inference": {"p50_us": us}, "total": stage}}
        for model, threads, us in (("m", 1, 100.0), ("m", 2, 1.0), ("better", 1, 90.0), ("larger", 1, 90.0))
    ]  # fmt: skip
    card = {
        "name": "camera-int8",
        "model": "camera",
        "bytes": 100_000,
        "accuracies": {"Fashion-MNIST test": 0.9, "photographs": 0.7},
    }
    return {
        "model": "m", "runtimes": ["litert"],
        "rounds": {"answers litert": [answers], **rounds, "full_tensorflow": [none], "mediapipe_classifier": [none]},
        "once": {
            "start litert": {"floor": [0.1], "ours": [0.15]},
            "memory litert": {"floor": 60e6, "ours": 72e6},
            "batch litert": {"one_by_one": [3.0], "at_once": [2.0], "same": True},
            "allocations litert": {"frames": 99, "lines": {"a.py:1": [99, 5000], "b.py:2": [3, 5000]}},
            "wake litert": {"ms": [10.0, 90.0]},
            "training": training,
        },
        "settings": {"rows": settings},
        "cards": {
            "m": card,
            "better": {**card, "name": "better", "model": "better", "accuracies": {"Fashion-MNIST test": 0.91}},
            "larger": {**card, "name": "larger", "model": "larger", "bytes": 100_001},
        },
    }  # fmt: skip


def test_every_target_is_a_row_with_its_verdict(tmp_path: Path):
    measured = made_up({"recipe": 80.0, "fit_before": 90.0, "fit_after": 110.0})
    found = {row.what: (round(float(np.median(row.values)), 2), row.verdict) for row in rows(measured)}
    assert list(found.values()) == [
        (100, "aim"), (1.5, "must"), (1.8, "must"), (10, "aim"), (0.2, "aim"), (1.01, "aim"), (1.5, "must"),
        (1.2, "must"), (10, "aim"), (90, "aim"), (1.5, "aim"), (1, "short"),
        (1, "must"), (0, "aim"), (0.8, "must"),
    ]  # fmt: skip
    text = render(measured, "here, today")
    assert "| 1 of 2, better **must**" in text
    assert "10.00 (10.00 to 10.00), label_image **aim**" in text
    assert all(f"| {what} " in text for what in found)
    assert "it broke" in text
    assert "a.py:1 (99 of 99 frames, 5000 B), b.py:2 (3 of 99 frames, 5000 B)" in text
    assert target_table(measured) in block(measured, "here, today")
    assert re.search(r"camera-int8 +\| litert 2 +\| +100 \(100\) \| +1 \(100\) \|", block(measured, "here, today"))
    assert "better" not in threads_table(measured)
    draw_pareto(measured, tmp_path / "bench.png")
    assert (tmp_path / "bench.png").read_bytes()[:4] == b"\x89PNG"


def test_training_that_cannot_be_timed_is_no_row_and_says_why():
    measured = made_up({"error": "no module named tensorflow"})
    assert "training" not in " ".join(row.what for row in rows(measured))
    assert "Training: no module named tensorflow" in render(measured, "here")


def test_what_ships_is_asked_in_every_file_and_number_of_threads_and_the_others_with_one():
    cards = {"c-int8": {"model": "c"}, "c-float32": {"model": "c"}, "d": {"model": "d"}}
    jobs = settings_to_measure(Path("c-int8"), [Path("c-float32"), Path("d")], installed_runtimes(), cards, QUICK)
    expected = {(model, count) for model in ("c-int8", "c-float32") for count in (1, 2, 3, 4)} | {("d", 1)}
    assert {(job.model, job.runtime, job.threads) for job in jobs} == {
        (model, runtime, count) for model, count in expected for runtime in installed_runtimes()
    }


def test_what_is_needed_and_fails_is_an_error():
    with pytest.raises(ModelError, match=r"benchmarks.worker wake, auto: .*none\.json"):
        needed("wake", model="none.tflite", runtime="auto", times=1)


def test_a_worker_that_fails_says_why():
    found = work("answers", model="none.tflite", runtime="auto", threads=1, rounds=1)
    assert "none.json" in found["error"]


def test_a_still_scene_takes_less_than_a_third_of_the_processor_time():
    """Two seconds of either, so that a busy machine does no harm: the ratio is far from the bound."""
    runtime = installed_runtimes()[0]
    same = {"model": str(SHIPPED_MODEL), "runtime": runtime, "seconds": 3.0, "still": True}
    awake, resting = (work("paced", **same, rest=rest)["cpu_s_an_hour"] for rest in (False, True))
    assert resting < 0.5 * awake


def test_the_training_is_timed():
    found = training(1)
    assert "error" not in found, found["error"]
    assert min(found["recipe"], found["fit_before"], found["fit_after"]) > 0


def test_the_whole_of_it_runs_and_writes_its_report(tmp_path: Path):
    """In one runtime, with a second model; the training has a test of its own."""
    runtime = installed_runtimes()[0]
    other = shipped_copy(tmp_path / "camera-other.tflite")
    command = [sys.executable, "-m", "benchmarks", "--quick", "--runtime", runtime, "--also", other, "--out", tmp_path]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    measured = json.loads((tmp_path / "bench.json").read_text())
    text = (tmp_path / "bench.md").read_text()
    assert text == render(measured, measured["about"])
    found = measured["rounds"][f"answers {runtime}"][0]
    # Colour is shrunk before it becomes gray, so a tenth of the pixels differ by a few levels: seen, 6 at most.
    assert sum(map(str.__eq__, found["labels"]["ours, Y"], found["labels"]["ours, BGR"])) >= 0.95 * COUNT
    assert found["as_meant"] == dict.fromkeys(RECIPES, COUNT)
    assert measured["once"][f"batch {runtime}"]["same"]
    assert measured["rounds"][f"resting {runtime}"][0]["cpu_s_an_hour"] > 0
    assert "error" not in measured["rounds"]["full_tensorflow"][0]
    assert {(row["model"], row["error"]) for row in measured["settings"]["rows"]} == {
        (str(SHIPPED_MODEL), ""), (str(other), "")
    }  # fmt: skip
    assert f"| {runtime} " in text
    assert (tmp_path / "bench.png").read_bytes()[:4] == b"\x89PNG"
