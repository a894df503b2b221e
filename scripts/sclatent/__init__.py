"""sclatent: compared, scored and reproducible latent spaces of single-cell data.

The names in `__all__` are what other programs can rely on:

- `load`: check a configuration and fill in its defaults;
- `read_matrix`, `read_table`: read results, checked to be whole;
- `load_trained`: load a trained model with the input that it was trained on.

Each is imported when it is first used, because the workflow plans a run where neither torch nor
scanpy is installed. Only `sclatent.pipeline` knows of the workflow.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sclatent.config.load import load
    from sclatent.io.matrices import read_matrix
    from sclatent.io.tables import read_table
    from sclatent.training.saved import load_trained

__version__ = "0.1.0"
__all__ = ["load", "load_trained", "read_matrix", "read_table"]

_MODULES = {
    "load": "sclatent.config.load",
    "load_trained": "sclatent.training.saved",
    "read_matrix": "sclatent.io.matrices",
    "read_table": "sclatent.io.tables",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'sclatent' has no attribute '{name}'")
    return getattr(importlib.import_module(_MODULES[name]), name)
