import copy

import pytest
from pydantic import BaseModel

from sclatent.config import Dataset, load
from sclatent.errors import UserError
from sclatent.ingest import READERS
from sclatent.models import family_names, hyperparameters_class, load_family
from sclatent.reference import documents


def changed(raw, path, value):
    result = copy.deepcopy(raw)
    *parents, last = path.split(".")
    section = result
    for key in parents:
        section = section[key]
    section[last] = value
    return result


def test_every_reader_can_be_named():
    assert set(Dataset.model_fields["reader"].annotation.__args__) == set(READERS)


def test_quick_start_is_valid_and_complete(raw_config):
    config = load(raw_config)
    assert config.run == ["quickstart"]
    assert config.models["ae"].hyperparameters["linear_first"] is True


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("threds", 1, ["threds", "did you mean 'threads'"]),
        ("models.ae.trainin", {}, ["models.ae.trainin", "did you mean 'training'"]),
        ("models.ae.training.epochs", 0, ["models.ae.training.epochs", "0", "greater than or equal to 1"]),
        ("models.beta_vae.hyperparameters.bta", 1, ["models.beta_vae.hyperparameters.bta", "did you mean 'beta'"]),
        (
            "models.beta_vae.hyperparameters.beta",
            -1,
            ["models.beta_vae.hyperparameters.beta", "-1", "greater than or equal to 0"],
        ),
        ("models.ae.family", "vea", ["models.ae.family", "vea", "did you mean 'vae'"]),
        ("models.a/b", {"title": "x", "family": "ae"}, ["a/b"]),
        ("studies.quickstart.models", ["pca", "beta_va"], ["beta_va", "did you mean 'beta_vae'"]),
        ("studies.quickstart.datasets", ["digit"], ["digit", "did you mean 'digits'"]),
        ("studies.quickstart.seeds", [0, 0], ["seeds", "twice"]),
        ("studies.quickstart.seeds", [-1], ["seeds.0", "-1"]),
        ("run", ["quickstat"], ["quickstat", "did you mean 'quickstart'"]),
        ("datasets.digits.reader", "digit", ["datasets.digits.reader", "'digits'"]),
        ("datasets.digits.qc", {"min_gene": 1}, ["min_gene", "did you mean 'min_genes'"]),
        ("datasets.digits.source", {"package": "sklearn"}, ["datasets.digits.source.file", "missing"]),
        ("studies.quickstart.embedding", {"max_iter": 10}, ["studies.quickstart.embedding.max_iter", "10", "250"]),
        ("models.ae.hyperparameters.encoder_hidden", [8, 0], ["encoder_hidden.1", "0"]),
        ("models.beta_vae.hyperparameters.beta", float("inf"), ["hyperparameters.beta", "finite"]),
        ("datasets.digits.qc", {"min_genes": 9, "max_genes": 9}, ["min_genes (9) must be below max_genes (9)"]),
        ("datasets.digits.n_top_genes", 5, ["n_top_genes needs normalization: log"]),
        ("studies.quickstart.seeds", [], ["seeds", "at least 1"]),
    ],
)
def test_a_mistake_is_one_line_that_names_the_key_and_the_cure(raw_config, path, value, words):
    with pytest.raises(UserError) as raised:
        load(changed(raw_config, path, value))
    message = str(raised.value)
    assert "\n" not in message
    assert [word for word in words if word not in message] == []


@pytest.mark.parametrize("family", family_names())
def test_hyperparameters_read_without_import_are_those_of_the_file(family):
    load_family(family)
    read = hyperparameters_class(family)
    assert issubclass(read, BaseModel)
    imported = __import__(f"sclatent.models.{family}", fromlist=["Hyperparameters"]).Hyperparameters
    assert read.model_json_schema() == imported.model_json_schema()


@pytest.mark.parametrize("path", documents())
def test_generated_documents_are_up_to_date(project, path):
    assert (project / path).read_text() == documents()[path], "run `make reference`"
