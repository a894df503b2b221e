"""What Snakemake's log becomes on the terminal."""

import logging

import pytest

from sclatent.pipeline.failures import LONGEST_REASON, in_words


def said(message: str, **extra) -> logging.LogRecord:
    record = logging.LogRecord("snakemake", logging.INFO, "", 0, message, None, None)
    vars(record).update(extra)
    assert in_words(record)
    return record


def test_a_mistake_in_an_input_function_is_one_line():
    text = 'InputFunctionException in rule ingest in file "ingest.smk", line 9:\nError:\n'
    text += "  UserError: datasets.mine.files.counts: 'x.h5ad' is not there; put it there\n"
    text += "Wildcards:\n  dataset=mine\nTraceback:\n  File ..."
    line = "sclatent: datasets.mine.files.counts: 'x.h5ad' is not there; put it there"
    assert said(text).getMessage() == line


def test_a_lock_is_named_with_its_cure():
    line = said("LockException:\nError: Directory cannot be locked. Please make sure").getMessage()
    assert line.startswith("sclatent: another run holds the results")
    assert "snakemake --unlock" in line


@pytest.mark.parametrize("message", ["5 of 9 steps (56%) done", "Error in rule train:", ""])
def test_other_messages_stay_as_they_are(message):
    assert said(message).getMessage() == message


def test_a_reason_names_no_values_and_is_short():
    values = "before: 'a' now: 'b' " * 10_000
    record = said("", reason=f"Params have changed since last execution: {values}")
    assert record.reason == "Its settings or its code have changed"
    files = ", ".join(f"results/{i}.tsv" for i in range(10_000))
    record = said("", reason=f"Input files updated by another job: {files}")
    assert record.reason.startswith("Input files updated by another job: results/0.tsv")
    assert len(record.reason) <= LONGEST_REASON
