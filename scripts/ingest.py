"""Read the files of a data set into checked counts with labels."""

from pathlib import Path

from _job import provenance, run
from sclatent.common.errors import UserError
from sclatent.data.ingest import ingest
from sclatent.data.readers.registry import read, read_annotation
from sclatent.io.matrices import write_matrix


def main(snakemake):
    params = snakemake.params
    files = {role: [Path(path) for path in snakemake.input[role]] for role in params.roles}
    annotation = files.pop("annotation", None)
    source = read(params.format, files, **params.options)
    table = None if annotation is None else read_annotation(annotation)
    try:
        adata = ingest(source, table, **params.settings)
    except UserError as error:
        places = [str(paths[0]) for paths in [*files.values(), annotation] if paths]
        raise UserError(f"{', '.join(places)}: {error}") from error
    write_matrix(adata, snakemake.output[0], "counts", provenance(snakemake))


if __name__ == "__main__":
    run(main)
