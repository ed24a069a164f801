from pathlib import Path

import pytest

from assay.bench.run import plan
from assay.errors import ConfigError, DataError

ROOT = Path(__file__).parents[3]


def test_every_run_has_its_whole_configuration(bench_file):
    made = plan(bench_file(overrides="[model.width=32, evaluate.bootstrap=100]"))
    assert [cell.name for cell in made.grid.cells][:3] == [
        "one, plain, seed 0",
        "two, plain, seed 0",
        "one, wide, seed 0",
    ]
    assert len(made.grid.cells) == 8
    last = made.grid.cells[-1].run
    assert (last.seed, last.model.width, last.model.name, last.budget) == (1, 256, "mlp", 30.0)
    assert last.evaluate.bootstrap == 100  # of all configurations
    assert made.grid.cells[0].run.model.width == 32
    assert last.train.model_fields_set == set()  # the recipe decides
    assert last.table.data.endswith("two.csv")


def test_the_time_is_that_of_the_budgets(bench_file):
    made = plan(bench_file())
    assert made.seconds == 4 * 60.0 + 4 * 30.0 + 6.0
    assert plan(bench_file(), jobs=2).seconds == 2 * 60.0 + 2 * 30.0 + 6.0
    assert plan(bench_file(configs="[{name: a, budget: none}]")).seconds is None


def test_a_request_is_known_by_what_its_result_depends_on(bench_file, tmp_path):
    def requests(**lines):
        return {cell.name: cell.request for cell in plan(bench_file(**lines)).grid.cells}

    first = requests()
    assert len(set(first.values())) == 8
    assert requests(seeds="[1, 0, 2]").items() >= first.items()
    assert requests(jobs="2", metric="log_loss") == first
    other = requests(overrides="[train.lr=0.1]")
    assert not set(other.values()) & set(first.values())
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    for name in ("one.csv", "two.csv"):
        (moved / name).write_bytes((tmp_path / name).read_bytes())
    assert requests(root="elsewhere") == first  # contents count, not places
    (tmp_path / "two.csv").write_text("x,y\n1,0\n")
    changed = requests()
    assert {name for name in first if changed[name] != first[name]} == {
        name for name in first if name.startswith("two")
    }


def test_a_pattern_and_a_folder_count_with_all_their_files(bench_file, tmp_path):
    def request():
        data = "[{name: a, path: '*.csv', target: y}, {name: b, path: ., target: y}]"
        return [cell.request for cell in plan(bench_file(data=data, seeds="[0]")).grid.cells]

    first = request()
    assert request() == first
    (tmp_path / "three.csv").write_text("x,y\n1,2\n")
    assert not set(request()) & set(first)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ({"configs": "[{name: a}, {name: b, overrides: [train.lrr=1]}]"}, "Did you mean 'train.lr'?"),
        ({"configs": "[{name: a, overrides: [model=mlp, model.heads=2]}]"}, "model.heads belongs to tabm"),
        ({"configs": "[{name: a, budget: soon}]"}, "Examples: 60s, 10m"),
        ({"configs": "[{name: a, budget: 3s, overrides: [budget=4s]}]"}, "each option must be given once"),
        ({"configs": "[{name: a, config: gone.yaml}]"}, "gone.yaml must be a file that can be read"),
        ({"configs": "[{name: a, overrides: [seed=3]}]"}, "seeds are listed under seeds:"),
        ({"configs": "[{name: a, overrides: [model=own]}]"}, "a model of your own needs Python"),
        ({"overrides": "[sed=1]"}, "unknown option 'sed'"),
        ({"metric": "acuracy"}, "Did you mean 'accuracy'?"),
    ],
)
def test_a_wrong_option_is_refused_before_anything_starts(bench_file, tmp_path, lines, message):
    with pytest.raises(ConfigError) as caught:
        plan(bench_file(**lines))
    notes = " ".join(getattr(caught.value, "__notes__", ()))
    assert message in f"{caught.value} {notes}"
    assert not (tmp_path / "out").exists()


def test_the_configuration_at_fault_is_named(bench_file):
    with pytest.raises(ConfigError) as caught:
        plan(bench_file(configs="[{name: a}, {name: b, overrides: [train.lrr=1]}]"))
    assert caught.value.__notes__ == ["It is in the configuration 'b' of try.yaml."]


def test_a_file_of_options_must_not_name_a_table(bench_file, tmp_path):
    (tmp_path / "mine.yaml").write_text("table: {target: y}\n")
    with pytest.raises(ConfigError, match="what is said of a table belongs to data:"):
        plan(bench_file(configs="[{name: a, config: mine.yaml}]"))
    (tmp_path / "mine.yaml").write_text("train: {lr: 0.5}\n")
    assert plan(bench_file(configs="[{name: a, config: mine.yaml}]")).grid.configs["a"].train.lr == 0.5


def test_a_missing_file_is_refused(bench_file, tmp_path):
    with pytest.raises(DataError, match="the files of the data set 'a' must be there"):
        plan(bench_file(data="[{name: a, path: gone.csv, target: y}]"))
    with pytest.raises(DataError, match="--data"):
        plan(bench_file(), root=tmp_path / "gone")


def test_a_target_that_a_table_does_not_have_is_refused_before_anything_starts(bench_file, tmp_path):
    with pytest.raises(DataError) as caught:
        plan(bench_file(data="[{name: a, path: one.csv, target: y}, {name: b, path: two.csv, target: Y2}]"))
    assert str(caught.value) == (
        "the target of the data set 'b' must be a column of two.csv, but 'Y2' is none. Did you mean 'y'?"
    )
    (tmp_path / "two.txt").write_bytes((tmp_path / "two.csv").read_bytes())  # of another ending: its runs will say so
    assert plan(bench_file(data="[{name: b, path: two.txt, target: Y2}]")).left


def test_the_shipped_comparison_is_right():
    made = plan(ROOT / "examples" / "bench.yaml")
    assert len(made.grid.cells) == 18
    assert made.seconds == 18 * 60.0 + 6.0


def test_our_own_tables_are_described_right():
    from assay.bench.config import read_bench

    config = read_bench(ROOT / "benchmarks" / "tables.yaml")
    assert config.runs == len(config.data) * 5 * 3
