"""Rules of the house that a machine can check."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import ROOT

MAY_IMPORT = {
    "device": {"device"},
    "training": {"training", "device"},
    "deploy": {"deploy", "device"},
    "benchmarks": {"benchmarks", "device"},
}
MODULES = [path for room in MAY_IMPORT for path in sorted((ROOT / room).rglob("*.py"))]


def imported_rooms(path: Path) -> set[str]:
    """Top-level names that `path` imports, inside functions too."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names.add(str(node.module).split(".")[0])
    return names


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_one_way(path: Path):
    room = path.relative_to(ROOT).parts[0]
    imported = imported_rooms(path)
    assert imported & set(MAY_IMPORT) <= MAY_IMPORT[room]
    if room != "training":
        assert not imported & {"tensorflow", "keras"}


def test_the_import_check_sees_imports_inside_functions(tmp_path: Path):
    path = tmp_path / "module.py"
    path.write_text("def f():\n    from training.data import x\n    import keras.layers\n")
    assert imported_rooms(path) == {"training", "keras"}


def test_importing_the_device_loads_neither_runtime_nor_matplotlib():
    """What opens hardware or draws pictures imports what it needs when it is used."""
    heavy = "tflite_runtime ai_edge_litert tensorflow matplotlib picamera2 tabulate tqdm tornado"
    code = (
        f"import sys, device.cli, device.loop, device.report; print([m for m in '{heavy}'.split() if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_no_test_imports_tensorflow_into_this_process():
    """tflite-runtime breaks beside it; a test that needs TensorFlow starts a process."""
    for path in sorted((ROOT / "tests").glob("test_*.py")):
        code = f"import sys; sys.path[:0] = ['.', 'tests']; import {path.stem}; print('tensorflow' in sys.modules)"
        done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
        assert done.stdout.strip() == "False", path.name
