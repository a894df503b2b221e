"""On which device models run."""

import pytest
import torch

from sclatent.common.errors import UserError
from sclatent.training.devices import choose_device, device_name, usable_precision


@pytest.mark.parametrize(
    ("wanted", "gpus", "seen", "expected"),
    [
        ("auto", 1, True, "cuda"),
        ("auto", 0, True, "cpu"),
        ("auto", 1, False, "cpu"),
        ("cpu", 1, True, "cpu"),
        ("cuda", 1, True, "cuda"),
    ],
)
def test_a_model_runs_on_the_gpu_that_its_job_was_given(monkeypatch, wanted, gpus, seen, expected):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: seen)
    assert choose_device(wanted, gpus) == expected


@pytest.mark.parametrize(
    ("gpus", "seen", "words"), [(1, False, "torch sees no GPU"), (0, True, "--resources gpu=1")]
)
def test_cuda_that_cannot_be_had_is_refused(monkeypatch, gpus, seen, words):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: seen)
    with pytest.raises(UserError, match=words):
        choose_device("cuda", gpus)


def test_records_name_the_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "NVIDIA H100")
    assert device_name("cuda") == "cuda (NVIDIA H100)"
    assert device_name("cpu") == "cpu"


@pytest.mark.parametrize(
    ("wanted", "device", "instructions", "expected"),
    [
        ("bf16", "cpu", {"avx512_bf16": True}, "bf16"),
        ("bf16", "cpu", {"bf16": True, "architecture": "arm64"}, "bf16"),
        ("bf16", "cpu", {"avx2": True, "avx512_bf16": False}, "fp32"),
        ("bf16", "cuda", {}, "bf16"),
        ("fp32", "cpu", {"avx512_bf16": True}, "fp32"),
    ],
)
def test_bfloat16_is_used_where_there_are_instructions_for_it(
    monkeypatch, caplog, wanted, device, instructions, expected
):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: instructions)
    assert usable_precision(wanted, device) == expected
    assert ("training in fp32" in caplog.text) == (wanted != expected)
