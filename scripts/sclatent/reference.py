"""The generated documents: the configuration's reference and schema, and the contracts of the files.

`python -m sclatent.reference` writes them; a test fails where they differ from what it would write.
"""

import json
from pathlib import Path

from sclatent import config, contracts

CONFIGURATION = """# Configuration

| file | holds |
|---|---|
| `config.yaml` | what a plain run makes: the quick start |
| `datasets.yaml` | the data-set table |
| `models.yaml` | the model table |

The three are merged, and a file given as `snakemake --configfile mine.yaml` is merged over them, key by key; a single key can be
given as `snakemake --config threads=2`. The effective configuration, every default filled in, is written to
`results/configuration.yaml`. A mistake ends the run at once, in one line that names the key, what it may be, and the nearest key.

The rest of this page is generated from `scripts/sclatent/config.py` by `make reference`.

## Reference

"""

FILES = """# Contracts

What each kind of file under `results/` holds. Files are checked against this when they are written. The provenance of a file
(code, settings, inputs, package versions, device, threads, seed, and their fingerprint) is JSON text: in `uns["provenance"]` of
an AnnData, in the first line of tables and other text, in the metadata of weights (`provenance`) and figures (`Description`), in
the parameter `provenance` of notebooks. `config.schema.json` in this folder is the JSON schema of the configuration.

This page and the schema are generated from `scripts/sclatent/contracts.py` and `config.py` by `make reference`.

"""


def documents() -> dict[str, str]:
    """Return the text of every generated document by its path in the project."""
    return {
        "config/README.md": CONFIGURATION + config.reference(),
        "workflow/schemas/config.schema.json": json.dumps(config.json_schema(), indent=2) + "\n",
        "workflow/schemas/README.md": FILES + contracts.as_markdown(),
    }


if __name__ == "__main__":
    for path, text in documents().items():
        (Path(__file__).parents[2] / path).write_text(text)
