"""The state of a training on disk, from which it goes on to the same weights, bit by bit, as if it had never stopped."""

import hashlib
import json
import logging
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from sclatent.common.errors import UserError
from sclatent.io.atomic import remove_leftovers, replacing

logger = logging.getLogger(__name__)


class Checkpoint:
    """One file: tensors by name, among them the random state, and notes that JSON can hold. Nothing is ever pickled.

    The path should name the settings of the training, so that none goes on from the state of another.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self.warned = False

    def save(self, tensors: dict[str, Tensor], notes: dict) -> None:
        """Write the state, whole or not at all; the state of torch's random generators goes with it.

        A disk that cannot be written to is said once and stops no training: the file is there in case of another fault.
        """
        random = {"random.cpu": torch.get_rng_state()}
        if torch.cuda.is_initialized():
            random["random.cuda"] = torch.cuda.get_rng_state()
        contents = {
            name: value.detach().cpu().contiguous() for name, value in (tensors | random).items()
        }
        text = json.dumps(notes)
        content = save(contents, metadata={"notes": text, "sha256": _digest(contents, text)})
        try:
            with replacing(self.path) as temporary:
                temporary.write_bytes(content)
        except (UserError, OSError) as error:
            if not self.warned:
                reason = error.__cause__ or error
                logger.warning(
                    "training goes on, but its state cannot be saved (%s): if it is killed, it begins anew",
                    reason,
                )
            self.warned = True

    def load(self) -> tuple[dict[str, Tensor], dict] | None:
        """Return tensors and notes and set the random state, or return None where there is no checkpoint or it is damaged."""
        if not self.path.exists():
            return None
        try:
            with safe_open(self.path, framework="pt") as file:
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118, it is no mapping
                metadata = file.metadata()
            if _digest(tensors, metadata["notes"]) != metadata["sha256"]:
                raise ValueError("its content is not what was saved")
            notes = json.loads(metadata["notes"])
        except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
            logger.warning("%s is damaged (%s); training begins anew", self.path, error)
            return None
        torch.set_rng_state(tensors.pop("random.cpu"))
        if "random.cuda" in tensors:
            torch.cuda.set_rng_state(tensors.pop("random.cuda"))
        return tensors, notes

    def remove(self) -> None:
        """Remove the file, once what it was for is done, and what a killed process has left of one."""
        remove_leftovers(self.path)
        self.path.unlink(missing_ok=True)


def _digest(tensors: dict[str, Tensor], notes: str) -> str:
    """Return the SHA-256 of notes and of tensors on the CPU with their names."""
    digest = hashlib.sha256(notes.encode())
    for name, value in sorted(tensors.items()):
        digest.update(name.encode())
        digest.update(value.reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()
