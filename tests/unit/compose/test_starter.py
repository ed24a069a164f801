import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.compose.hydra_io import compose
from assay.compose.run_config import RunConfig, TableConfig, options
from assay.compose.starter import options_table, starter
from assay.data.schema import Column, Kind, Schema, Task


def schema_of(*names, target="y"):
    columns = [Column(name=name, kind=Kind.NUMBER, dtype="Int64", reason=f"because of {name}") for name in names]
    answer = Column(name=target, kind=Kind.CATEGORY, dtype="String", reason="2 distinct values")
    return Schema(
        columns=(*columns, answer), target=target, task=Task.BINARY, task_reason="2 distinct values", classes=("a", "b")
    )


@pytest.fixture
def composed(tmp_path):
    def compose_text(text):
        path = tmp_path / "assay.yaml"
        path.write_text(text, encoding="utf-8")
        return compose(file=path)

    return compose_text


def test_as_written_it_sets_nothing(composed):
    assert composed(starter()) == RunConfig()


def test_with_every_option_uncommented_it_is_the_defaults(composed):
    names = {option.key.rpartition(".")[2] for option in options()}
    pattern = re.compile(rf"^( *)# ((?:{'|'.join(names)}): )(?!.*\.$)", re.MULTILINE)
    text, count = pattern.subn(r"\1\2", starter())
    assert count == len(options())
    assert composed(text).model_dump() == RunConfig().model_dump()


def test_every_option_is_there_with_range_and_description():
    text = re.sub(r"\n *#   ", " ", starter())
    for key, _, default, allowed, description in options_table():
        assert description in text, key
        assert allowed in text, key
        assert f"# {key.rpartition('.')[2]}: " in text
        assert default.replace(",", ", ") in text


def test_the_table_section_names_every_column_with_its_reason(composed):
    text = starter(TableConfig(data="a b.csv", target="y"), schema_of("age", "no"))
    assert "    age: number  # because of age\n" in text
    assert '    "no": number  # because of no\n' in text
    table = composed(text).table
    assert table == TableConfig(data="a b.csv", target="y", kinds={"age": Kind.NUMBER, "no": Kind.NUMBER})


def test_a_table_with_the_target_alone(composed):
    assert composed(starter(TableConfig(target="y"), schema_of())).table == TableConfig(target="y")


names = st.text(st.characters(blacklist_categories=["Cs"]), min_size=1, max_size=15)


@settings(max_examples=12)
@given(names, names, names)
def test_any_name_survives(tmp_path_factory, column, group, positive):
    table = TableConfig(data=group, target="the target", group=group, sensitive=(column, group), positive=positive)
    path = tmp_path_factory.mktemp("starter") / "assay.yaml"
    path.write_text(starter(table, schema_of(column, target="the target")), encoding="utf-8")
    read = compose(file=path).table
    assert read == table.model_copy(update={"kinds": {column: Kind.NUMBER}})
