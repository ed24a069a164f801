from pathlib import Path

import pytest

from assay.bench.config import read_bench
from assay.data.schema import Kind, Task
from assay.errors import ConfigError

DATA = "[{name: a, path: a.csv, target: y}]"


def test_a_comparison_is_read(bench_file):
    config = read_bench(bench_file())
    assert [each.name for each in config.data] == ["one", "two"]
    assert config.data[1].task is Task.BINARY
    assert config.configs[1].overrides == ("model=mlp", "model.width=256")
    assert (config.seeds, config.runs, config.jobs) == ((0, 1), 8, 1)


def test_what_is_said_of_columns_is_a_table_section(bench_file):
    data = "[{name: a, path: a.csv, test: b.csv, target: 'no', positive: 1, drop: [u], kinds: {zip: category}}]"
    table = read_bench(bench_file(data=data)).data[0].table(Path("root"))
    assert (table.data, table.test, table.valid) == ("root/a.csv", "root/b.csv", None)
    assert (table.target, table.positive, table.drop, table.kinds) == ("no", "1", ("u",), {"zip": Kind.CATEGORY})
    assert (
        read_bench(bench_file(data="[{name: a, path: /x/a.csv, target: y}]")).data[0].table(Path("r")).data
        == "/x/a.csv"
    )


def test_seeds_have_a_default(bench_file):
    assert read_bench(bench_file(seeds=None)).seeds == (0, 1, 2)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ({"data": "[]"}, "data: in try.yaml must be right (tuple should have at least 1 item"),
        ({"data": None}, "try.yaml must have data:, but try.yaml has none. The data sets."),
        ({"configs": None}, "try.yaml must have configs:"),
        ({"configs": "[]"}, "configs: in try.yaml must be right"),
        ({"seeds": "[]"}, "seeds: in try.yaml must be right"),
        ({"seeds": "[-1]"}, "line 3 of try.yaml gives -1"),
        ({"seeds": "3"}, "line 3 of try.yaml gives 3"),
        ({"sedes": "[1]"}, "line 5 of try.yaml has 'sedes'. Did you mean 'seeds'?"),
        ({"data": "\n  - {name: a, path: a.csv, taget: y}"}, "line 2 of try.yaml has 'taget'. Did you mean 'target'?"),
        ({"data": "\n  - {name: a, path: a.csv}"}, "must have target: in each entry of data:"),
        (
            {"data": "\n  - {name: a, path: a.csv, target: y, drp: [x]}"},
            "line 2 of try.yaml has 'drp'. Did you mean 'drop'?",
        ),
        ({"data": "[{name: a b, path: a.csv, target: y}]"}, "name: in try.yaml must be right"),
        ({"data": "[{name: ../a, path: a.csv, target: y}]"}, "line 1 of try.yaml gives '../a'"),
        ({"data": "[{name: a, path: a.csv, target: y, task: binray}]"}, "Did you mean 'binary'?"),
        ({"data": "[{name: a, path: a.csv, target: y, kinds: {x: nmber}}]"}, "Did you mean 'number'?"),
        ({"data": f"{DATA[:-1]}, {DATA[1:]}"}, "each data set of try.yaml must be there once, but 'a' is there twice"),
        ({"data": f"{DATA[:-1]}, {DATA[1:].replace('a,', 'A,')}"}, "'A' is there twice"),
        ({"configs": "[{name: a}, {name: a}]"}, "each configuration of try.yaml must be there once"),
        ({"seeds": "[1, 1]"}, "each seed of try.yaml must be there once"),
        ({"configs": "[{name: a, preset: fast}]"}, "Valid names: 'quick', 'standard', 'best'"),
        ({"configs": "[{name: a, overrides: {model: mlp}}]"}, "overrides: in try.yaml must be right"),
        ({"jobs": "0"}, "jobs: in try.yaml must be right (input should be greater than or equal to 1)"),
    ],
)
def test_a_wrong_file_is_refused_in_plain_words(bench_file, lines, message):
    with pytest.raises(ConfigError) as caught:
        read_bench(bench_file(**lines))
    assert message in str(caught.value)


@pytest.mark.parametrize("text", ["- 1\n", "words\n", "# nothing\n"])
def test_what_is_no_mapping_is_refused(bench_file, text):
    with pytest.raises(ConfigError, match=r"try\.yaml must describe a comparison"):
        read_bench(bench_file(text))


def test_a_grid_beyond_all_reason_is_refused(bench_file, monkeypatch):
    monkeypatch.setattr("assay.bench.config._MOST_RUNS", 7)
    with pytest.raises(ConfigError, match=r"a comparison must have at most 7 runs, but try\.yaml has 8"):
        read_bench(bench_file())


def test_one_option_is_a_list_of_one(bench_file):
    assert read_bench(bench_file(configs="[{name: a, overrides: model=mlp}]")).configs[0].overrides == ("model=mlp",)
