"""Which networks are planned for which table and time: decided by hand from the costs that plan.py states."""

import math

import pytest

from assay.data.schema import Column, Kind, Schema, Task
from assay.errors import ConfigError
from assay.models.config import ModelConfig
from assay.search.config import EnsembleConfig
from assay.search.planning.plan import plan
from assay.train.budget import Budget
from assay.train.config import TrainConfig

PLAIN = "mlp on plain numbers"


def column(name, kind):
    return Column(name=name, kind=kind, dtype="", reason="")


def schema(task, *, time=None):
    classes = () if task is Task.REGRESSION else ("a", "b") if task is Task.BINARY else ("a", "b", "c")
    target = column("y", Kind.NUMBER if task is Task.REGRESSION else Kind.CATEGORY)
    columns = (column("x", Kind.NUMBER), column("day", Kind.DATETIME), target)
    return Schema(target="y", task=task, task_reason="said", classes=classes, columns=columns, time=time)


def planned(rows, seconds, task=Task.MULTICLASS, *, model=None, train=None, time=None, **ensemble):
    return plan(
        rows, schema(task, time=time), ModelConfig(**(model or {})), TrainConfig(**(train or {})),
        EnsembleConfig(**ensemble), Budget(seconds),
    )  # fmt: skip


def names(found):
    return [job.name for job in found.jobs]


def test_a_short_time_for_many_rows_is_all_for_one_network():
    found = planned(16_000, 25.0)
    assert names(found) == ["realmlp"]
    # 16,000 rows x 62 us x 20 passes are 19.8 s for one member, 33.7 s for two.
    assert found.jobs[0].model.members == 1
    assert (found.folds, found.jobs[0].share) == (1, 1.0)
    assert found.reason == "one kind of network for 25 s of training"


def test_two_classes_always_have_two_networks():
    found = planned(16_000, 25.0, Task.BINARY)
    assert names(found) == ["mlp", PLAIN, "realmlp"]
    assert [job.share for job in found.jobs] == [0.5, 0.25, 0.5]


def test_a_long_time_has_three():
    assert names(planned(16_000, 250.0, Task.REGRESSION)) == ["mlp", PLAIN, "realmlp", "tabm"]
    assert names(planned(40_000, math.inf)) == ["mlp", PLAIN, "realmlp", "tabm"]


def test_folds_come_before_a_third_network_that_leaves_no_time_for_them():
    # 5,600 rows x 240 us x 25 passes of 5 folds of TabM are 128 s, of the 105 s that would be its own
    found = planned(5_600, 280.0, Task.BINARY)
    assert (names(found), found.folds) == (["mlp", PLAIN, "realmlp"], 5)
    assert [job.share for job in found.jobs] == [0.5, 0.25, 0.5]
    assert found.reason == "2 kinds of network for 280 s of training, in folds, after the mlp has tried plain numbers"
    # Twice as many passes must be there for it: 8,000 rows x 62 us x 50 passes x 7.3 are 181 s of 140 s
    assert (names(planned(8_000, 280.0, Task.BINARY)), planned(8_000, 280.0, Task.BINARY).folds) == (
        ["mlp", PLAIN, "realmlp", "tabm"], 1,
    )  # fmt: skip
    assert names(planned(5_600, 280.0, Task.BINARY, folds=1)) == ["mlp", PLAIN, "realmlp", "tabm"]


def test_more_time_is_more_members():
    plans = [planned(200_000, seconds) for seconds in (30.0, 600.0, 1_000.0, 5_000.0)]
    counts = [next(job.model.members for job in each.jobs if job.name == "realmlp") for each in plans]
    assert counts == sorted(counts)
    assert counts[0] == 1
    assert counts[-1] > 1


def test_small_tables_are_cross_validated():
    found = planned(500, 30.0)
    assert found.folds == 8
    assert found.jobs[0].model.members in (2, 4)  # variants of each fold
    assert found.why_no_folds == ""


def test_rows_with_a_time_are_not_dealt_into_folds():
    found = planned(500, 30.0, time="day")
    assert (found.folds, found.why_no_folds) == (1, "rows have a time, and the latest judge best")


def test_what_the_user_says_holds_for_every_network():
    found = planned(500, 30.0, model={"members": 3, "dropout": 0.4}, train={"lr": 0.01, "epochs": 7}, folds=1)
    assert {job.model.members for job in found.jobs} == {3}
    assert {(job.model.dropout, job.train.lr, job.train.epochs) for job in found.jobs} == {(0.4, 0.01, 7)}
    assert not any(job.vary for job in found.jobs)  # one rate for all members, for it was said


def test_frequencies_are_spread_unless_they_are_said():
    assert planned(500, 30.0).jobs[-1].model.frequency_spread == 50.0
    assert planned(500, 30.0, model={"frequency_scale": 0.3}).jobs[-1].model.frequency_spread == 1.0


def test_a_named_network_is_the_only_one():
    assert names(planned(500, 30.0, model={"name": "resnet"})) == ["resnet"]
    assert names(planned(500, 30.0, recipes=("tabm", "mlp", "tabm"))) == ["tabm", "mlp"]


def test_networks_without_use_for_an_option_are_not_chosen():
    assert names(planned(500, 30.0, model={"norm": "batch"})) == ["mlp", PLAIN]
    with pytest.raises(ConfigError, match=r"every option of the network must mean something to it \(realmlp\)"):
        planned(500, 30.0, model={"name": "realmlp", "norm": "batch"})


def test_labels_of_two_classes_are_not_smoothed():
    tasks = (Task.BINARY, Task.MULTICLASS, Task.REGRESSION)
    smoothing = [planned(500, 30.0, task).jobs[-1].train.label_smoothing for task in tasks]
    assert smoothing == [0.0, 0.1, 0.0]


def test_batches_of_a_recipe_are_not_for_the_smallest_tables():
    assert [planned(rows, 30.0).jobs[-1].train.batch for rows in (20, 511, 512)] == ["auto", "auto", 256]
    assert planned(20, 30.0, train={"batch": 300}).jobs[-1].train.batch == 300  # refused later, with the rows there are


def test_texts_that_no_encoder_reads_are_left_to_one_small_network():
    found = schema(Task.BINARY)
    texts = found.model_copy(update={"columns": (column("review", Kind.TEXT), found.columns[-1])})
    options = (5000, texts, ModelConfig(), TrainConfig(), EnsembleConfig(), Budget(300.0))
    assert names(plan(*options)) == ["mlp"]
    assert names(plan(*options, has_encoder=True)) == ["realmlp", "mlp", "tabm"]
    assert names(plan(5000, found, *options[2:])) == ["mlp", PLAIN, "realmlp"]


@pytest.mark.parametrize(
    ("kinds", "name", "came"),
    [
        ([Kind.IMAGE], "inception", "inception reads series"),
        ([Kind.TEXT], "cnn", "cnn reads pictures"),
        ([Kind.SEQUENCE], "mlp", "mlp reads numbers, categories or texts"),
        ([Kind.IMAGE, Kind.SEQUENCE], "tabm", "columns are of kind image, sequence"),
    ],
)
def test_a_network_that_reads_nothing_of_the_table_is_refused(kinds, name, came):
    found = schema(Task.BINARY)
    columns = [column(f"x{place}", kind) for place, kind in enumerate(kinds)]
    table = found.model_copy(update={"columns": (*columns, found.columns[-1])})
    steps, pictures = 40 * (Kind.SEQUENCE in kinds), Kind.IMAGE in kinds
    for model, ensemble in (
        (ModelConfig(name=name), EnsembleConfig()),
        (ModelConfig(), EnsembleConfig(recipes=(name,))),
    ):
        with pytest.raises(ConfigError, match=came):
            plan(500, table, model, TrainConfig(), ensemble, Budget(60.0), steps=steps, has_pictures=pictures)
    mixed = table.model_copy(update={"columns": (*table.columns, column("n", Kind.NUMBER), column("s", Kind.SEQUENCE))})
    if name != "cnn":
        found = plan(500, mixed, ModelConfig(name=name), TrainConfig(), EnsembleConfig(), Budget(60.0), steps=40)
        assert names(found) == [name]


def planned_series(rows, seconds, *, model=None, train=None):
    columns = (column("pulse", Kind.SEQUENCE), column("y", Kind.CATEGORY))
    table = Schema(target="y", task=Task.BINARY, task_reason="said", classes=("a", "b"), columns=columns)
    return plan(
        rows, table, ModelConfig(**(model or {})), TrainConfig(**(train or {})), EnsembleConfig(), Budget(seconds),
        steps=100,
    )  # fmt: skip


def test_the_cheapest_network_of_series_is_also_trained_on_changed_ones_where_that_is_cheap():
    # 300 series x 100 steps x 5 folds x (25 + 120) us x 60 passes are 1,305 s, of 60 % of the time.
    assert names(planned_series(300, 2170.0)) == ["fcn", "inception"]
    found = planned_series(300, 2180.0)
    assert names(found) == ["fcn", "inception", "fcn on changed series"]
    assert [job.model.augment for job in found.jobs] == ["none", "none", "warp"]
    assert [job.model.name for job in found.jobs] == ["fcn", "inception", "fcn"]
    assert "one of them on changed series too" in found.reason
    assert planned_series(5000, 1e6).folds == 1
    assert "fcn on changed series" not in names(planned_series(5000, 1e6))
    named = planned_series(300, 2180.0, model={"augment": "noise"})
    assert [(job.name, job.model.augment) for job in named.jobs] == [("fcn", "noise"), ("inception", "noise")]
    assert names(planned_series(300, 2180.0, train={"series": {"jitter": 0.5}})) == ["fcn", "inception"]


def test_where_no_network_of_series_has_the_time_there_is_a_spare_one():
    found = planned_series(300, 1.0)
    assert (found.jobs, [job.name for job in found.spare]) == ((), ["fcn"])
    assert planned_series(300, 2170.0).spare == ()


def test_changes_of_another_kind_of_row_are_refused():
    with pytest.raises(ConfigError, match=r"model.augment does not"):
        planned_series(300, 60.0, model={"augment": "flip", "name": "fcn"})
    with pytest.raises(ConfigError, match=r"train.pictures, train.cutmix do not"):
        planned_series(300, 60.0, model={"name": "fcn"}, train={"pictures": {"flip": "random"}, "cutmix": 1.0})
    with pytest.raises(ConfigError, match=r"\(mlp\), but model.augment does not"):
        planned(500, 30.0, model={"name": "mlp", "augment": "flip"})
    with pytest.raises(ConfigError, match=r"train.series does not"):
        planned(500, 30.0, model={"name": "mlp"}, train={"series": {"jitter": 0.5}})
    with pytest.raises(ConfigError, match=r"model.timm does not"):
        planned_series(300, 60.0, model={"name": "fcn", "timm": "resnet18"})


def test_a_network_of_timm_stands_alone():
    columns = (column("photo", Kind.IMAGE), column("y", Kind.CATEGORY))
    table = Schema(target="y", task=Task.BINARY, task_reason="said", classes=("a", "b"), columns=columns)

    def of_pictures(*, folds=0, **model):
        named, settings = ModelConfig(name="timm", **model), EnsembleConfig(folds=folds)
        return plan(500, table, named, TrainConfig(), settings, Budget(60.0), has_pictures=True)

    (job,) = of_pictures(timm="convnext_atto").jobs
    assert (job.model.timm, job.model.members, job.train.optimiser) == ("convnext_atto", 1, "adamw")
    with pytest.raises(ConfigError, match="a network of timm is trained alone"):
        of_pictures(folds=5)
    with pytest.raises(ConfigError, match=r"model.members does not"):
        of_pictures(members=3)


def of_texts(rows, seconds, *, words=20.0, number=False, has_encoder=False, model=None, **ensemble):
    features = (column("text", Kind.TEXT), *((column("x", Kind.NUMBER),) if number else ()))
    target = column("y", Kind.CATEGORY)
    found = Schema(target="y", task=Task.BINARY, task_reason="said", classes=("a", "b"), columns=(*features, target))
    return plan(
        rows, found, ModelConfig(**(model or {})), TrainConfig(), EnsembleConfig(**ensemble), Budget(seconds),
        has_encoder=has_encoder, words=words,
    )  # fmt: skip


def test_texts_alone_have_a_network_of_words_where_there_is_the_time():
    # 2,000 rows of 20 words are 40,000 words a pass: ten passes of 30 us are 12 s, 35 % of 34 s.
    assert names(of_texts(2_000, 60.0, folds=1)) == ["mlp", "text_cnn"]
    assert names(of_texts(2_000, 30.0, folds=1)) == ["mlp"]
    assert names(of_texts(2_000, 60.0, folds=2)) == ["mlp"]
    assert (names(of_texts(2_000, 60.0)), of_texts(2_000, 60.0).folds) == (["mlp", "text_cnn"], 1)
    assert of_texts(2_000, 80.0).folds == 2
    assert (names(of_texts(2_000, 30.0)), of_texts(2_000, 30.0).folds) == (["mlp"], 8)
    assert names(of_texts(2_000, 60.0, folds=1, number=True))[-1] != "text_cnn"
    assert names(of_texts(2_000, 60.0, folds=1, words=0.0)) == ["mlp"]
    assert names(of_texts(2_000, 60.0, folds=1, has_encoder=True)) == ["realmlp", "mlp", "text_cnn"]
    last = of_texts(2_000, 60.0, folds=1).jobs[-1]
    assert last.model.members == 1
    assert last.share / (1.0 + last.share) == pytest.approx(0.35)


def test_a_network_of_words_that_was_named_is_one_of_one_split():
    found = of_texts(2_000, math.inf, number=True, model={"name": "text_gru"})
    assert (names(found), found.folds, found.jobs[0].model.members) == (["text_gru"], 1, 1)
    assert names(of_texts(100, 10.0, recipes=("mlp", "text_cnn"))) == ["mlp", "text_cnn"]


def test_networks_of_words_want_texts():
    with pytest.raises(ConfigError, match="text_cnn reads texts"):
        planned(1_000, 60.0, model={"name": "text_cnn"})
    with pytest.raises(ConfigError, match=r"model\.augment_text"):
        planned(1_000, 60.0, model={"name": "mlp", "augment_text": "light"})


def test_rows_of_texts_and_more_have_every_network_with_and_without_the_texts():
    found = of_texts(2_000, 60.0, number=True, has_encoder=True)
    assert names(found) == ["realmlp", "realmlp without texts", "mlp", "mlp without texts"]
    assert [job.model.reads_texts for job in found.jobs] == [True, False, True, False]
    assert sum(job.share for job in found.jobs) == pytest.approx(1.0)
    assert found.reason.endswith("each with and without the texts")


def test_who_says_whether_texts_are_heard_has_each_network_once():
    found = of_texts(2_000, 60.0, number=True, has_encoder=True, model={"reads_texts": False})
    assert names(found) == ["realmlp", "mlp"]
    assert not any(job.model.reads_texts for job in found.jobs)
    with pytest.raises(ConfigError, match="reads_texts"):
        planned(2_000, 60.0, model={"reads_texts": False})


def test_folds_of_a_network_with_heads_are_one_variant():
    found = planned(600, 280.0)
    assert [(job.name, job.model.members) for job in found.jobs] == [
        ("mlp", 4), (PLAIN, 4), ("realmlp", 4), ("tabm", 1),
    ]  # fmt: skip
    assert found.folds == 8
    # 5,000 rows x 240 us x 25 passes x 5 folds are 3.8 times 30 s, of the 134 s that are TabM's; of 8 folds 5.9 times
    assert [job.model.members for job in planned(5_000, 280.0).jobs] == [2, 2, 2, 1]
    assert planned(5_000, 280.0).folds == 5


# Plain numbers --------------------------------------------------------------------------------------------------------


def test_the_mlp_tries_plain_numbers_for_all():
    found = planned(500, 30.0)
    assert [job.follows for job in found.jobs] == ["", "", "mlp"]
    assert [job.model.numbers for job in found.jobs] == ["piecewise", "plain", "pbld"]
    own, plain = found.jobs[:2]
    assert plain.share == 0.5 * own.share
    assert plain.model == own.model.model_copy(update={"numbers": "plain"})
    assert plain.train == own.train


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"model": {"numbers": "piecewise"}}, ["realmlp", "mlp"]), ({"model": {"number_bins": 9}}, ["realmlp", "mlp"]),
        ({"recipes": ("mlp", "realmlp")}, ["mlp", "realmlp"]),
    ],
)  # fmt: skip
def test_numbers_that_the_user_spoke_of_stay_so(more, expected):
    assert names(planned(500, 30.0, **more)) == expected
    assert not any(job.follows for job in planned(500, 30.0, **more).jobs)


def test_rows_without_numbers_have_none_that_are_plain():
    found = schema(Task.BINARY)
    words = found.model_copy(update={"columns": (column("x", Kind.CATEGORY), found.columns[-1])})
    jobs = plan(500, words, ModelConfig(), TrainConfig(), EnsembleConfig(), Budget(30.0)).jobs
    assert [job.name for job in jobs] == ["realmlp", "mlp"]


def test_a_job_on_other_numbers_is_itself_again_on_those_of_its_family():
    job = planned(500, 30.0).jobs[-1]
    plain = job.on_other_numbers()
    assert (plain.name, plain.model.numbers) == ("realmlp on plain numbers", "plain")
    assert plain == job.on_plain_numbers()
    assert plain.on_other_numbers() == job
