"""One seam over both runtimes: every kind of input, and models that are refused while the process lives."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import msgspec
import numpy as np
import pytest

from conftest import ROOT, SHIPPED_MODEL, device_command
from device.classifier import Classifier, to_prediction
from device.errors import ModelError
from device.labels import LABELS
from device.model_card import InputSpec, ModelCard, OutputSpec, card_path, load_model, read_card, write_card
from device.runtime import import_runtime, installed_runtimes
from small_models import images

RUNTIMES = installed_runtimes()
KINDS = ("float32", "uint8", "int8")


@pytest.fixture(scope="module")
def contents(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Small models by name, made in a process of their own: tflite-runtime breaks beside TensorFlow."""
    pytest.importorskip("ai_edge_litert", reason="needs the extra `train`")
    folder = tmp_path_factory.mktemp("models")
    subprocess.run([sys.executable, ROOT / "tests" / "small_models.py", folder], check=True, capture_output=True)
    return {path.stem: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture(scope="module")
def keras_logits(contents: dict[str, bytes]) -> np.ndarray:
    """float32 (20, 10): what Keras says of `images()`."""
    return np.frombuffer(contents["keras-logits"], np.float32).reshape(-1, 10)


def write_model(folder: Path, content: bytes, kind: str, **changes: object) -> Path:
    card = ModelCard(
        schema=1,
        name="small",
        sha256=hashlib.sha256(content).hexdigest(),
        size_bytes=len(content),
        labels=LABELS,
        input=InputSpec(kind, (1, 28, 28), 1 / 255),
        output=OutputSpec(kind, (1, 10)),
        preprocessing="frame-1",
        unsure_below=0.5,
        ops=[],
        trained_on="nothing",
        recipe="random weights",
        seed=1,
        commit=None,
        measurements=[],
    )
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "model.tflite"
    path.write_bytes(content)
    write_card(msgspec.structs.replace(card, **changes), card_path(path))
    return path


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("kind", KINDS)
def test_every_input_type_gives_the_logits_of_keras(kind, runtime, contents, keras_logits, tmp_path: Path):
    classifier = Classifier(write_model(tmp_path, contents[kind], kind), runtime)
    assert classifier.runtime.name == runtime
    tolerance = 1e-4 if kind == "float32" else 0.12
    np.testing.assert_allclose(classifier.logits(images()), keras_logits, atol=tolerance)
    for image, logits in zip(images(), keras_logits, strict=True):
        expected = to_prediction(logits.tolist(), classifier.card.output)
        np.testing.assert_allclose(classifier(image).scores, expected.scores, atol=0.03)


def test_batches_of_any_size_follow_each_other(contents, tmp_path: Path):
    classifier = Classifier(write_model(tmp_path, contents["uint8"], "uint8"))
    whole = classifier.logits(images())
    parts = [classifier.logits(images()[:7]), classifier.logits(images()[7:])]
    np.testing.assert_array_equal(np.concatenate(parts), whole)
    np.testing.assert_array_equal(classifier.logits(images()[:1]), whole[:1])


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_of_several_crops_the_mean_of_the_logits_counts(runtime: str, contents, keras_logits, tmp_path: Path):
    classifier = Classifier(write_model(tmp_path, contents["float32"], "float32"), runtime)
    frames = images()[:18].reshape(6, 3, 28, 28)
    means = keras_logits[:18].reshape(6, 3, 10).mean(axis=1)
    np.testing.assert_allclose(classifier.logits(frames), means, atol=1e-4)
    for frame, logits in zip(frames, means, strict=True):
        expected = to_prediction(logits.tolist(), classifier.card.output)
        np.testing.assert_allclose(classifier(frame).scores, expected.scores, atol=1e-3)
        np.testing.assert_allclose(classifier(frame[0]).scores, classifier(frame[:1]).scores, atol=1e-6)


def refused(path: Path, message: str) -> None:
    """Classifier refuses it with `message`, and so does the command line, which lives to say so."""
    with pytest.raises(ModelError, match=message):
        Classifier(path)
    done = device_command("check", "--model", path, "--picture", path.with_suffix(".png"))
    assert done.returncode == 1
    assert "error: " in done.stderr
    assert "Traceback" not in done.stderr


def test_a_truncated_model_never_reaches_the_runtime(contents, tmp_path: Path):
    path = write_model(tmp_path, contents["uint8"], "uint8")
    path.write_bytes(contents["uint8"][:-100])
    refused(path, "the file is damaged or of another training")


def test_a_model_of_another_shape_is_refused(contents, tmp_path: Path):
    refused(write_model(tmp_path, contents["pixels-32"], "float32"), r"the file has float32 \[1, 32")


def test_a_model_with_other_outputs_is_refused(contents, tmp_path: Path):
    refused(write_model(tmp_path, contents["outputs-7"], "float32"), r"the file has float32 \[1, 7\]")


def test_a_card_of_another_type_is_refused(contents, tmp_path: Path):
    refused(write_model(tmp_path, contents["uint8"], "int8"), "its card says input int8")


def test_wrong_labels_are_refused(contents, tmp_path: Path):
    swapped = (LABELS[1], LABELS[0], *LABELS[2:])
    refused(write_model(tmp_path, contents["uint8"], "uint8", labels=swapped), "labels: expected T-shirt/top, Trouser")


def test_an_unknown_preprocessing_is_refused(contents, tmp_path: Path):
    path = write_model(tmp_path, contents["uint8"], "uint8", preprocessing="frame-99")
    done = device_command("check", "--model", path)
    assert done.returncode == 1
    assert "'frame-99': unknown here" in done.stderr


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_model_with_an_operator_of_the_future_is_refused(runtime: str, contents, tmp_path: Path):
    path = write_model(tmp_path, contents["future"], "float32")
    with pytest.raises(ModelError, match=f"{runtime} .* cannot load it"):
        Classifier(path, runtime)


def test_a_runtime_that_is_not_there_is_named(contents, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = write_model(tmp_path, contents["uint8"], "uint8")
    monkeypatch.setitem(sys.modules, "tflite_runtime.interpreter", None)
    with pytest.raises(ModelError, match="install tflite-runtime"):
        Classifier(path, "tflite-runtime")


def test_tflite_runtime_is_refused_beside_tensorflow(monkeypatch: pytest.MonkeyPatch):
    """There good models fail or crash the process; LiteRT is taken instead."""
    monkeypatch.setitem(sys.modules, "tensorflow", sys)
    with pytest.raises(ModelError, match="does not work in a process that has imported tensorflow"):
        import_runtime("tflite-runtime")
    if "litert" in RUNTIMES:
        assert import_runtime("auto").name == "litert"


def test_a_background_logit_gives_a_low_confidence_to_low_logits():
    output = OutputSpec("float32", (1, 10), background=True, temperature=2.0)
    nothing = to_prediction([-6.0] * 10, output)
    garment = to_prediction([6.0] + [-2.0] * 9, output)
    assert nothing.confidence < 0.01
    assert sum(nothing.scores) == pytest.approx(1)
    assert garment.garment > 0.99
    # scores are tempered, the garment probability is not
    assert garment.score == pytest.approx(np.exp(3) / (np.exp(3) + 9 * np.exp(-1)), rel=1e-5)
    assert to_prediction([900.0] + [0.0] * 9, output).confidence == pytest.approx(1)


def test_the_shipped_model_is_what_its_card_says():
    content, card = load_model(SHIPPED_MODEL)
    assert card.size_bytes == len(content) <= 150 * 1024
    assert card.input.dtype == "uint8"
    assert {Classifier(SHIPPED_MODEL, runtime).card.name for runtime in RUNTIMES} == {card.name}
    assert read_card(card_path(SHIPPED_MODEL)) == card
