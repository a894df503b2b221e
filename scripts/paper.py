"""Typeset the paper from finished results."""

import itertools
import os
from pathlib import Path

import yaml

from _job import provenance, run
from sclatent.common.errors import UserError
from sclatent.io.atomic import replacing
from sclatent.io.provenance import as_text
from sclatent.report.paper import (
    DEFAULT_KEYS,
    read_records,
    read_references,
    read_study,
    software,
    typeset,
)


def main(snakemake):
    files, params = snakemake.input, snakemake.params
    if not files.tables:
        raise UserError(
            "results/reference has the tables of no study of this run; "
            "`snakemake paper_<study>` runs a study and keeps its tables"
        )
    paths = [os.path.relpath(path) for path in files.tables]
    data = [files.configuration, *paths, *files.quality_control, *files.trainings, *files.figures]
    origin = provenance(snakemake, [*data, *files.template, files.references])
    tables = {study: {} for study in params.studies}
    for (study, kind), path in zip(
        itertools.product(params.studies, params.kinds), paths, strict=True
    ):
        tables[study][kind] = path
    values = {
        "configuration": yaml.safe_load(Path(files.configuration).read_text()),
        "studies": {
            name: {**study, **read_study(tables[name])} for name, study in params.studies.items()
        },
        "quality_control": {
            name: read_records(path, "qc")
            for name, path in zip(params.datasets, files.quality_control, strict=True)
        },
        "figures": [
            {**figure, "command": command(figure["path"], files.configuration)}
            for figure in params.figures
        ],
        "conditions": params.conditions,
        "usual": DEFAULT_KEYS,
        "references": read_references(files.references, params.studies),
        "software": software([*paths, *files.quality_control], files.trainings),
        "command": command(snakemake.rule, files.configuration),
        "tables_in": str(Path(paths[0]).parent.parent),
        "provenance": as_text(origin),
        "fingerprint": origin["fingerprint"],
    }
    with replacing(snakemake.output[0]) as temporary:
        temporary.write_bytes(typeset(files.template, values, files.figures))


def command(target, configuration):
    """Return the command that makes a file, or runs a rule, again."""
    return f"snakemake --force {target} --configfile {configuration}"


if __name__ == "__main__":
    run(main)
