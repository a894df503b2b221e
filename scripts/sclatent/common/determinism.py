"""The one place where seeds, threads and deterministic algorithms are set."""

import os
import random
import sys

import numpy as np
from threadpoolctl import threadpool_limits


def make_deterministic(seed: int, threads: int) -> None:
    """Seed Python, NumPy and, where they are loaded, torch and igraph, and bind numerical libraries to `threads` threads.

    Call it after the imports and before the work: results are bit-identical for equal seed and threads on one machine.
    """
    random.seed(seed)
    np.random.seed(seed)
    threadpool_limits(limits=threads)
    if torch := sys.modules.get("torch"):
        os.environ.setdefault(
            "CUBLAS_WORKSPACE_CONFIG", ":4096:8"
        )  # CUDA's products repeat exactly only so
        torch.manual_seed(seed)
        torch.set_num_threads(threads)
        torch.set_deterministic_debug_mode(
            "error"
        )  # as use_deterministic_algorithms, without its import of the compiler (1 s)
        torch.utils.deterministic.fill_uninitialized_memory = (
            False  # nothing here reads what it did not write; half of the time
        )
    if igraph := sys.modules.get("igraph"):
        igraph.set_random_number_generator(random)
