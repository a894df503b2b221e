"""The generated documents: the configuration's reference and schema, and the contracts of the files.

`python -m sclatent.reference` writes them; a test fails where they differ from what it would write.
"""

import json
from pathlib import Path

from pydantic import BaseModel

from sclatent import config, contracts, datasets
from sclatent.models import family_names, hyperparameters_class

CONFIGURATION = """# Configuration

| file | holds |
|---|---|
| `config.yaml` | what a plain run makes: the quick start |
| `datasets.yaml` | the data-set table |
| `models.yaml` | the model table |
| `paper.yaml` | the studies of the paper, for `make paper` |

The first three are merged, and a file given as `snakemake --configfile mine.yaml` is merged over them, key by key; a single key
can be given as `snakemake --config threads=2`. The effective configuration, every default filled in, is written to
`results/configuration.yaml`. A mistake ends the run at once, in one line that names the key, what it may be, and the nearest key.

The rest of this page is generated from `scripts/sclatent/config.py` by `make reference`.

## Reference

"""

FILES = """# Contracts

What each kind of file under `results/` holds. Files are checked against this when they are written. The provenance of a file
(code, settings, inputs, package versions, device, threads, seed, and their fingerprint) is JSON text: in `uns["provenance"]` of
an AnnData, in the first line of tables and other text, in the metadata of weights and Parquet (`provenance`) and of figures
(`Description`), in the parameter `provenance` of notebooks. The first line of a table also has the SHA-256 of what is below it
(`rows`), by which a damaged one is told when it is read. `config.schema.json` in this folder is the JSON schema of the
configuration.

This page and the schema are generated from `scripts/sclatent/contracts.py` and `config.py` by `make reference`.

"""


def documents() -> dict[str, str]:
    """Return the text of every generated document by its path in the project."""
    return {
        "config/README.md": CONFIGURATION + configuration_tables(),
        "workflow/schemas/config.schema.json": json.dumps(configuration_schema(), indent=2) + "\n",
        "workflow/schemas/README.md": FILES + contracts.as_markdown(),
    }


def configuration_schema() -> dict:
    """Return the JSON schema of the configuration, hyper-parameters of every family included."""
    schema = config.Config.model_json_schema()
    schema["title"] = "sclatent configuration"
    families = family_names()
    schema["$defs"]["Model"]["properties"]["family"]["enum"] = families
    schema["$defs"]["Model"]["allOf"] = [
        {
            "if": {"properties": {"family": {"const": family}}},
            "then": {"properties": {"hyperparameters": hyperparameters_class(family).model_json_schema()}},
        }
        for family in families
    ]
    return schema


def configuration_tables() -> str:
    """Return the reference of every key as Markdown tables: key, type, default, meaning."""
    sections = [
        ("Top level", config.Config),
        ("`datasets.<name>`", datasets.Dataset),
        ("`datasets.<name>.files.<role>`", datasets.File),
        ("`datasets.<name>.columns`", datasets.Columns),
        ("`datasets.<name>.qc`", datasets.QualityControl),
        ("`datasets.<name>.scale`", datasets.Scale),
        ("`datasets.<name>.holdout`", datasets.Holdout),
        ("`datasets.<name>.balance`", datasets.Balance),
        ("`datasets.<name>.clusters`", datasets.Clusters),
        ("`datasets.<name>.blobs`", datasets.Blobs),
        ("`models.<name>`", config.Model),
        ("`models.<name>.training`", config.Training),
        *((f"`models.<name>.hyperparameters` of family `{name}`", hyperparameters_class(name)) for name in family_names()),
        ("`studies.<name>`", config.Study),
        ("`studies.<name>.embedding`", config.Embedding),
        ("`studies.<name>.clustering`", config.Clustering),
    ]
    return "\n".join(_table(title, section) for title, section in sections)


def _table(title: str, section: type[BaseModel]) -> str:
    schema = section.model_json_schema()
    lines = [f"### {title}", "", (section.__doc__ or "").strip(), "", "| key | type | default | meaning |", "|---|---|---|---|"]
    for key, field in schema["properties"].items():
        default = f"`{field['default']}`" if "default" in field and not isinstance(field["default"], dict) else ""
        if key in schema.get("required", []):
            default = "required"
        lines.append(f"| `{key}` | {_type(field)} | {default} | {field.get('description', '')} |")
    return "\n".join([*lines, ""])


def _type(field: dict) -> str:
    """Return a short text for a JSON-schema type with its range."""
    if "anyOf" in field:
        return " or ".join(_type(option) for option in field["anyOf"])
    if "$ref" in field:
        return "section"
    if "enum" in field:
        return " or ".join(f"`{value}`" for value in field["enum"])
    if "const" in field:
        return f"`{field['const']}`"
    if field["type"] == "array":
        return f"list of {_type(field['items'])}"
    if field["type"] == "object":
        return "mapping"
    signs = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    limits = ", ".join(f"{sign} {field[key]:g}" for key, sign in signs.items() if key in field)
    names = {"number": "number", "integer": "whole number", "string": "text", "boolean": "yes or no", "null": "none"}
    name = names[field["type"]]
    return f"{name} ({limits})" if limits else name


if __name__ == "__main__":
    for path, text in documents().items():
        (Path(__file__).parents[2] / path).write_text(text)
