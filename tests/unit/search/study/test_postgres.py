"""A study in a real PostgreSQL database: killed, gone on with, beside others, and when the server is gone."""

import importlib.util
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

pytest.importorskip("optuna")

from assay.errors import BundleError, ConfigError
from assay.search.study.store import Store, check_free, open_storage, reachable
from assay.search.study.study import Limits
from assay.train.budget import Budget
from assay.train.watch import Unwatched

pytestmark = pytest.mark.slow
PROGRAM = Path(__file__).with_name("studies.py")
_spec = importlib.util.spec_from_file_location("studies", PROGRAM)
made = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(made)
#: Where Debian has the programs of the server, besides on the path.
DEBIAN = sorted(Path("/usr/lib/postgresql").glob("*/bin"))


def program(name):
    return shutil.which(name, path=os.pathsep.join([*map(str, DEBIAN), os.environ["PATH"]]))


@pytest.fixture(scope="module")
def server():
    """The URL of an empty database of a server that was started for these tests, and what stops it."""
    driver = next((each for each in ("psycopg", "psycopg2") if importlib.util.find_spec(each)), None)
    if driver is None:
        pytest.skip("no driver of PostgreSQL is installed (pip install 'psycopg[binary]')")
    initdb, postgres = program("initdb"), program("postgres")
    if initdb is None or postgres is None:
        pytest.skip("no PostgreSQL server is installed (on Debian: apt-get install postgresql)")
    user = None if os.geteuid() else "postgres"  # it refuses to be run by root
    if user is not None and user not in {each.pw_name for each in pwd.getpwall()}:
        pytest.skip("PostgreSQL is not run by root, and there is no user postgres")
    with tempfile.TemporaryDirectory(prefix="pg") as folder:
        if user is not None:
            shutil.chown(folder, user)
        data, name = Path(folder) / "data", user or pwd.getpwuid(os.geteuid()).pw_name
        whose = {"user": user, "cwd": folder, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        subprocess.run([initdb, "-D", str(data), "--auth=trust", "--no-sync", "-E", "UTF8"], check=True, **whose)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        command = [postgres, "-D", str(data), "-p", str(port), "-k", folder, "-h", "127.0.0.1", "-F"]
        held = subprocess.Popen(command, **whose)
        ready = [program("pg_isready"), "-h", "127.0.0.1", "-p", str(port), "-t", "30"]
        for _ in range(100):
            if subprocess.run(ready, check=False, stdout=subprocess.DEVNULL).returncode == 0:
                break
            if held.poll() is not None:
                pytest.skip("PostgreSQL does not start on this machine")
        yield f"postgresql+{driver}://{name}@127.0.0.1:{port}/postgres", held
        if held.poll() is None:
            held.send_signal(signal.SIGINT)
        held.wait(30)


def run(study, trials):
    return study.run(Limits(trials, Budget(None)), Unwatched())


def study(folder, url, name, **options):
    return made.study(folder, options.pop("objective", None) or made.Formula(), url=url, name=name, **options)


@pytest.mark.parametrize("pruning", ["none", "asha"])
def test_a_study_that_is_killed_goes_on_to_the_same_trials(server, tmp_path, pruning):
    url, name = server[0], f"killed-{pruning}"
    for kill in (5, 9):
        command = [sys.executable, str(PROGRAM), str(tmp_path / "a"), "tpe", "conditional", pruning, "16", str(kill),
                   url, name]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == -signal.SIGKILL, done.stderr
    epochs = 9 if pruning != "none" else 1
    again = study(tmp_path, url, name, pruning=pruning, objective=made.Formula(epochs=epochs))
    run(again, 16)
    (tmp_path / "b").mkdir()
    whole = made.study(tmp_path / "b", made.Formula(epochs=epochs), pruning=pruning)
    run(whole, 16)
    assert made.tried(again) == made.tried(whole)
    assert made.tried(study(tmp_path, url, name, pruning=pruning)) == made.tried(whole)
    stored = open_storage(url, tmp_path, mend=True)
    states = [each.state.name for each in stored.get_all_trials(stored.get_study_id_from_name(name), deepcopy=False)]
    assert "RUNNING" not in states


def test_two_processes_search_beside_each_other_in_one_database(server, tmp_path):
    url = server[0]
    both = [
        subprocess.Popen([sys.executable, str(PROGRAM), str(tmp_path / each), "tpe", "conditional", "none", "24", "99",
                          url, f"beside-{each}"])
        for each in "ab"
    ]  # fmt: skip
    assert [each.wait(120) for each in both] == [0, 0]
    alone = made.study(tmp_path, made.Formula())
    run(alone, 24)
    for each in "ab":
        assert made.tried(study(tmp_path, url, f"beside-{each}")) == made.tried(alone)


def test_a_name_that_is_taken_is_refused_and_so_is_a_study_of_others(server, tmp_path):
    url = server[0]
    run(study(tmp_path, url, "taken"), 2)
    with pytest.raises(ConfigError, match="has a study 'taken'"):
        check_free(url, "taken")
    check_free(url, "free")
    with pytest.raises(BundleError, match="of others, or of another directory"):
        Store(open_storage(url, tmp_path, mend=False), "taken", made.SPACE, higher=False, identity="two", begins=True)


def test_a_server_that_went_away_is_told_and_nothing_is_lost(server, tmp_path):
    url, held = server

    def after(judged):
        if judged == 6:
            held.send_signal(signal.SIGINT)  # a fast shutdown: it does not wait for those who are connected
            held.wait(30)

    begun = study(tmp_path, url, "gone", objective=made.Formula(after=after))
    with pytest.raises(ConfigError, match="must stay reachable") as error, reachable(url):
        run(begun, 16)
    assert "Trials that were finished are kept there" in str(error.value)
    with pytest.raises(ConfigError, match="must be reachable"):
        open_storage(url, tmp_path, mend=False)
