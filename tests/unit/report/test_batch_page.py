"""The page of what training saw: pictures, series before and after, and cells, all of them escaped."""

import base64

import pytest

from assay.evaluate.record import Seen, SeenSeries, Thumbnail
from assay.report.batch_page import draw_batch
from assay.report.page import draw_page


@pytest.fixture(scope="module")
def seen(report, hostile_text):
    jpeg = base64.b64encode(b"no real picture").decode()
    return report.model_copy(
        update={
            "seen": Seen(
                caption="8 training rows, drawn at random.",
                pictures=(Thumbnail(label=hostile_text, jpeg=jpeg, width=4, height=6),),
                series=(
                    SeenSeries(label="a", channel="pulse", before=(0.0, None, 2.0), after=(0.5, 1.0, 2.0)),
                    SeenSeries(label="b", channel="pulse", before=(0.0, 1.0)),
                ),
                columns=("y", hostile_text),
                rows=(("a", "0.5"), ("b", hostile_text)),
            )
        }
    )


@pytest.mark.parametrize("draw", [draw_batch, draw_page])
def test_it_shows_pictures_series_and_cells(seen, draw, hostile_text):
    page = draw(seen)
    assert page.count("data:image/jpeg;base64,") == 1
    assert 'width="4" height="6"' in page
    assert "as trained on" in page
    assert "pulse of a row whose income is b" in page
    assert "8 training rows, drawn at random." in page
    assert "<script>alert" not in page
    assert "default-src 'none'" in page


def test_a_report_without_a_batch_has_no_such_section(report):
    assert "What training saw" not in draw_page(report)
