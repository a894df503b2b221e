"""Typeset the paper from finished results."""

import os
from pathlib import Path

import yaml

from _job import provenance, run
from sclatent.common.errors import UserError
from sclatent.io.atomic import replacing
from sclatent.io.provenance import as_text
from sclatent.report.paper import (
    USUAL,
    read_records,
    read_references,
    read_study,
    render_caption,
    software,
    typeset,
)


def main(snakemake):
    files, params = snakemake.input, snakemake.params
    if not files.tables:
        raise UserError(
            "no study of this run has its tables in results/reference; `snakemake paper_<study>` runs and keeps one"
        )
    paths = [os.path.relpath(path) for path in files.tables]
    data = [files.configuration, *paths, *files.quality_control, *files.trainings, *files.figures]
    origin = provenance(snakemake, [*data, files.captions, *files.template, files.references])
    tables = {}
    for path in paths:
        tables.setdefault(Path(path).parent.name, []).append(path)
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
            {
                **figure,
                "caption": render_caption(files.captions, figure["wildcards"]),
                "command": f"snakemake --force {figure['path']} --configfile {files.configuration}",
            }
            for figure in params.figures
        ],
        "conditions": params.conditions,
        "usual": USUAL,
        "references": read_references(files.references, list(params.studies)),
        "software": software([*paths, *files.quality_control], files.trainings),
        "command": f"snakemake --force {snakemake.rule} --configfile {files.configuration}",
        "tables_in": str(Path(paths[0]).parent.parent),
        "provenance": as_text(origin),
        "fingerprint": origin["fingerprint"],
    }
    with replacing(snakemake.output[0]) as temporary:
        temporary.write_bytes(typeset(files.template, values, files.figures))


if __name__ == "__main__":
    run(main)
