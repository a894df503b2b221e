"""Bring a published file here, checked."""

from _job import run, terminal
from sclatent.directories import data_directories
from sclatent.fetch import fetch


def main(snakemake):
    settings = snakemake.config["data_directories"]
    file = {**snakemake.config["published"][snakemake.wildcards.file], **snakemake.params.pin}
    directories = data_directories(settings)
    downloads = directories[-len(settings)]  # the first of the setting, behind those of the environment
    fetch(file, directories, downloads, snakemake.output[0], terminal())


if __name__ == "__main__":
    run(main)
