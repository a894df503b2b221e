"""sclatent: compared, scored and reproducible latent spaces of single-cell data.

The library knows nothing of the workflow that calls it: every module takes arrays, tables and plain settings.
Importing this package imports nothing else, so that planning a workflow needs neither torch nor scanpy.
"""

__version__ = "0.1.0"
