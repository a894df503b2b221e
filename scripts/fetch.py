"""Bring a published file here, checked."""

from _job import run, terminal
from sclatent.directories import data_directories
from sclatent.fetch import fetch


def main(snakemake):
    directories = snakemake.config["data_directories"]
    fetch(snakemake.params.file, data_directories(directories), directories[0], snakemake.output[0], terminal())


if __name__ == "__main__":
    run(main)
