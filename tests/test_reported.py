"""The README's table of committed results, and whether a run of today still finds them."""

import pandas as pd
import pytest

from sclatent.reported import results_table
from sclatent.tables import as_kind, write_table

ENTRIES = """
- id: X1
  data: Digits
  setting: AE
  reported: {ari: "0.5", nmi_geometric: "0.6"}
  ours:
    - {study: one, dataset: digits, model: pca}
    - {study: one, dataset: digits, model: ae}
- id: X2
  data: Digits
  setting: seconds
  reported: {train_seconds: "180"}
  ours: [{study: one, dataset: digits, model: ae, metric: ari, column: train_seconds}]
- id: X3
  data: Digits
  setting: not run
  reported: {ari: "0.7"}
  ours: [{study: other, dataset: digits, model: ae}]
"""


@pytest.fixture
def references(tmp_path):
    (tmp_path / "references.yaml").write_text(ENTRIES)
    return tmp_path / "references.yaml"


@pytest.fixture
def summary() -> dict:
    row = {"dataset": "digits", "model": "ae", "split": "all", "latent": "mean", "method": "kmeans_latent", "metric": "ari"}
    bounds = {"subset": "all", "mean": 0.4567, "sd": 0.01, "n": 3, "n_seeds": 3, "failed_share": 0.0, "ceiling": 1.0}
    return row | bounds | {"train_seconds": 12.34}


def write(folder, row: dict) -> None:
    (folder / "one").mkdir()
    write_table(as_kind(pd.DataFrame([row]), "summary"), folder / "one" / "summary.tsv", "summary", {})


def test_the_last_row_of_ours_stands_beside_what_was_reported(tmp_path, references, summary):
    write(tmp_path, summary)
    assert results_table(references, tmp_path).splitlines()[2:] == [
        "| X1 | Digits: AE | ari | 0.5 | 0.457 ± 0.010, `ae` `kmeans_latent` | – | 1.000 | 3 |",
        "| X2 | Digits: seconds | train seconds | 180 | 12.3, `ae` `kmeans_latent` | – | 1.000 | 3 |",
        "| X3 | Digits: not run | ari | 0.7 | – | – | – | – |",
    ]


def test_a_row_that_the_kept_tables_lack_is_an_error(tmp_path, references, summary):
    write(tmp_path, {**summary, "model": "pca"})
    with pytest.raises(KeyError, match="ae"):
        results_table(references, tmp_path)
