"""The trainer: what it minimises, in which order, how it stops, and that it goes on from a
checkpoint as if nothing had been.
"""

import subprocess
import sys

import numpy as np
import pytest
import torch
from helpers import PROJECT
from scipy import sparse

from sclatent.common.errors import TrainingError, UserError
from sclatent.config.models import Training
from sclatent.families.registry import family_names, hyperparameters_class
from sclatent.io.expression import Values
from sclatent.models.registry import load_family
from sclatent.nn.adam import Adam
from sclatent.training import loop as training
from sclatent.training.batches import CellBatches
from sclatent.training.checkpoints import Checkpoint
from sclatent.training.encode import encode
from sclatent.training.failures import or_reason
from sclatent.training.inputs import Input
from sclatent.training.loop import train
from sclatent.training.model_with_input import ModelWithInput

N, G = 61, 20  # of which one cell is left over in batches of 20


@pytest.fixture
def values():
    """Normalised values of cells with three directions of variation."""
    torch.manual_seed(0)
    x = torch.randn(N, 3) @ torch.randn(3, G) + 0.1 * torch.randn(N, G)
    return Values(
        sparse.csr_matrix(x.numpy()),
        np.array([f"cell_{i}" for i in range(N)]),
        np.ones(N, dtype=bool),
    )


def settings(**changes) -> Training:
    """Settings of a training with every phase written out."""
    return Training(**{"epochs": 3, "batch_size": 20, **changes})


def build(family, **hyperparameters):
    torch.manual_seed(1)
    return load_family(family)(G, G, 0, hyperparameters_class(family)(**hyperparameters))


def cells_of(values, **kwargs):
    return CellBatches(values, Input(values.n_vars), **kwargs)


def losses(history, split="train", part="loss"):
    return [
        entry["value"] for entry in history if entry["split"] == split and entry["part"] == part
    ]


UNCONDITIONAL = [name for name in family_names() if not hyperparameters_class(name).conditional]


@pytest.mark.parametrize(
    "family", [name for name in UNCONDITIONAL if not hyperparameters_class(name).closed_form]
)
def test_training_lowers_the_loss_and_repeats_exactly(family, values):
    histories, weights = [], []
    for _ in range(2):
        model = build(family, latent_dim=3)
        histories.append(train(model, cells_of(values), settings(epochs=60, learning_rate=3e-3)))
        weights.append(model.state_dict())
    assert losses(histories[0])[-1] < 0.7 * losses(histories[0])[0]
    assert histories[0] == histories[1]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_a_closed_form_model_is_fitted_and_has_a_history_of_one_epoch(values):
    model = build("pca", latent_dim=3)
    history = train(model, cells_of(values), settings())
    assert [(entry["epoch"], entry["split"], entry["part"]) for entry in history] == [
        (1, "train", "loss")
    ]
    assert losses(history)[0] < 1


def test_a_batch_of_one_cell_is_joined_to_the_one_before(values):
    seen = []
    model = build("ae")
    loss = model.loss
    model.loss = lambda batch, progress: (seen.append(len(batch.x)), loss(batch, progress))[1]
    train(model, cells_of(values), settings(epochs=1))
    assert seen == [20, 20, 21]


def test_every_cell_is_seen_once_an_epoch_in_a_new_order(values):
    seen = []
    model = build("ae")
    loss = model.loss
    model.loss = lambda batch, progress: (
        seen.append(batch.x[:, 0].clone()),
        loss(batch, progress),
    )[1]
    train(model, cells_of(values), settings(epochs=2))
    first, second = torch.cat(seen[:3]), torch.cat(seen[3:])
    assert torch.equal(first.sort().values, torch.from_numpy(values.dense()[:, 0]).sort().values)
    assert torch.equal(first.sort().values, second.sort().values)
    assert not torch.equal(first, second)


def test_a_loss_that_is_not_finite_stops_training_and_says_where(values):
    values.x.data[40 * G] = np.nan
    with pytest.raises(
        TrainingError, match=r"loss part 'reconstruction' is nan in epoch 1, step \d"
    ):
        train(build("vae"), cells_of(values), settings())


def test_a_loss_that_grows_out_of_all_proportion_stops_training(values):
    model = build("ae")
    loss, epochs = model.loss, []

    def growing(batch, progress):
        epochs.append(None)
        return {
            name: part * 30 ** (len(epochs) // 3) for name, part in loss(batch, progress).items()
        }

    model.loss = growing
    with pytest.raises(TrainingError, match=r"the loss diverged: .* in epoch 4, .* in the first"):
        train(model, cells_of(values), settings(epochs=9))


def watch_steps(monkeypatch, watch):
    """Call watch(optimiser, step size) before every step of a training."""
    step = Adam.step
    monkeypatch.setattr(Adam, "step", lambda self, rate: (watch(self, rate), step(self, rate))[1])


def rates_of(values, monkeypatch, **changes):
    """Return the step size of every step of a training."""
    rates = []
    watch_steps(monkeypatch, lambda optimizer, rate: rates.append(rate))
    train(build("ae"), cells_of(values), settings(**changes))
    return rates


def test_the_step_size_rises_and_falls_as_a_cosine_in_each_phase(values, monkeypatch):
    phases = [{}, {"learning_rate": 2e-3}]
    rates = rates_of(values, monkeypatch, epochs=10, phases=phases, schedule="cosine", warmup=0.2)
    first, second = rates[:30], rates[30:]
    assert np.argmax(first) == 5
    assert max(first) == pytest.approx(1e-3)
    assert np.all(np.diff(first[:6]) > 0)
    assert np.all(np.diff(first[5:]) < 0)
    assert first[-1] == pytest.approx(1e-5)
    np.testing.assert_allclose(second, 2 * np.array(first))


def test_the_step_size_of_a_constant_schedule_does_not_change(values, monkeypatch):
    assert set(rates_of(values, monkeypatch, learning_rate=2e-3)) == {2e-3}


def test_each_phase_begins_with_a_new_optimiser(values):
    """Two phases of one epoch differ from one phase of two, and each phase alone repeats what the
    phase does.
    """
    results = []
    for changes in ({"epochs": 2}, {"epochs": 1, "phases": [{}, {}]}):
        model = build("ae")
        history = train(model, cells_of(values), settings(**changes))
        results.append((losses(history), next(model.parameters()).clone()))
    assert results[0][0][0] == results[1][0][0]
    assert not torch.equal(results[0][1], results[1][1])
    assert len(results[1][0]) == 2


def test_gradients_are_clipped(values, monkeypatch):
    norms = []

    def watch(optimizer, rate):
        norms.append(
            torch.nn.utils.get_total_norm(
                [parameter.grad for parameter in optimizer.parameters]
            ).item()
        )

    watch_steps(monkeypatch, watch)
    train(build("ae"), cells_of(values), settings(clip_norm=0.5))
    assert max(norms) == pytest.approx(0.5, rel=1e-4)


@pytest.mark.parametrize(("decoupled", "weight_decay"), [(False, 0.0), (False, 0.1), (True, 0.1)])
def test_steps_are_those_of_torch(decoupled, weight_decay):
    torch.manual_seed(0)
    start = [torch.randn(5, 3).t(), torch.randn(4), torch.randn(2)]
    ours, theirs = ([torch.nn.Parameter(value.clone()) for value in start] for _ in range(2))
    optimizer = Adam(ours, weight_decay, decoupled)
    reference = (torch.optim.AdamW if decoupled else torch.optim.Adam)(
        theirs, lr=0.1, weight_decay=weight_decay
    )
    for _ in range(5):
        for parameters in (ours, theirs):
            (
                parameters[0].square().sum() + (parameters[1] ** 3).sum()
            ).backward()  # the last has no gradient
        optimizer.step(0.1)
        reference.step()
        reference.zero_grad()
        assert [parameter.grad for parameter in ours] == [None] * 3
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other)


def test_a_step_does_not_import_the_compiler():
    """It takes two seconds, which is more than many a training."""
    code = """
import sys
import torch
from sclatent.nn.adam import Adam

parameter = torch.nn.Parameter(torch.ones(3))
parameter.sum().backward()
Adam([parameter], 0.0, decoupled=False).step(0.1)
sys.exit("torch._dynamo" in sys.modules)
"""
    assert (
        subprocess.run(
            [sys.executable, "-c", code], cwd=PROJECT / "scripts", check=False
        ).returncode
        == 0
    )


def test_weight_decay_of_adamw_shrinks_weights(values):
    sizes = []
    for decay in (0.0, 1.0):
        model = build("ae")
        train(model, cells_of(values), settings(epochs=30, optimizer="adamw", weight_decay=decay))
        sizes.append(sum(parameter.square().sum().item() for parameter in model.parameters()))
    assert sizes[1] < sizes[0]


def test_early_stopping_keeps_the_weights_of_the_lowest_loss_on_validation_cells(values):
    rows = np.arange(N)
    few, others = (
        values.take(rows[:8]),
        values.take(rows[8:]),
    )  # so few that they are learnt by heart
    model = build("ae", latent_dim=6, latent_relu=False, encoder_hidden=[64], decoder_hidden=[64])
    history = train(
        model,
        cells_of(few),
        settings(epochs=400, learning_rate=1e-2, patience=20, validation=0.1),
        None,
        cells_of(others),
    )
    watched = losses(history, "validation")
    assert len(watched) == np.argmin(watched) + 21 < 400
    assert training.mean_loss(model, "unsupervised", cells_of(others))["loss"] == min(watched)
    assert watched[-1] > min(watched)


def test_early_stopping_waits_for_the_warmup(values):
    model = build("vae", warmup=0.5)
    rows = np.arange(N)
    course = settings(epochs=10, patience=2, validation=0.3, learning_rate=1e-9)
    cells, others = cells_of(values.take(rows[:40])), cells_of(values.take(rows[40:]))
    values_seen = iter(range(100))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            training, "mean_loss", lambda *_: {"loss": float(next(values_seen))}
        )  # ever worse
        history = train(model, cells, course, None, others)
    assert (
        len(losses(history)) == 7
    )  # 4 while the weight of the divergence rises, then the best, then 2


def test_a_validation_loss_that_is_not_finite_stops_training(values):
    rows = np.arange(N)
    others = values.take(rows[40:])
    others.x.data[:] = np.nan
    with pytest.raises(TrainingError, match="the loss of validation cells is nan in epoch 1"):
        train(build("ae"), cells_of(values.take(rows[:40])), settings(), None, cells_of(others))


def test_validation_cells_do_not_touch_the_weights(values):
    """Families without randomness give the same weights whether cells are watched or not."""
    rows = np.arange(N)
    weights = []
    for validation in (None, cells_of(values.take(rows[40:]))):
        model = build("ae")
        train(model, cells_of(values.take(rows[:40])), settings(), None, validation)
        weights.append(next(model.parameters()).clone())
    assert torch.equal(*weights)


def test_bfloat16_is_close_to_float32_and_leaves_float32_weights(values):
    means = []
    for precision, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        model = build("vae", latent_dim=3)
        history = train(
            model, cells_of(values, dtype=dtype), settings(epochs=40, precision=precision)
        )
        assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
        means.append(losses(history)[-1])
    assert means[0] != means[1]
    assert means[1] == pytest.approx(means[0], rel=0.05)


def labelled(values):
    label = torch.arange(N) % 3
    return CellBatches(values, Input(G), label=label)


def test_supervised_phases_see_labelled_cells_alone(values):
    model = build("gmvae", n_components=3)
    history = train(
        model,
        cells_of(values),
        settings(objective="supervised"),
        labelled(values.take(np.arange(10))),
    )
    other = build("gmvae", n_components=3)
    assert len(losses(history)) == 3
    values.x.data[10 * G :] += 5
    again = train(
        other,
        cells_of(values),
        settings(objective="supervised"),
        labelled(values.take(np.arange(10))),
    )
    assert history == again


def test_semi_supervised_steps_add_the_losses_of_labelled_and_all_cells(values):
    model = build("gmvae", n_components=3)
    history = train(
        model,
        cells_of(values),
        settings(objective="semi_supervised"),
        labelled(values.take(np.arange(10))),
    )
    of_all, of_labelled = (
        losses(history, part="reconstruction"),
        losses(history, part="labelled_reconstruction"),
    )
    assert len(of_all) == len(of_labelled) == 3
    assert losses(history)[0] > losses(history, part="labelled_loss")[0] > 0


def test_components_are_placed_after_pretraining(values):
    placed = []
    model = build("gmvae", n_components=3)
    place = model.place_components
    model.place_components = lambda *arguments: (
        placed.append([len(part) for part in arguments if part is not None]),
        place(*arguments),
    )
    history = train(model, cells_of(values), settings(phases=[{"objective": "pretraining"}, {}]))
    assert placed == [[N, N]]
    assert len(losses(history, part="kl_y")) == 3  # of the second phase alone


def test_progress_counts_pretraining_and_training_apart(values):
    seen = []
    model = build("gmvae", n_components=3)
    for name in ("loss", "pretraining_loss"):
        function = getattr(model, name)
        setattr(
            model,
            name,
            lambda batch, progress, name=name, function=function: (
                seen.append((name, progress)),
                function(batch, progress),
            )[1],
        )
    train(
        model,
        cells_of(values),
        settings(epochs=2, phases=[{"objective": "pretraining"}, {}, {"learning_rate": 1e-4}]),
    )
    pretraining = [progress for name, progress in seen if name == "pretraining_loss"]
    main = [progress for name, progress in seen if name == "loss"]
    np.testing.assert_allclose(pretraining, np.arange(6) / 6)
    np.testing.assert_allclose(main, np.arange(12) / 12)


def test_a_model_that_raises_is_a_failed_run_with_its_reason(values):
    def step():
        raise ValueError("two\nlines")

    assert or_reason(lambda: 3) == (3, "")
    assert or_reason(step) == (None, "ValueError: two lines")
    _, reason = or_reason(lambda: train(build("pca", latent_dim=20), cells_of(values), settings()))
    assert reason == "20 principal components must be below 20 for data of (61, 20)"


@pytest.mark.parametrize("error", [UserError, MemoryError, OSError, ImportError])
def test_what_is_not_the_model_s_fault_fails_the_job(error):
    def step():
        raise error("why")

    with pytest.raises(error):
        or_reason(step)


# ---- checkpoints


def test_a_checkpoint_brings_back_tensors_notes_and_the_random_state(tmp_path):
    checkpoint = Checkpoint(tmp_path / "deep" / "state.safetensors")
    assert checkpoint.load() is None
    torch.manual_seed(3)
    checkpoint.save({"a": torch.arange(3)}, {"epoch": 2, "history": [{"value": 0.1}]})
    expected = torch.rand(4)
    torch.manual_seed(9)
    tensors, notes = checkpoint.load()
    assert torch.equal(torch.rand(4), expected)
    assert list(tensors) == ["a"]
    assert torch.equal(tensors["a"], torch.arange(3))
    assert notes == {"epoch": 2, "history": [{"value": 0.1}]}
    checkpoint.remove()
    assert checkpoint.load() is None


@pytest.mark.parametrize(
    "damaged",
    [
        lambda content: b"",
        lambda content: b"garbage" * 100,
        lambda content: content[:-100],
        lambda content: content[:-1] + bytes([content[-1] ^ 1]),
        lambda content: content.replace(b"epoch", b"epocs"),
    ],
)
def test_a_damaged_checkpoint_is_passed_over_with_a_warning(tmp_path, damaged, caplog):
    checkpoint = Checkpoint(tmp_path / "state.safetensors")
    checkpoint.save({"a": torch.arange(1000)}, {"epoch": 2})
    checkpoint.path.write_bytes(damaged(checkpoint.path.read_bytes()))
    assert checkpoint.load() is None
    assert "is damaged" in caplog.text


def test_a_checkpoint_that_cannot_be_saved_is_said_once(tmp_path, caplog):
    (tmp_path / "checkpoints").write_text("in the way")
    checkpoint = Checkpoint(tmp_path / "checkpoints" / "state.safetensors")
    for epoch in range(2):
        checkpoint.save({"a": torch.arange(3)}, {"epoch": epoch})
    assert caplog.text.count("training goes on, but its state cannot be saved") == 1


class InterruptedHereError(Exception):
    """What stands in for a kill inside one process."""


def test_training_goes_on_from_every_epoch_to_the_same_weights(values, tmp_path, monkeypatch):
    """Over phases, early stopping, dropout, batch normalisation and the placing of components."""
    monkeypatch.setattr(training, "CHECKPOINT_EVERY", 0)
    course = settings(
        epochs=4,
        phases=[{"objective": "pretraining"}, {"learning_rate": 3e-3}],
        validation=0.2,
        patience=2,
        schedule="cosine",
        warmup=0.1,
    )
    hyperparameters = {"n_components": 3, "batch_norm": True, "dropout": 0.1}
    rows = np.arange(N)
    cells, validation = cells_of(values.take(rows[:45])), cells_of(values.take(rows[45:]))
    whole = build("gmvae", **hyperparameters)
    expected = train(whole, cells, course, None, validation)
    n_epochs = len(losses(expected))
    assert n_epochs > 5
    save = Checkpoint.save
    for stop in range(1, n_epochs + 1):
        checkpoint = Checkpoint(tmp_path / f"{stop}.safetensors")
        count = [0]

        def interrupting(self, *arguments, count=count, stop=stop):
            save(self, *arguments)
            count[0] += 1
            if count[0] == stop:
                raise InterruptedHereError

        monkeypatch.setattr(Checkpoint, "save", interrupting)
        with pytest.raises(InterruptedHereError):
            train(build("gmvae", **hyperparameters), cells, course, None, validation, checkpoint)
        torch.manual_seed(1234)
        model = build("gmvae", **hyperparameters)
        assert train(model, cells, course, None, validation, checkpoint) == expected
        assert all(
            torch.equal(value, model.state_dict()[name])
            for name, value in whole.state_dict().items()
        )


# ---- what cells become before a model sees them


def test_encoding_says_when_a_latent_is_not_finite_or_the_same_everywhere(values):
    for change, reason in (
        (torch.inf, "the mean latent of 61 cells is not finite"),
        (0.0, "collapsed"),
    ):
        trained = ModelWithInput("ae", {}, Input(G), None, [])
        with torch.no_grad():
            for parameter in trained.model.encoder.parameters():
                parameter.fill_(0.0)
            list(trained.model.encoder.parameters())[-1].fill_(change)
        with pytest.raises(TrainingError, match=reason):
            encode(trained, values)
