"""Sparse products give what dense ones give, and are taken where they are cheaper."""

import numpy as np
import pytest
import torch
from scipy import sparse

from sclatent.config.models import Training
from sclatent.families.registry import hyperparameters_class
from sclatent.io.expression import Values
from sclatent.models.registry import load_family
from sclatent.nn.layers import Linear
from sclatent.nn.likelihoods import squared_error
from sclatent.nn.linear_error import linear_squared_error
from sclatent.nn.sparse_rows import SparseRows, sparse_linear
from sclatent.training.batches import sparse_pays
from sclatent.training.inputs import Input
from sclatent.training.labelled import TrainingData
from sclatent.training.run import RunSettings, train_run

N, G = 64, 300


@pytest.fixture
def matrix():
    """Cells of which one is empty, and genes of which one is silent."""
    matrix = sparse.random(N, G, density=0.05, format="lil", random_state=0)
    matrix[3] = 0
    matrix[:, 5] = 0
    return matrix.tocsr()


def dense(matrix):
    return torch.from_numpy(matrix.toarray())


def randn(*shape):
    return torch.randn(*shape, dtype=torch.float64, requires_grad=True)


def gradients(output, *of):
    torch.manual_seed(2)
    return torch.autograd.grad(output, of, torch.randn(output.shape, dtype=output.dtype))


@pytest.mark.parametrize("kind", ["dense", "sparse"])
def test_the_squared_error_of_a_linear_layer_is_that_of_its_parts(matrix, kind):
    torch.manual_seed(0)
    h, weight, bias = randn(N, 7), randn(G, 7), randn(G)
    x = dense(matrix)
    expected = squared_error(x, h @ weight.T + bias)
    found = linear_squared_error(h, weight, bias, x if kind == "dense" else SparseRows(matrix))
    torch.testing.assert_close(found, expected)
    for one, other in zip(
        gradients(found, h, weight, bias), gradients(expected, h, weight, bias), strict=True
    ):
        torch.testing.assert_close(one, other)


def test_the_gradient_of_the_squared_error_is_its_numerical_one(matrix):
    torch.manual_seed(0)
    small = matrix[:4, :9].tocsr()
    for x in (dense(small), SparseRows(small)):
        assert torch.autograd.gradcheck(
            lambda *of, x=x: linear_squared_error(*of, x), (randn(4, 3), randn(9, 3), randn(9))
        )


def test_a_linear_layer_takes_sparse_rows(matrix):
    torch.manual_seed(0)
    weight, bias = randn(4, G), randn(4)
    expected = dense(matrix) @ weight.T + bias
    found = sparse_linear(SparseRows(matrix), weight, bias)
    torch.testing.assert_close(found, expected)
    for one, other in zip(
        gradients(found, weight, bias), gradients(expected, weight, bias), strict=True
    ):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("shape", [(G, 4), (4, G)])
def test_a_layer_is_that_of_torch_however_its_weights_lie_in_memory(shape):
    torch.manual_seed(0)
    layer = Linear(*shape)
    torch.manual_seed(0)
    other = torch.nn.Linear(*shape)
    assert torch.equal(layer.weight, other.weight)
    x = torch.randn(5, shape[0])
    torch.testing.assert_close(layer(x), other(x))
    assert layer.weight.t().is_contiguous() == (shape[0] > shape[1])


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize(
    ("family", "hyperparameters"),
    [
        ("ae", {"latent_relu": False}),
        ("vae", {}),
        ("vae", {"likelihood": "sigma_opt", "beta": 1}),
        ("vae", {"likelihood": "sigma_shared"}),
        ("vsc", {"mask": "soft"}),
    ],
)
def test_training_on_sparse_rows_is_training_on_dense_ones(
    matrix, family, hyperparameters, precision, monkeypatch
):
    data = TrainingData(
        Values(matrix.astype(np.float32), np.arange(N).astype(str), np.ones(N, dtype=bool))
    )
    training = Training(epochs=5, batch_size=20, precision=precision, validation=0.2)
    settings = RunSettings(
        family=family,
        hyperparameters=hyperparameters,
        input={},
        training=training,
        share=None,
    )
    losses, chosen = [], []
    for sparse_rows in (True, False):
        choose = lambda *_, choice=sparse_rows: chosen.append(choice) or choice  # noqa: E731
        monkeypatch.setattr("sclatent.training.run.sparse_pays", choose)
        torch.manual_seed(0)
        losses.append([entry["value"] for entry in train_run(data, None, settings)[1]])
    assert chosen == [True, False]
    np.testing.assert_allclose(
        *losses,
        rtol=2e-4 if precision == "fp32" else 0.05,
        atol=1e-3 if precision == "fp32" else 0.5,
    )


def widths_of(family, **hyperparameters):
    return load_family(family)(
        G, G, 0, hyperparameters_class(family)(**hyperparameters)
    ).sparse_widths


def test_only_models_whose_outer_layers_take_sparse_rows_offer_them():
    assert widths_of("ae") == (128, 128)
    assert widths_of("vae", encoder_hidden=[80, 3], decoder_hidden=[]) == (80, 6)
    assert widths_of("vae", likelihood="sigma_opt") == (128, 128)
    for hyperparameters in (
        {"likelihood": "nb"},
        {"likelihood": "gauss_gene"},
        {"output": "relu"},
        {"encoder_hidden": []},
    ):
        assert widths_of("vae", **hyperparameters) is None
    assert widths_of("ae", output="relu") is None
    assert widths_of("gmvae") is None
    conditional = load_family("cvae")(G, G, 2, hyperparameters_class("cvae")())
    assert conditional.sparse_widths is None


def test_sparse_rows_are_taken_where_they_are_cheaper(matrix):
    wide = sparse.random(500, 10_000, density=0.06, format="csr", random_state=0, dtype=np.float32)
    values = Values(wide, np.arange(500), np.ones(500, dtype=bool))
    plain = Input(10_000)
    assert sparse_pays((128, 128), values, plain, 256, "cpu")
    assert not sparse_pays(
        (800, 800), values, plain, 256, "cpu"
    )  # the square of the reconstruction costs more than it
    assert not sparse_pays((128, 128), values, plain, 256, "cuda")
    assert not sparse_pays(None, values, plain, 256, "cpu")
    for module in (
        Input(10_000, scale=True),
        Input(10_000, n_pcs=5),
        Input(10_000, mask=0.5),
        Input(10_000, max_value=1.0),
    ):
        assert not sparse_pays((128, 128), values, module, 256, "cpu")
    full = Values(wide.toarray(), values.cells, values.training)
    assert not sparse_pays((128, 128), full, plain, 256, "cpu")
    dense_enough = sparse.random(
        500, 10_000, density=0.6, format="csr", random_state=0, dtype=np.float32
    )
    assert not sparse_pays(
        (128, 128), Values(dense_enough, values.cells, values.training), plain, 256, "cpu"
    )
