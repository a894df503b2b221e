"""Bring the file of a data set here, checked."""

from _job import run
from sclatent.fetch import fetch_embedded


def main(snakemake):
    fetch_embedded(**snakemake.params.source, destination=snakemake.output[0])


if __name__ == "__main__":
    run(main)
