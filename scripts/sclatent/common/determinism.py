"""The one place where seeds, threads and deterministic algorithms are set."""

import os
import random
import sys

import numpy as np
from threadpoolctl import threadpool_limits


def make_deterministic(seed: int, threads: int) -> None:
    """Seed all random generators and limit the threads of numerical libraries.

    Results are then bit-identical for equal seed and threads on one machine. Call it after the
    imports and before the work: torch and igraph are set only if they are imported by then.

    Parameters
    ----------
    seed
        Seed of Python, NumPy, torch and igraph.
    threads
        Threads of BLAS, OpenMP and torch.
    """
    random.seed(seed)
    np.random.seed(seed)
    threadpool_limits(limits=threads)
    if torch := sys.modules.get("torch"):
        # Products on CUDA are repeatable only with this setting.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.manual_seed(seed)
        torch.set_num_threads(threads)
        # The same as use_deterministic_algorithms, but without importing the compiler (1 s).
        torch.set_deterministic_debug_mode("error")
        # Filling takes half of the time, and nothing here reads memory that it did not write.
        torch.utils.deterministic.fill_uninitialized_memory = False
    if igraph := sys.modules.get("igraph"):
        igraph.set_random_number_generator(random)
