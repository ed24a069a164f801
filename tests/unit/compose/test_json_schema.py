import json

from assay.compose.json_schema import json_schema
from assay.compose.run_config import RunConfig, options

SCHEMA = json_schema()


def at(key):
    """The schema of an option, found by following references as an editor does."""
    node = SCHEMA
    for part in key.split("."):
        node = node["properties"][part]
        for shape in node.get("anyOf", ()):
            if "$ref" in shape:
                node = SCHEMA["$defs"][shape["$ref"].rpartition("/")[2]]
    return node


def shapes(key):
    node = at(key)
    return node.get("anyOf", [node])


def test_it_is_plain_json():
    assert json.loads(json.dumps(SCHEMA)) == SCHEMA
    assert SCHEMA["$schema"].startswith("https://json-schema.org/")
    assert SCHEMA["additionalProperties"] is False


def test_every_option_is_there_with_its_description_and_default():
    for option in options():
        node = at(option.key)
        assert node["description"].startswith(option.description), option.key
        assert "title" not in node


def test_ranges_and_choices_are_those_of_the_records():
    assert {"type": "number", "exclusiveMinimum": 0.0, "maximum": 100.0}.items() <= at("train.lr").items()
    assert at("data.split.valid")["exclusiveMaximum"] == 1.0
    assert {"minimum": 1, "type": "integer"} in shapes("train.batch")
    assert {"enum": ["auto", "full"], "type": "string"} in shapes("train.batch")
    assert at("train.optimiser")["enum"][0] == "adamw"
    assert "belongs to tabm and tabm_mini" in at("model.heads")["description"].lower()


def test_it_takes_what_files_may_say():
    assert any("pattern" in shape for shape in shapes("budget"))
    assert {"const": "none"} in shapes("train.momentum")
    assert {"type": "string"} in shapes("evaluate.baselines")
    model = SCHEMA["properties"]["model"]["anyOf"]
    assert {"type": "null"} in model
    assert any("tabm" in shape.get("enum", ()) for shape in model)
    assert list(SCHEMA["patternProperties"]) == ["^(data|model|train|ensemble|evaluate|track)\\."]
    assert {"type": ["number", "boolean"]} in shapes("table.positive")


def test_the_record_itself_is_left_as_it_was():
    assert RunConfig.model_json_schema() == RunConfig.model_json_schema()
    assert json_schema() == SCHEMA
