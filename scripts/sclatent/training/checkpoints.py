"""The state of a training on disk. A training resumes from it to the same weights, bit by bit."""

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
    """A file with named tensors, among them the random state, and notes that JSON can hold.

    Nothing is pickled. The path should identify the settings of the training, so that no training
    resumes from the state of another.

    Parameters
    ----------
    path
        Where the file is or will be.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self.warned = False

    def save(self, tensors: dict[str, Tensor], notes: dict) -> None:
        """Write the state, entirely or not at all, with that of torch's random generators.

        If the disk cannot be written to, this warns once, and the training continues: the file is
        only needed after another failure.
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
                    "training goes on, but its state cannot be saved (%s): if it is killed, it "
                    "starts again from the beginning",
                    reason,
                )
            self.warned = True

    def load(self) -> tuple[dict[str, Tensor], dict] | None:
        """Return tensors and notes, and set the random state.

        Returns None if there is no file, or if it is damaged, which this logs as a warning.
        """
        if not self.path.exists():
            return None
        try:
            with safe_open(self.path, framework="pt") as file:
                names = file.keys()
                tensors = {name: file.get_tensor(name) for name in names}
                metadata = file.metadata()
            if _digest(tensors, metadata["notes"]) != metadata["sha256"]:
                raise ValueError("its content is not what was saved")
            notes = json.loads(metadata["notes"])
        except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
            logger.warning(
                "%s is damaged (%s); training starts again from the beginning", self.path, error
            )
            return None
        torch.set_rng_state(tensors.pop("random.cpu"))
        if "random.cuda" in tensors:
            torch.cuda.set_rng_state(tensors.pop("random.cuda"))
        return tensors, notes

    def remove(self) -> None:
        """Remove the file and what killed processes have left of it."""
        remove_leftovers(self.path)
        self.path.unlink(missing_ok=True)


def _digest(tensors: dict[str, Tensor], notes: str) -> str:
    """Return the SHA-256 of notes and of tensors on the CPU with their names."""
    digest = hashlib.sha256(notes.encode())
    for name, value in sorted(tensors.items()):
        digest.update(name.encode())
        digest.update(value.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
