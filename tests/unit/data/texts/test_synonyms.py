"""Synonyms from files as WordNet writes them."""

import pytest

from assay.data.texts.synonyms import synonyms_of, wordnet_folder
from assay.data.texts.words import ids_of
from assay.errors import ConfigError

LICENCE = "  1 This software and database is being provided to you, the LICENSEE, by\n"
FILES = {
    # film is a noun with two tagged senses and a verb with one.
    "index.noun": "film n 2 1 @ 2 2 00000010 00000020  \nmovie n 1 0 1 1 00000010  \n"
    "picture_show n 1 0 1 0 00000010  \n",
    "data.noun": "00000010 10 n 03 film 0 movie 0 picture_show 0 000 | a story in pictures  \n"
    "00000020 10 n 02 film 0 layer 0 000 | a thin coat  \n",
    "index.verb": "film v 1 0 1 1 00000030  \nshoot v 1 0 1 1 00000030  \n",
    "data.verb": "00000030 30 v 02 film 0 shoot 0 01 + 00000010 n 0101 | make a film  \n",
    "index.adj": "good a 1 0 1 1 00000040  \nfine a 1 0 1 1 00000040  \nthe a 1 0 1 1 00000040  \n",
    "data.adj": "00000040 00 a 03 good 0 Fine(p) 0 the 0 000 | pleasant  \n",
    "index.adv": "", "data.adv": "",
}  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    for name, text in FILES.items():
        (tmp_path / name).write_text(LICENCE + text)
    return tmp_path


def test_the_first_sense_of_the_same_part_of_speech_without_stop_words(folder):
    found = synonyms_of(["The Film and the movie", "a layer, shoot!", "fine good words"], folder)
    film, movie, shoot, good, fine, the, layer = ids_of(
        ["film", "movie", "shoot", "good", "fine", "the", "layer"]
    ).tolist()
    told = {
        word: [other for other in found.table[word].tolist() if other] for word in (film, movie, good, fine, the, layer)
    }
    assert told == {film: [movie], movie: [film], good: [fine], fine: [good], the: [], layer: []}
    assert found.table[shoot].tolist()[0] == film
    assert found.words == 5
    assert (found.table[0] == 0).all()


def test_only_words_of_the_training_texts_are_synonyms(folder):
    found = synonyms_of(["film good"], folder)
    assert (found.words, found.table.any()) == (0, False)


def test_a_folder_that_was_named_must_have_the_files(folder, tmp_path):
    assert wordnet_folder(str(folder)) == folder
    (tmp_path / "index.adv").unlink()
    with pytest.raises(ConfigError, match=r"index\.adv"):
        wordnet_folder(str(folder))
