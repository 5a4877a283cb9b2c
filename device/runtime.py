"""The one seam over the two TensorFlow Lite runtimes: tflite-runtime and LiteRT (ai-edge-litert).

They have the same Interpreter API. tflite-runtime is small but ends at Python 3.11; LiteRT goes on.
"""

import importlib
import sys
from typing import Any, List, NamedTuple, Tuple

from device.errors import ModelError

_MODULES = {
    "litert": ("ai_edge_litert.interpreter", "ai-edge-litert"),
    "tflite-runtime": ("tflite_runtime.interpreter", "tflite-runtime"),
}


class Runtime(NamedTuple):
    """An imported runtime. module: has `Interpreter`."""

    name: str
    version: str
    module: Any

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


def import_runtime(name: str) -> Runtime:
    """Import the runtime `name` ("litert", "tflite-runtime"), or the first that is there ("auto").

    LiteRT first: where a user installed it beside tflite-runtime, it was to be used. Raises ModelError.
    """
    wanted = list(_MODULES) if name == "auto" else [name]
    problems: List[str] = []
    for candidate in wanted:
        module_name, package = _MODULES[candidate]
        if candidate == "tflite-runtime" and "tensorflow" in sys.modules:
            # Found by trying (TensorFlow 2.21, tflite-runtime 2.14): their symbols clash, and good models
            # fail with "vector::reserve" or crash the process.
            problems.append(f"{package}: does not work in a process that has imported tensorflow")
            continue
        try:
            module = importlib.import_module(module_name)
            version = importlib.import_module(module_name.partition(".")[0]).__version__
            return Runtime(candidate, version, module)
        except ImportError as error:
            problems.append(f"{package}: {error}")
    packages = " or ".join(_MODULES[candidate][1] for candidate in wanted)
    raise ModelError(f"model.runtime {name}: cannot be imported ({'; '.join(problems)}); install {packages}")


def installed_runtimes() -> Tuple[str, ...]:
    """Names of the runtimes whose packages are installed here; none is imported."""
    from importlib import metadata

    packages = {distribution.metadata["Name"] for distribution in metadata.distributions()}
    return tuple(name for name, (_, package) in _MODULES.items() if package in packages)


def make_interpreter(runtime: Runtime, model: bytes, threads: int, where: str) -> Any:
    """An interpreter with its tensors allocated. `where` names the model in messages. Raises ModelError."""
    try:
        interpreter = runtime.module.Interpreter(model_content=model, num_threads=threads)
        interpreter.allocate_tensors()
    except (ValueError, RuntimeError, MemoryError) as error:
        first_line = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ModelError(
            f"{where}: {runtime} cannot load it ({first_line}); export it again with `make train`, "
            "or install a newer runtime"
        ) from None
    except SystemError:
        # tflite-runtime is built against numpy 1 and imports with numpy 2, but cannot work.
        raise ModelError(f"{runtime} does not work with this numpy; install 'numpy<2' beside it") from None
    return interpreter
