"""Bring a published file here, checked."""

from _job import run, terminal
from sclatent.config.datasets import File
from sclatent.data.fetch import fetch
from sclatent.data.locations import data_directories, download_directory


def main(snakemake):
    config = snakemake.config
    published = config["published"][snakemake.wildcards.file]
    fetch(
        File.model_validate({**published, **snakemake.params.pin}),
        data_directories(config["data_directories"]),
        download_directory(config["data_directories"]),
        snakemake.output[0],
        terminal(),
    )


if __name__ == "__main__":
    run(main)
