"""On a GPU: latents and scores are those of the processor within a tolerance, and two runs give the
same bytes.
"""

import numpy as np
import pytest
import torch
from sklearn.cluster import KMeans
from sklearn.datasets import load_digits
from sklearn.metrics import normalized_mutual_info_score

from sclatent.common.determinism import make_deterministic
from sclatent.config.models import Training
from sclatent.io.expression import Values
from sclatent.training.encode import encode
from sclatent.training.labelled import TrainingData
from sclatent.training.run import RunSettings, train_run

GPU = "cuda"
pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no GPU"),
]

FAMILIES = {
    "pca": {},
    "ae": {"latent_relu": False},
    "vae": {"beta": 1e-3},
    "vsc": {},
    "gmvae": {"n_components": 10},
}
ROUNDING = (
    1e-3  # of the largest latent: what orders of summation change in encoding with the same weights
)
NMI = (
    0.1  # what a training with other random numbers changes; seeds of one device differ by as much
)


@pytest.fixture(scope="module")
def digits():
    """The 1,797 handwritten digits, scaled to 1, and what they show."""
    images, labels = load_digits(return_X_y=True)
    values = Values(
        (images / 16).astype(np.float32),
        np.arange(len(images)).astype(str),
        np.ones(len(images), dtype=bool),
    )
    return TrainingData(values), labels


def trained_on(device: str, data: TrainingData, family: str, seed: int = 0, epochs: int = 10):
    """Return a model trained on a device."""
    make_deterministic(seed, threads=1)
    hyperparameters = {"latent_dim": 6, **FAMILIES[family]}
    settings = RunSettings(
        family=family,
        hyperparameters=hyperparameters,
        input={},
        training=Training(epochs=epochs),
        share=None,
    )
    return train_run(data, None, settings, device)[0]


@pytest.mark.parametrize("family", FAMILIES)
def test_the_same_weights_give_the_same_latents_as_on_the_processor(digits, family):
    data, _ = digits
    trained = trained_on(GPU, data, family)
    assert trained.model.device.type == GPU
    on_gpu = encode(trained, data.values)["mean"]
    on_processor = encode(trained.to("cpu"), data.values)["mean"]
    np.testing.assert_allclose(on_gpu, on_processor, atol=ROUNDING * np.abs(on_processor).max())


@pytest.mark.parametrize("family", FAMILIES)
def test_two_trainings_on_the_gpu_give_the_same_bytes(digits, family):
    data, _ = digits
    one, other = (trained_on(GPU, data, family).state_dict() for _ in range(2))
    assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("family", ["pca", "ae", "vae"])
def test_scores_are_those_of_the_processor(digits, family):
    data, labels = digits
    scores = {}
    for device in (GPU, "cpu"):
        latents = [
            encode(trained_on(device, data, family, seed, epochs=50), data.values)["mean"]
            for seed in range(3)
        ]
        found = [KMeans(10, n_init=10, random_state=0).fit_predict(latent) for latent in latents]
        scores[device] = np.mean(
            [normalized_mutual_info_score(labels, clusters) for clusters in found]
        )
    assert scores[GPU] == pytest.approx(scores["cpu"], abs=NMI)
