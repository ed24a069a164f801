"""The part that torch exports: what the exporter notes of the machine is taken out."""

from pathlib import Path

import onnx

from assay.bundle import core_graph
from assay.bundle.manifest import MODEL


def test_the_file_does_not_say_where_it_was_made(made):
    """Folders of the machine, and lines of source that the exporter notes of every node."""
    content = (made.directory / MODEL).read_bytes()
    assert str(Path(core_graph.__file__).parent).encode() not in content
    assert b"stack_trace" not in content
    noted = [node.name for node in core_graph._nodes(onnx.load_from_string(content).graph) if node.metadata_props]
    assert not noted


def test_nodes_of_branches_are_seen_too():
    inner = onnx.helper.make_graph([onnx.helper.make_node("Identity", ["a"], ["b"], name="inner")], "branch", [], [])
    outer = onnx.helper.make_node("If", ["c"], ["b"], name="outer", then_branch=inner, else_branch=inner)
    found = core_graph._nodes(onnx.helper.make_graph([outer], "whole", [], []))
    assert [node.name for node in found] == ["outer", "inner", "inner"]
