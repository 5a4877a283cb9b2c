"""Fit, export and the gate, on small things; each TensorFlow job in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from conftest import ROOT
from device.classifier import Classifier
from device.errors import ConfigError, DataError, ModelError
from device.runtime import installed_runtimes
from training.config import TrainingConfig, load_training_config
from training.gate import PACKAGES, runtimes_that_run
from training.photos import TARGETS, Photo, load_photos, split_by_contributor


def python(code: str, *arguments: object) -> str:
    """Run code in a fresh process, in the checkout; its standard output."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


FIT = """
import sys
from pathlib import Path
import numpy as np
from training.fit import Data, fit_resumable, make_repeatable
from training.race import compiled
folder, kill_after = Path(sys.argv[1]), int(sys.argv[2])
make_repeatable(5)
rng = np.random.default_rng(0)
data = Data(rng.random((600, 28, 28), np.float32), rng.integers(0, 10, 600))
model = compiled()
history = fit_resumable(model, data, None, epochs=kill_after or 4, batch_size=32, seed=5, folder=folder)
assert len(history["loss"]) == (kill_after or 4)
np.save(sys.argv[3], np.concatenate([weight.ravel() for weight in model.get_weights()]))
"""


def test_a_resumed_training_ends_in_the_weights_of_an_undisturbed_one(tmp_path: Path):
    python(FIT, tmp_path / "whole", 0, tmp_path / "whole.npy")
    python(FIT, tmp_path / "cut", 2, tmp_path / "half.npy")
    (tmp_path / "cut" / "new").mkdir()  # as a kill in the middle of the next checkpoint leaves it
    output = python(FIT, tmp_path / "cut", 0, tmp_path / "resumed.npy")
    assert "2 of 4 epochs are done" in output
    whole, half, resumed = (np.load(tmp_path / f"{name}.npy") for name in ("whole", "half", "resumed"))
    np.testing.assert_array_equal(whole, resumed)
    assert not np.array_equal(whole, half)
    # Two epochs are asked for and four are there: that is another training, as another batch size would be.
    output = python(FIT, tmp_path / "cut", 2, tmp_path / "again.npy")
    assert "training anew" in output
    np.testing.assert_array_equal(np.load(tmp_path / "again.npy"), half)


EXPORT = """
import json, sys
from pathlib import Path
import numpy as np
from device.model_card import InputSpec
from training.export import KINDS, draft_card, export
from training.fit import make_repeatable
from training.model import mlp
make_repeatable(1)
model = mlp()
images = np.random.default_rng(0).integers(0, 256, (100, 28, 28), np.uint8)
np.save(Path(sys.argv[1]) / "keras.npy", model.predict(images / 255, verbose=0))
card = draft_card("mlp", preprocessing="cutout-1", unsure_below=0.5, trained_on="noise", recipe="a test", seed=1,
                  input=InputSpec("float32", (1, 28, 28), 1 / 255))
for kind in KINDS:
    done = export(model, kind, Path(sys.argv[1]) / f"{kind}.tflite", card, images)
    print("RESULT", json.dumps([kind, done.loads_in, done.card.ops]))
"""


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[list[object]]]:
    folder = tmp_path_factory.mktemp("exported")
    lines = python(EXPORT, folder).splitlines()
    return folder, [json.loads(line[7:]) for line in lines if line.startswith("RESULT ")]


def test_every_kind_loads_in_every_installed_runtime(exported):
    _, results = exported
    assert [kind for kind, *_ in results] == ["float32", "float16", "dynamic-range", "int8"]
    for kind, loads_in, operators in results:
        assert set(loads_in) == {PACKAGES[name] for name in installed_runtimes()}, kind
        assert any(operator.startswith("FULLY_CONNECTED ") for operator in operators)


@pytest.mark.parametrize("kind", ["float32", "float16", "dynamic-range", "int8"])
def test_exported_files_answer_as_keras_through_the_device(exported, kind: str):
    folder, _ = exported
    images = np.random.default_rng(0).integers(0, 256, (100, 28, 28), np.uint8)
    expected = np.load(folder / "keras.npy")
    logits = Classifier(folder / f"{kind}.tflite").logits(images)
    np.testing.assert_allclose(logits, expected, atol=1e-4 if kind == "float32" else 0.15)


def test_the_gate_refuses_what_does_not_run(exported, tmp_path: Path):
    """A model whose bytes are damaged, with a card that vouches for them: the child dies or refuses, we do not."""
    import hashlib

    import msgspec

    from device.model_card import card_path, read_card, write_card

    folder, _ = exported
    content = bytearray((folder / "float32.tflite").read_bytes())
    content[40:400] = bytes(360)
    path = tmp_path / "broken.tflite"
    path.write_bytes(content)
    card = read_card(card_path(folder / "float32.tflite"))
    write_card(msgspec.structs.replace(card, sha256=hashlib.sha256(content).hexdigest()), card_path(path))
    with pytest.raises(ModelError, match=r"broken\.tflite: does not run in"):
        runtimes_that_run(path, np.zeros((2, 28, 28), np.uint8))


def test_the_gate_asks_of_each_crop_what_it_asks_of_an_image(monkeypatch: pytest.MonkeyPatch):
    """Of two crops the mean is the answer; errors that cancel in it are errors still."""
    from training import gate

    steps = np.random.default_rng(0).integers(-100, 100, (6, 10)).astype(np.float32)

    def asked(error: float) -> np.ndarray:
        other = steps.copy()
        other[:2, 0] += (error, -error)
        logits = {"litert": steps, "tflite-runtime": other}
        monkeypatch.setattr(gate, "installed_runtimes", lambda: list(logits))
        monkeypatch.setattr(gate, "ask", lambda _, runtime, *__: gate.Answer(runtime, logits[runtime], np.nan))
        return gate.ask_all(Path("model.tflite"), np.zeros((3, 2, 28, 28), np.uint8))[0].logits

    np.testing.assert_allclose(asked(4), steps.reshape(3, 2, 10).mean(axis=1))
    with pytest.raises(ModelError, match="differ by 5"):
        asked(5)


def test_the_committed_config_shows_the_training_defaults():
    assert load_training_config(ROOT / "config.yaml") == TrainingConfig()
    text = (ROOT / "config.yaml").read_text()
    for key in TrainingConfig.__struct_fields__:
        assert f"\n  {key}:" in text


def test_problems_of_all_sections_are_reported_together(tmp_path: Path):
    path = tmp_path / "config.yaml"
    path.write_text("camera: {widht_px: 1}\ntraining:\n  mlp: {epochs: 0}\n")
    with pytest.raises(ConfigError) as caught:
        load_training_config(path)
    assert "camera.widht_px" in str(caught.value)
    assert "training.mlp.epochs: expected int >= 1" in str(caught.value)


def test_photographs_are_read_from_folders_and_csv(tmp_path: Path):
    (tmp_path / "a" / "T-shirt_top").mkdir(parents=True)
    (tmp_path / "a" / "none").mkdir()
    (tmp_path / "a" / "T-shirt_top" / "1.jpg").write_bytes(b"x")
    (tmp_path / "a" / "none" / "2.png").write_bytes(b"x")
    assert [TARGETS[photo.target] for photo in load_photos(tmp_path / "a")] == ["T-shirt/top", "none"]
    (tmp_path / "b" / "images").mkdir(parents=True)
    (tmp_path / "b" / "images" / "1.jpg").write_bytes(b"x")
    (tmp_path / "b" / "photos.csv").write_text("image,contributor,target\n1,ann,Pullover\n")
    assert load_photos(tmp_path / "b") == [Photo(tmp_path / "b" / "images" / "1.jpg", 2, "ann")]


def test_every_wrong_photograph_is_named(tmp_path: Path):
    (tmp_path / "photos.csv").write_text("image,contributor,target\n1,ann,Sock\n2,bob,Coat\n")
    with pytest.raises(DataError) as caught:
        load_photos(tmp_path)
    assert "photos.csv:2: unknown class 'Sock'" in str(caught.value)
    assert "2.jpg: missing" in str(caught.value)


def test_contributors_are_never_split():
    photos = [Photo(Path(f"{n}.jpg"), n % 10, f"person {n % 40}") for n in range(800)]
    train, validation = split_by_contributor(photos)
    assert not {photo.contributor for photo in train} & {photo.contributor for photo in validation}
    assert 0.1 < len(validation) / len(photos) < 0.25
    assert split_by_contributor(photos[::-1])[1][::-1] == validation
