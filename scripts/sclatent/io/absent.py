"""What was not measured, and why: nothing that does not apply is a zero or a gap without a word."""

from collections.abc import Iterable

import pandas as pd

from sclatent.io.tables import as_kind


def absent_table(
    evaluation: str,
    dataset: str,
    missing: Iterable[tuple[str, str]],
    model: str | None = None,
    seed: int | None = None,
) -> pd.DataFrame:
    """Return a table of the kind "absent"; missing: what does not apply, and why. model, seed: None for all."""
    rows = [(evaluation, dataset, model, seed, what, reason) for what, reason in missing]
    columns = ["evaluation", "dataset", "model", "seed", "what", "reason"]
    return as_kind(pd.DataFrame(rows, columns=columns), "absent")
