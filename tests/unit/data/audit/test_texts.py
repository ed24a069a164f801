"""What the audit says of texts: seeded faults are found, and ordinary texts raise no alarm."""

import numpy as np
import polars as pl
import pytest

from assay.data.audit.texts import _wilson, cells, language_mix, near_copies, phrases
from assay.data.config import AuditConfig
from assay.data.findings import Severity, View
from assay.data.infer import infer
from assay.data.reading.read import read
from assay.data.schema import Hints, Kind
from assay.data.texts.languages import LANGUAGES, languages
from assay.ledger import Outcome

WORDS = [
    "river",
    "stone",
    "garden",
    "music",
    "paper",
    "winter",
    "bridge",
    "doctor",
    "silver",
    "market",
    "window",
    "engine",
]


def view_of(texts, labels, *, test=None, kind=Kind.TEXT, limit=200_000):
    frame = pl.DataFrame({"text": texts, "label": labels})
    table = read(frame)
    schema = infer(table, Hints(target="label", kinds={"text": kind}))
    target = np.array([schema.classes.index(label) for label in labels])
    files = {} if test is None else {"test": read(pl.DataFrame({"text": test, "label": ["a"] * len(test)}))}
    return View(table.frame, schema, AuditConfig(near_duplicate_rows=limit), target, np.arange(len(texts)), files, 0)


def drawn(rows, words=20, seed=0):
    rng = np.random.default_rng(seed)
    return [" ".join(f"{WORDS[word % 12]}{word}" for word in rng.integers(600, size=words)) for _ in range(rows)]


def labels_of(rows):
    return ["a" if row % 2 else "b" for row in range(rows)]


@pytest.mark.parametrize("check", [cells, near_copies, phrases, language_mix])
def test_without_texts_there_is_nothing_to_check(check):
    assert check(view_of(["x", "y"] * 20, labels_of(40), kind=Kind.CATEGORY)).outcome is Outcome.NOT_APPLICABLE


@pytest.mark.parametrize("check", [cells, near_copies, phrases, language_mix])
def test_ordinary_texts_raise_no_alarm(check):
    assert check(view_of(drawn(300), labels_of(300))).findings == ()


def test_empty_damaged_and_control_cells_are_counted():
    texts = drawn(100)
    texts[3], texts[7], texts[9], texts[11] = "", "  \t", "na\ufffdve", "a\x00b\x1bc"
    empty, lost, control = cells(view_of(texts, labels_of(100))).findings
    assert (empty.count, empty.rows, empty.severity) == (2, (4, 8), Severity.WARNING)
    assert (lost.count, lost.rows, lost.severity) == (1, (10,), Severity.WARNING)
    assert (control.count, control.rows, control.severity) == (1, (12,), Severity.NOTE)


def test_near_copies_within_the_table_and_their_labels():
    texts = drawn(200)
    texts[150] = texts[4] + " more"  # rows 5 and 151: both of class b
    texts[161] = texts[8].upper() + " more"  # rows 9 (b) and 162 (a)
    texts[170] = texts[10]  # to the letter: left to other checks
    found = near_copies(view_of(texts, labels_of(200)))
    near, contrary = found.findings
    assert (near.count, near.rows, near.severity) == (2, (151, 162), Severity.WARNING)
    assert (contrary.count, contrary.rows) == (1, (9, 162))
    assert "'b' and 'a'" in contrary.what
    assert found.value == 2.0


@pytest.mark.parametrize(("copies", "severity"), [(1, Severity.WARNING), (5, Severity.SERIOUS)])
def test_near_copies_between_files(copies, severity):
    texts, test = drawn(200), drawn(120, seed=1)
    test[:copies] = [text + " more" for text in texts[:copies]]
    (found,) = near_copies(view_of(texts, labels_of(200), test=test)).findings
    assert (found.count, found.part, found.severity) == (copies, "test", severity)
    assert found.rows == tuple(range(1, copies + 1))


def test_near_copies_can_be_left_out():
    assert near_copies(view_of(drawn(10), labels_of(10), limit=0)).outcome is Outcome.SKIPPED


@pytest.mark.parametrize(
    ("share", "severity"), [(1.0, Severity.SERIOUS), (0.7, Severity.WARNING), (0.4, None)], ids=["all", "most", "some"]
)
def test_a_phrase_that_gives_the_label_away(share, severity):
    labels, texts = labels_of(600), drawn(600)
    rng = np.random.default_rng(3)
    texts = [
        f"{text} via feedone" if label == "a" and rng.random() < share else text
        for text, label in zip(texts, labels, strict=True)
    ]
    found = phrases(view_of(texts, labels)).findings
    assert [each.severity for each in found] == ([] if severity is None else [severity])
    if found:
        assert any(phrase in found[0].what for phrase in ("'via'", "'feedone'", "'via feedone'"))
        assert texts[found[0].rows[0] - 1].endswith("feedone")


def test_a_pair_of_common_words_can_be_the_leak():
    labels, texts = labels_of(400), drawn(400)
    texts = [f"{text} tick {'tock' if label == 'a' else 'x tock'}" for text, label in zip(texts, labels, strict=True)]
    found = phrases(view_of(texts, labels)).findings
    assert {each.what.split("'")[1] for each in found} <= {"tick tock", "tick x", "x tock", "x"}
    assert any(each.what.startswith("'tick tock'") for each in found)


def test_strong_words_are_no_leak():
    """A third of one class says `prize`, and nobody else; nine of ten of the other say `i`, as half of the first."""
    rng = np.random.default_rng(5)
    labels, texts = labels_of(1000), drawn(1000)
    for row, label in enumerate(labels):
        texts[row] += " prize" if label == "a" and rng.random() < 0.33 else ""
        texts[row] += " i" if rng.random() < (0.5 if label == "a" else 0.9) else ""
    assert phrases(view_of(texts, labels)).findings == ()


def test_wilson_by_hand():
    low, high = _wilson(np.array([8]), 10)
    assert (low[0], high[0]) == pytest.approx((0.4902, 0.9433), abs=1e-4)


ENGLISH = "it is what you have and that was from the house which they know"
GERMAN = "das ist nicht das Haus und auch der Garten wird wie wir sind"


def test_languages_and_scripts():
    told = {
        ENGLISH: "English",
        GERMAN: "German",
        "les enfants sont dans une maison et vous avec nous": "French",
        "el perro y los gatos son muy buenos pero": "Spanish",
        "это просто текст": "Cyrillic",
        "هذا نص بسيط": "Arabic",
        "שלום עולם": "Hebrew",
        "日本語のテキスト": "Japanese",
        "这是一个简单的文本": "Chinese",
        "한국어 텍스트": "Hangul",
        "12345 !!!": "",
        "": "",
        "\U0001f600\U0001f600": "",
        "zzz qqq": "",
    }
    assert [LANGUAGES[place] for place in languages(list(told))] == list(told.values())


def test_a_few_percent_of_another_language_are_told_of():
    texts = [GERMAN if row % 10 == 0 else ENGLISH for row in range(200)]
    (found,) = language_mix(view_of(texts, ["a" if row % 4 < 2 else "b" for row in range(200)])).findings
    assert (found.count, found.severity) == (20, Severity.NOTE)
    assert "English in 90.0%" in found.what
    assert "'German' 20" in found.what


def test_a_mix_that_differs_by_class_or_file_is_a_warning():
    texts = [GERMAN if row % 4 == 1 else ENGLISH for row in range(200)]
    _, found = language_mix(view_of(texts, labels_of(200), test=[GERMAN] * 40)).findings
    assert found.severity is Severity.WARNING
    assert "50% in class 'a'" in found.what
    assert "100% in the test file" in found.what


@pytest.mark.parametrize("text", ["", "...", "word " * 200_000, "\U0001f600", "שלום", "\ud800"], ids=range(6))
@pytest.mark.parametrize("check", [cells, near_copies, phrases, language_mix])
def test_awkward_texts_have_answers(check, text):
    texts = drawn(40)
    texts[5] = text.encode("utf-8", "replace").decode()
    assert check(view_of(texts, labels_of(40))).practice.startswith("audit.text-")


@pytest.mark.parametrize("check", [cells, near_copies, phrases, language_mix])
def test_texts_that_are_all_equal_have_answers(check):
    assert check(view_of(["one and the same text in every row"] * 40, labels_of(40))).practice.startswith("audit.text-")
