"""The table of docs/reference-works.md: what reference works report beside the kept results."""

from pathlib import Path

import yaml

from sclatent.report.paper import USUAL, read_summary

HEADER = "| | experiment | metric | reported | here | floor | ceiling | seeds |\n|---|---|---|---|---|---|---|---|"
NOTHING = "–"


def results_table(references: Path, results: Path) -> str:
    """Return the table as Markdown: a row an entry of the file of references, with the first metric and the last row of ours.

    results: the folder with <study>/<table>.tsv; of a study that it does not hold there are dashes. Raises KeyError where a table
    has no such row.
    """
    lines = [HEADER]
    for entry in yaml.safe_load(references.read_text()):
        metric, reported = next(iter(entry["reported"].items()))
        ours = entry["ours"][-1]
        title = f"{entry['data']}: {entry['setting']}"
        here = _ours(results, {"metric": metric, **ours})
        lines.append(
            f"| {entry['id']} | {title} | {metric.replace('_', ' ')} | {reported} | {' | '.join(here)} |"
        )
    return "\n".join(lines) + "\n"


def _ours(results: Path, ours: dict[str, str]) -> list[str]:
    """Return what stands in the last four columns."""
    kind, column = ours.get("table", "summary"), ours.get("column", "mean")
    path = results / ours["study"] / f"{kind}.tsv"
    if not path.exists():
        return [NOTHING] * 4
    summary = read_summary(path, kind)
    keys = USUAL[kind] | ours
    row = summary["rows"]["\t".join(keys.get(key, "") for key in summary["keys"])]
    text = {
        name: row[name]["text"] if row[name] else NOTHING
        for name in {column, "sd", "floor", "ceiling"}
    }
    n = str(row["n"])
    if column != "mean":  # what is the same for every metric of a model
        return [f"{text[column]}, `{ours['model']}`", NOTHING, NOTHING, n]
    spread = f" ± {text['sd']}" if row["n"] > 1 else ""
    by = " ".join(f"`{keys[key]}`" for key in ("model", "method") if key in keys)
    return [f"{text[column]}{spread}, {by}", text["floor"], text["ceiling"], n]
