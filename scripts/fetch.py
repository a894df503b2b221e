"""Bring a published file here, checked."""

from _job import run, terminal
from sclatent.data.fetch import fetch
from sclatent.data.locations import data_directories, download_directory


def main(snakemake):
    settings = snakemake.config["data_directories"]
    file = {**snakemake.config["published"][snakemake.wildcards.file], **snakemake.params.pin}
    fetch(
        file,
        data_directories(settings),
        download_directory(settings),
        snakemake.output[0],
        terminal(),
    )


if __name__ == "__main__":
    run(main)
