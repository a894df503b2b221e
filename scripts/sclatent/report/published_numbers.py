"""The table of docs/reference-works.md: what reference works report beside the kept results."""

from collections.abc import Mapping
from pathlib import Path

import yaml

from sclatent.report.headline import DASH
from sclatent.report.paper import DEFAULT_KEYS, read_summary

COLUMNS = ("", "experiment", "metric", "reported", "here", "floor", "ceiling", "seeds")


def results_table(references: Path, results: Path) -> str:
    """Return the table as Markdown.

    Parameters
    ----------
    references
        YAML file of the reference works.
    results
        Folder with <study>/<table>.tsv. A study that it lacks has dashes.

    Returns
    -------
    A row per entry of the references, with its first metric and the last of its rows of ours.

    Raises
    ------
    KeyError
        If a table lacks a row that the references name.
    """
    lines = [_line(COLUMNS), "|---" * len(COLUMNS) + "|"]
    for entry in yaml.safe_load(references.read_text()):
        metric, reported = next(iter(entry["reported"].items()))
        experiment = f"{entry['data']}: {entry['setting']}"
        ours = _ours(results, {"metric": metric, **entry["ours"][-1]})
        lines.append(_line([entry["id"], experiment, metric.replace("_", " "), reported, *ours]))
    return "\n".join(lines) + "\n"


def _line(cells) -> str:
    return "|" + "".join(f" {cell} |" if cell else " |" for cell in cells)


def _ours(results: Path, row: Mapping[str, str]) -> tuple[str, str, str, str]:
    """Return our result, its floor, its ceiling and the number of seeds.

    row: the study, the table ("summary" by default), the column ("mean" by default), and the keys
    of the row that differ from DEFAULT_KEYS.
    """
    kind, column = row.get("table", "summary"), row.get("column", "mean")
    path = results / row["study"] / f"{kind}.tsv"
    if not path.exists():
        return DASH, DASH, DASH, DASH
    summary = read_summary(path, kind)
    keys = {**DEFAULT_KEYS[kind], **row}
    means = summary["rows"]["\t".join(keys.get(key, "") for key in summary["keys"])]
    n_seeds = str(means["n"])
    if column != "mean":  # it is the same for every metric of a model
        return f"{_text(means[column])}, `{row['model']}`", DASH, DASH, n_seeds
    spread = f" ± {_text(means['sd'])}" if means["n"] > 1 else ""
    names = " ".join(f"`{keys[key]}`" for key in ("model", "method") if key in keys)
    ours = f"{_text(means['mean'])}{spread}, {names}"
    return ours, _text(means["floor"]), _text(means["ceiling"]), n_seeds


def _text(value: Mapping[str, str] | None) -> str:
    return DASH if value is None else value["text"]
