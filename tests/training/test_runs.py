"""From files and settings to a trained model: every entry of the model table, what is learnt from
whom, labels and conditions.
"""

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import torch
from helpers import merged_config
from scipy import sparse
from sklearn import decomposition

from sclatent.common.errors import LeakError, TrainingError, UserError
from sclatent.config.load import load
from sclatent.config.models import Training
from sclatent.families.registry import hyperparameters_class
from sclatent.io.expression import Values, read_genes, read_values
from sclatent.nn.principal_axes import principal_axes
from sclatent.training.batches import CellBatches
from sclatent.training.encode import encode
from sclatent.training.inputs import Input
from sclatent.training.labelled import (
    DataFiles,
    VisibleLabels,
    align,
    read_conditions,
    read_for_run,
    read_training_data,
    without_held_out,
)
from sclatent.training.run import RunSettings, train_run
from sclatent.training.saved import load_trained, save_run

CONFIG = load(merged_config("config/gallery.yaml"))
N, G = 90, 30


@pytest.fixture
def counted():
    """Counts of cells of three types in two conditions, with their logarithms; every fifth cell is
    held out.
    """
    rng = np.random.default_rng(0)
    kind, stim = np.arange(N) % 3, np.arange(N) // 3 % 2
    rates = rng.gamma(1.0, 2.0, (3, G))
    counts = rng.poisson(rates[kind] * np.where(stim[:, None] & (np.arange(G) < 5), 3, 1))
    obs = pd.DataFrame(
        {"cell_type": [f"t{k}" for k in kind], "condition": [f"c{s}" for s in stim]},
        index=[f"cell_{i}" for i in range(N)],
    )
    obs["split"] = np.where(np.arange(N) % 5, "train", "held_out")
    obs = obs.apply(pd.Categorical)
    adata = ad.AnnData(obs=obs, var=pd.DataFrame(index=[f"g{i}" for i in range(G)]))
    adata.layers["counts"] = sparse.csr_matrix(counts.astype(np.int32))
    adata.X = sparse.csr_matrix(
        np.log1p(counts / counts.sum(1, keepdims=True) * 1e4).astype(np.float32)
    )
    return adata


@pytest.fixture
def path(counted, tmp_path):
    counted.write_h5ad(tmp_path / "preprocessed.h5ad")
    return tmp_path / "preprocessed.h5ad"


def settings_of(name) -> dict:
    """The settings of an entry of the model table, with a training that is cut to one epoch of each
    objective.
    """
    model = CONFIG.models[name]
    objectives = dict.fromkeys(phase.objective for phase in model.training.phases)
    phases = [
        {"epochs": 1, "learning_rate": 1e-3, "weight_decay": 0.0, "objective": objective}
        for objective in objectives
    ]
    share = model.supervision.share if model.supervision else None
    return {
        "family": model.family,
        "hyperparameters": model.hyperparameters.model_dump(),
        "input": model.input.model_dump(),
        "training": model.training.model_dump() | {"phases": phases},
        "share": share,
    }


@pytest.mark.parametrize("name", CONFIG.models)
def test_every_model_of_the_table_trains_and_encodes(name, counted, tmp_path):
    torch.manual_seed(0)
    model, settings = CONFIG.models[name], settings_of(name)
    family = hyperparameters_class(model.family)
    if settings["input"]["n_pcs"]:
        settings["input"]["n_pcs"] = 8
    if model.family == "pca":
        settings["hyperparameters"]["latent_dim"] = (
            6  # one has more components than there are genes
        )
    if getattr(model.hyperparameters, "likelihood", None) == "bernoulli":
        counted.X = (counted.X / counted.X.max()).astype(np.float32)
    path = tmp_path / "preprocessed.h5ad"
    counted.write_h5ad(path)
    column = model.condition if family.conditional else None
    labels = {"labels": "cell_type"} if model.supervision else {}
    data = read_training_data(path, path, column, counts=model.explains_counts, **labels)
    trained, history = train_run(
        data, data if labels else None, RunSettings.model_validate(settings)
    )
    assert np.isfinite([entry["value"] for entry in history]).all()
    values = read_values(path)
    condition = read_conditions(path, column, values.cells, data.conditions)[0] if column else None
    torch.manual_seed(1)
    latents = encode(trained, values, condition)
    record = {
        **settings,
        "n_vars": data.values.n_vars,
        "n_counts": trained.n_counts,
        "conditions": data.conditions,
    }
    save_run(trained, tmp_path / "w.safetensors", tmp_path / "run.json", record, "", {})
    reloaded = load_trained(tmp_path / "w.safetensors", tmp_path / "run.json")
    torch.manual_seed(1)
    again = encode(reloaded, values, condition)
    assert all(np.array_equal(again[name], latent) for name, latent in latents.items())
    assert latents["mean"].shape == (N, settings["hyperparameters"]["latent_dim"])
    assert ("responsibilities" in latents) == family.mixture


def run_settings(**changes) -> RunSettings:
    """Settings of a short training of a small mixture."""
    training = {"epochs": 2, **changes.pop("training", {})}
    settings = {
        "family": "gmvae",
        "hyperparameters": {"n_components": 3},
        "input": {},
        "share": 1.0,
        **changes,
    }
    return RunSettings(**settings, training=Training(**training))


def weights_of(data, labelled=None, **changes) -> dict:
    torch.manual_seed(0)
    return train_run(data, labelled, run_settings(**changes))[0].state_dict()


def same(one, other) -> bool:
    return all(torch.equal(one[name], other[name]) for name in one)


def test_training_reads_training_cells_alone_and_no_label_unasked(path):
    data = read_training_data(path, path)
    assert len(data.values.cells) == 72
    assert (data.condition, data.label, data.values.counts) == (None, None, None)
    told = read_training_data(path, path, "condition", counts=True, labels="cell_type")
    assert told.conditions == ("c0", "c1")
    assert told.classes == ("t0", "t1", "t2")
    cells = [int(name.removeprefix("cell_")) for name in told.values.cells]
    assert told.label.tolist() == [i % 3 for i in cells]
    assert told.condition.argmax(1).tolist() == [i // 3 % 2 for i in cells]
    assert told.values.counts.shape == (72, G)


def test_labels_change_nothing_where_a_model_is_not_told_them(path, counted, tmp_path):
    plain = weights_of(read_training_data(path, path))
    counted.obs["cell_type"] = pd.Categorical(["other"] * N)
    counted.obs["condition"] = pd.Categorical(["one"] * N)
    counted.write_h5ad(tmp_path / "b.h5ad")
    assert same(plain, weights_of(read_training_data(tmp_path / "b.h5ad", tmp_path / "b.h5ad")))


def test_cells_held_out_change_nothing_of_what_a_run_learns(path, counted, tmp_path):
    """Means, deviations and principal axes included."""
    changes = {
        "input": {"scale": True, "n_pcs": 5, "mask": 0.5, "max_value": 3.0},
        "training": {"validation": 0.2, "patience": 1},
    }
    plain = weights_of(read_training_data(path, path), **changes)
    x = counted.X.toarray()
    x[(counted.obs["split"] == "held_out").to_numpy()] += 7
    counted.X = sparse.csr_matrix(x)
    counted.write_h5ad(tmp_path / "b.h5ad")
    assert same(
        plain, weights_of(read_training_data(tmp_path / "b.h5ad", tmp_path / "b.h5ad"), **changes)
    )


def test_only_the_asked_share_of_labels_is_seen(path):
    data = read_training_data(path, path, labels="cell_type")
    semi = {"training": {"objective": "semi_supervised"}}
    few = weights_of(data, data, share=0.1, **semi)
    assert not same(few, weights_of(data, data, share=1.0, **semi))
    seen = []
    original = train_run.__globals__["_cells"]

    def watched(data, *arguments, **keep):
        seen.append(None if data.label is None else len(data.label))
        return original(data, *arguments, **keep)

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(train_run.__globals__, "_cells", watched)
        weights_of(data, data, share=0.1, **semi)
    assert seen == [None, 7]


def test_models_of_a_seed_see_the_labels_of_the_same_cells(path):
    data = read_training_data(path, path, labels="cell_type")
    shown = []
    original = train_run.__globals__["_cells"]

    def watched(data, *arguments, **keep):
        shown.extend([] if data.label is None else [list(data.values.cells)])
        return original(data, *arguments, **keep)

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(train_run.__globals__, "_cells", watched)
        for hyperparameters in (
            {"n_components": 3},
            {"n_components": 5, "encoder_hidden": [7], "xavier": True},
        ):
            changes = {
                "hyperparameters": hyperparameters,
                "training": {"objective": "semi_supervised"},
            }
            weights_of(data, data, share=0.1, **changes)
    assert shown[0] == shown[1]
    assert len(shown[0]) == 7


def test_validation_cells_are_not_trained_on_and_their_labels_not_seen(path):
    data = read_training_data(path, path, labels="cell_type")
    counts = []
    original = train_run.__globals__["_cells"]

    def watched(data, *arguments, **keep):
        counts.append(set(data.values.cells))
        return original(data, *arguments, **keep)

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(train_run.__globals__, "_cells", watched)
        weights_of(data, data, training={"objective": "semi_supervised", "validation": 0.25})
    trained_on, watched_cells, labelled = counts
    assert (len(trained_on), len(watched_cells), len(labelled)) == (54, 18, 54)
    assert not trained_on & watched_cells
    assert labelled == trained_on


def test_more_classes_than_components_are_refused(path):
    data = read_training_data(path, path, labels="cell_type")
    with pytest.raises(
        UserError, match="n_components is 2, but the labels have 3 classes; raise it"
    ):
        weights_of(
            data, data, hyperparameters={"n_components": 2}, training={"objective": "supervised"}
        )


def test_values_that_a_likelihood_does_not_have_are_refused(path):
    with pytest.raises(
        UserError, match="bernoulli needs values from 0 to 1, but models see them from 0 to"
    ):
        weights_of(read_training_data(path, path), hyperparameters={"likelihood": "bernoulli"})


def test_likelihoods_of_counts_need_counts(counted, tmp_path):
    del counted.layers["counts"]
    counted.write_h5ad(tmp_path / "x.h5ad")
    with pytest.raises(UserError, match="has no counts, which likelihoods of counts need"):
        read_training_data(tmp_path / "x.h5ad", tmp_path / "x.h5ad", counts=True)


def test_the_library_of_counts_is_the_median_of_training_cells(path):
    data = read_training_data(path, path, counts=True)
    trained, _ = train_run(data, None, run_settings(hyperparameters={"likelihood": "nb"}))
    assert trained.model.likelihood.library.item() == np.median(data.values.counts.toarray().sum(1))
    assert trained.model.n_vars == G


def test_a_condition_that_a_model_does_not_know_is_refused(path):
    with pytest.raises(
        UserError, match="condition 'c1' is none that the model knows, which are c0, cx"
    ):
        read_conditions(path, "condition", read_values(path).cells, ("c0", "cx"))
    with pytest.raises(UserError, match="has no batch, which the model needs"):
        read_conditions(path, "batch", read_values(path).cells)
    cells = read_values(path).cells[:6]
    one_hot, names = read_conditions(path, "condition", cells, ("cx", "c1", "c0"))
    assert names == ("cx", "c1", "c0")
    assert one_hot.tolist() == [[0, 0, 1]] * 3 + [[0, 1, 0]] * 3


def test_labelled_cells_of_another_data_set_are_brought_to_the_same_genes(path, counted, tmp_path):
    """Other genes in another order, of which some are shared; the shared ones alone are learnt
    from.
    """
    other = counted[:, [3, 29, 7, 0]].copy()
    other.var_names = ["g3", "elsewhere", "g7", "g0"]
    other.write_h5ad(tmp_path / "other.h5ad")
    genes = read_genes(path)
    data = read_training_data(path, path)
    labelled = read_training_data(
        tmp_path / "other.h5ad", tmp_path / "other.h5ad", labels="cell_type"
    )
    aligned = align(labelled, read_genes(tmp_path / "other.h5ad"), genes)
    assert aligned.genes.tolist() == [0, 3, 7]
    expected = np.zeros((72, G), dtype=np.float32)
    expected[:, [0, 3, 7]] = data.values.dense()[:, [0, 3, 7]]
    np.testing.assert_array_equal(aligned.values.dense(), expected)
    weights = weights_of(
        data,
        aligned,
        training={"phases": [{"objective": "supervised"}, {"objective": "semi_supervised"}]},
    )
    assert weights["input.genes"].tolist() == [0, 3, 7]
    assert weights["model.encoder.0.weight"].shape[1] == 3
    counting = {
        "hyperparameters": {"likelihood": "nb", "n_components": 3},
        "training": {"objective": "semi_supervised"},
    }
    data = read_training_data(path, path, counts=True)
    labelled = read_training_data(
        tmp_path / "other.h5ad", tmp_path / "other.h5ad", counts=True, labels="cell_type"
    )
    aligned = align(labelled, read_genes(tmp_path / "other.h5ad"), genes)
    trained, _ = train_run(data, aligned, run_settings(**counting))
    assert (trained.n_counts, trained.model.n_vars) == (3, 3)
    assert trained.model.likelihood.library.item() == np.median(
        data.values.counts[:, [0, 3, 7]].toarray().sum(1)
    )
    with pytest.raises(UserError, match="no gene named as in this one: g3, h0"):
        align(labelled, read_genes(tmp_path / "other.h5ad"), np.array([f"h{i}" for i in range(G)]))


def test_a_run_sees_the_labels_of_its_own_or_of_another_data_set(path, counted, tmp_path):
    other_path = tmp_path / "other.h5ad"
    other = counted[::-1, [3, 7]].copy()
    other.obs["split"] = pd.Categorical(["train"] * N)
    other.write_h5ad(other_path)
    own = DataFiles(path, path)

    data, labelled = read_for_run(own, VisibleLabels("condition", None, None), "mine", False)
    assert labelled is None
    assert data.label is None
    assert data.conditions == ("c0", "c1")

    data, labelled = read_for_run(own, VisibleLabels(None, "cell_type", "mine"), "mine", False)
    assert labelled is data
    assert data.classes == ("t0", "t1", "t2")
    assert data.condition is None

    both = own._replace(labelled=other_path, labelled_split=other_path)
    data, labelled = read_for_run(both, VisibleLabels(None, "cell_type", "other"), "mine", False)
    assert data.label is None
    assert labelled.classes == ("t0", "t1", "t2")
    assert labelled.genes.tolist() == [3, 7]
    assert set(labelled.values.cells) == set(data.values.cells)  # none that is held out here


def test_a_cell_drawn_repeatedly_is_watched_or_trained_on_but_not_both(path):
    data = read_training_data(path, path, labels="cell_type")
    repeated = data.take(torch.arange(72).repeat(5))
    seen = []
    original = train_run.__globals__["_cells"]

    def watched(data, *arguments, **keep):
        seen.append(data.values.cells)
        return original(data, *arguments, **keep)

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(train_run.__globals__, "_cells", watched)
        weights_of(
            repeated,
            repeated,
            share=0.5,
            training={"objective": "semi_supervised", "validation": 0.25},
        )
    trained_on, watched_cells, labelled = seen
    assert (len(trained_on), len(watched_cells), len(labelled)) == (270, 90, 135)
    assert not set(trained_on) & set(watched_cells)
    assert len(set(labelled)) == 27


def test_labelled_cells_of_another_data_set_that_are_held_out_here_are_left_out(
    path, counted, tmp_path, caplog
):
    counted.obs["split"] = pd.Categorical(["train"] * N, categories=["train", "held_out"])
    counted.write_h5ad(tmp_path / "other.h5ad")
    other = read_training_data(tmp_path / "other.h5ad", tmp_path / "other.h5ad", labels="cell_type")
    left = without_held_out(other, path)
    assert set(left.values.cells) == set(read_training_data(path, path).values.cells)
    assert "18 labelled cells are held out here" in caplog.text


def test_a_share_of_validation_that_leaves_no_cell_is_refused(path):
    for share in (0.001, 0.999):
        with pytest.raises(UserError, match=r"validation: .* of 72 cells to watch"):
            weights_of(
                read_training_data(path, path), training={"validation": share, "patience": 1}
            )


def test_pca_takes_any_settings_of_training(path):
    settings = run_settings(
        family="pca",
        hyperparameters={"latent_dim": 2},
        training={"precision": "bf16", "validation": 0.2},
    )
    _, history = train_run(read_training_data(path, path), None, settings)
    assert [entry["split"] for entry in history] == ["train", "validation"]


def test_decoding_ends_in_the_values_of_the_data(path):
    data = read_training_data(path, path)
    x = torch.from_numpy(data.values.dense())
    settings = run_settings(
        family="pca", hyperparameters={"latent_dim": 24}, input={"scale": True, "n_pcs": 25}
    )
    trained, _ = train_run(data, None, settings)
    assert (
        trained.normalised(trained.model.decode(trained.encode(x).mean), x.sum()) - x
    ).square().mean() < 0.06 * x.var()


def test_a_leak_stops_a_run(path, counted, tmp_path):
    counted.obs["split"] = pd.Categorical(["train"] * N, categories=["train", "held_out"])
    counted.write_h5ad(tmp_path / "leaky.h5ad")
    with pytest.raises(LeakError, match="18 cells held out reached training"):
        read_training_data(tmp_path / "leaky.h5ad", path)


# ---- inputs and cells


def values_of(x) -> Values:
    return Values(sparse.csr_matrix(x), np.arange(len(x)).astype(str), np.ones(len(x), dtype=bool))


@pytest.fixture
def x():
    return np.random.default_rng(1).gamma(0.5, 2.0, (50, 12)).astype(np.float32)


def test_scaled_values_are_z_scores_clipped(x):
    x[:, 4] = 3.0
    module = Input(12, scale=True, max_value=1.5)
    module.fit(values_of(x))
    expected = (x - x.mean(0)) / np.where(np.arange(12) == 4, 1, x.std(0, ddof=1))
    np.testing.assert_allclose(module(torch.from_numpy(x)), np.clip(expected, -1.5, 1.5), atol=1e-5)
    within = np.abs(expected) < 1.5
    np.testing.assert_allclose(
        module.inverse(module(torch.from_numpy(x)))[within], x[within], atol=1e-5
    )


def test_principal_components_are_those_of_scikit_learn(x, monkeypatch):
    reference = decomposition.PCA(4).fit(x)
    for limit in (10**9, 0):  # whole, and by the covariance
        monkeypatch.setattr("sclatent.nn.principal_axes.LARGE", limit)
        module = Input(12, n_pcs=4)
        module.fit(values_of(x))
        seen = module(torch.from_numpy(x))
        np.testing.assert_allclose(seen.abs().numpy(), np.abs(reference.transform(x)), atol=1e-4)
        np.testing.assert_allclose(
            module.inverse(seen).numpy(),
            reference.inverse_transform(reference.transform(x)),
            atol=1e-4,
        )
    with pytest.raises(TrainingError, match="12 principal components must be below 12 for data of"):
        principal_axes(lambda rows: torch.from_numpy(x[rows]), 50, 12)


def test_a_mask_hides_its_share_of_genes_and_keeps_the_mean(x):
    torch.manual_seed(0)
    ones = torch.ones(2000, 12)
    masked = Input(12, mask=0.7).masked(ones)
    assert (masked == 0).float().mean().item() == pytest.approx(0.7, abs=0.01)
    assert masked.mean().item() == pytest.approx(1.0, abs=0.05)
    assert masked.unique().tolist() == pytest.approx([0, 1 / 0.3])


@pytest.mark.parametrize(
    "settings",
    [{}, {"scale": True, "max_value": 2.0}, {"n_pcs": 3}, {"scale": True, "n_pcs": 3, "mask": 0.5}],
)
def test_batches_are_the_same_whether_kept_dense_or_made_from_sparse_rows(x, settings, monkeypatch):
    values = Values(
        sparse.csr_matrix(x),
        np.arange(50).astype(str),
        np.ones(50, dtype=bool),
        counts=sparse.csr_matrix(np.rint(x)),
    )
    module = Input(12, **settings)
    module.fit(values)
    rows = torch.tensor([7, 3, 49])
    batches = []
    for limit in (10**9, 0):
        monkeypatch.setattr("sclatent.training.batches.DENSE", limit)
        cells = CellBatches(values, module, condition=torch.eye(50), label=torch.arange(50))
        assert (cells.kept is None) == (limit == 0)
        torch.manual_seed(0)
        batches.append(cells.batch(rows))
    for one, other in zip(*batches, strict=True):
        torch.testing.assert_close(one, other)
    assert torch.equal(batches[0].x, torch.from_numpy(np.rint(x[rows])))
    assert batches[0].label.tolist() == [7, 3, 49]


def test_the_mask_hides_genes_from_the_encoder_only(x):
    module = Input(12, mask=0.5)
    cells = CellBatches(values_of(x), module)
    batch, whole = cells.batch(torch.arange(50)), cells.batch(torch.arange(50), masked=False)
    assert torch.equal(batch.x, torch.from_numpy(x))
    assert not torch.equal(batch.seen, batch.x)
    assert torch.equal(whole.seen, whole.x)
