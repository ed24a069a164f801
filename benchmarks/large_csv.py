"""A CSV of 5 million rows and 20 columns (about 1 GB): seconds per million rows by stage, and peak memory.

The file is made here, the same for the same number of rows, in a temporary folder that goes afterwards. A process of
its own then does what a fit does before it trains: read, infer, audit, split, learn the encoding and encode the
training and validation rows. Goal: its memory stays below 6 GB.
"""

import argparse
import json
import resource
import shutil
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl
from _measure import heading, parser, peaks, table, watched

MOST_GB, SMALL_ROWS, CHUNK = 6.0, 50_000, 100_000
BYTES_A_ROW = 260


def chunk(start: int, rows: int) -> pl.DataFrame:
    """Rows from `start` on: numbers, few and many words, dates, missing cells; the target follows some of them."""
    rng = np.random.default_rng([7, start])
    age, income = rng.integers(18, 95, rows), rng.lognormal(10, 1, rows)
    plan, score = rng.integers(0, 6, rows), rng.normal(size=rows)
    logit = 0.03 * (age - 50) + 0.4 * score + 0.3 * (plan == 2) - 0.5
    opened = np.datetime64("2015-01-01") + rng.integers(0, 3_000, rows)
    seen = np.datetime64("2023-01-01T00:00:00") + rng.integers(0, 31_536_000, rows)
    frame = pl.DataFrame(
        {
            "account": np.arange(start, start + rows) + 10_000_000,
            "age": age,
            "visits": rng.poisson(4, rows),
            "balance_cents": rng.integers(-500_000, 5_000_000, rows),
            "zip": rng.integers(10_000, 99_999, rows),
            "income": income,
            "score": score,
            "distance": rng.exponential(12, rows).round(3),
            "load": rng.random(rows),
            "temperature": rng.normal(15, 9, rows).round(1),
            "ratio": rng.gamma(2, 1, rows),
            "plan": np.array(["basic", "plus", "pro", "family", "student", "trial"])[plan],
            "region": np.char.add("region_", rng.integers(0, 30, rows).astype(str)),
            "channel": rng.choice(["web", "shop", "phone"], rows, p=[0.7, 0.2, 0.1]),
            "city": np.char.add("city ", rng.zipf(1.4, rows).clip(max=20_000).astype(str)),
            "device": np.char.add("device-model-", rng.integers(0, 200_000, rows).astype(str)),
            "member": rng.choice(["yes", "no"], rows),
            "opened": opened.astype("datetime64[ms]"),
            "seen": seen.astype("datetime64[ms]"),
            "churned": np.where(rng.random(rows) < 1 / (1 + np.exp(-logit)), "yes", "no"),
        }
    ).with_columns(pl.col("opened").cast(pl.Date))
    holes = {"income": 0.05, "distance": 0.1, "channel": 0.02, "city": 0.03, "opened": 0.01}
    return frame.with_columns(
        pl.when(pl.Series(rng.random(rows) >= share)).then(pl.col(name)).alias(name) for name, share in holes.items()
    )


def generate(path: Path, rows: int) -> None:
    with path.open("wb") as file:
        for start in range(0, rows, CHUNK):
            part = chunk(start, min(CHUNK, rows - start))
            part.write_csv(file, include_header=start == 0, datetime_format="%Y-%m-%d %H:%M:%S")


def prepare(path: Path) -> None:
    """What a fit does before it trains; prints seconds by stage and the most memory this process had, as JSON."""
    from assay.compose.run_config import RunConfig
    from assay.data.audit.audit import examine
    from assay.data.encoding.encode import Encoder
    from assay.data.infer import infer
    from assay.data.reading.read import read
    from assay.data.schema import Hints
    from assay.data.split.split import seal
    from assay.ledger import Ledger

    config, ledger, seconds = RunConfig(), Ledger(), {}
    clock = time.perf_counter()

    def lap(stage: str) -> None:
        nonlocal clock
        seconds[stage], clock = time.perf_counter() - clock, time.perf_counter()

    table_ = read(path)
    lap("read")
    schema = infer(table_, Hints(target="churned"))
    lap("infer")
    examine(table_, schema, config.data.audit, ledger)
    lap("audit")
    split = seal(table_, schema, config.data.split, seed=config.seed, ledger=ledger)
    lap("split")
    encoder = Encoder.fit(split.train, schema, config.data.encode, ledger)
    lap("encode: learn")
    encoded = [encoder.encode(part.frame) for part in (split.train, split.valid)]
    lap("encode: training and validation rows")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    kinds = {column.name: column.kind.value for column in schema.columns}
    print(json.dumps({"seconds": seconds, "peak": peak, "encoded": [len(part) for part in encoded], "kinds": kinds}))


def check_room(folder: Path, rows: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < rows * BYTES_A_ROW:
        raise SystemExit(
            f"{rows:,} rows need {rows * BYTES_A_ROW / 1e9:.1f} GB in {folder}, but {free / 1e9:.1f} GB are free. "
            "Name another folder with --dir, or take fewer --rows."
        )


def report(chosen: argparse.Namespace, rows: int) -> None:
    heading("A large CSV", small=chosen.small)
    with tempfile.TemporaryDirectory(dir=chosen.dir) as folder:
        path = Path(folder) / "large.csv"
        check_room(path.parent, rows)
        generate(path, rows)
        size = path.stat().st_size / 1e9
        found, anonymous, _ = watched([sys.executable, __file__, "--prepare", str(path)])
    kinds = sorted(found["kinds"].values())
    counted = ", ".join(f"{kinds.count(kind)} {kind}" for kind in dict.fromkeys(kinds))
    print(f"{rows:,} rows, {len(kinds)} columns ({counted}), {size:.2f} GB.\n")
    lines = [(stage, f"{each:.1f}", f"{each / rows * 1e6:.2f}") for stage, each in found["seconds"].items()]
    whole = sum(found["seconds"].values())
    table(
        ["stage", "seconds", "seconds per million rows"], [*lines, ("all", f"{whole:.1f}", f"{whole / rows * 1e6:.2f}")]
    )
    peaks(found["peak"], anonymous, MOST_GB)


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--rows", type=int, default=5_000_000)
    arguments.add_argument("--dir", type=Path, help="where the file is made (default: the system's temporary folder)")
    arguments.add_argument("--prepare", type=Path, help=argparse.SUPPRESS)
    chosen = arguments.parse_args()
    if chosen.prepare:
        prepare(chosen.prepare)
    else:
        report(chosen, SMALL_ROWS if chosen.small else chosen.rows)


if __name__ == "__main__":
    main()
