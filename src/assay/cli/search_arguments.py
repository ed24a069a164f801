"""The options of `assay tune` that no other verb has: what is searched, how, and where trials are judged."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Data = Annotated[
    str | None,
    typer.Argument(metavar="DATA", help="The table: a file or a glob.", show_default="from --config"),
]
Overrides = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="KEY=VALUE", help="Options that all trials have, as for fit: model.name=mlp.", show_default="none"
    ),
]
Over = Annotated[
    list[str] | None,
    typer.Option(
        metavar="OPTIONS",
        help="Options to search: train.lr,model.width or with ranges train.lr=1e-4..1e-1,model.name=mlp|tabm. "
        "Repeatable.",
        show_default="the families that suit the data and their main options",
    ),
]
Space = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="The space in YAML: parameters, constraints.", show_default="none"),
]
Settings = Annotated[
    Path | None, typer.Option(metavar="FILE", help="A list of settings in YAML to try.", show_default="none")
]
Sampler = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="auto, grid, random, quasi, tpe, gp, cmaes or nsga2.", show_default="auto"),
]
Prune = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="none, asha, hyperband or median (over epochs), wilcoxon (over folds).",
        show_default="none",
    ),
]
Objective = Annotated[
    str | None,
    typer.Option(
        metavar="NAMES",
        help="What settings are to be good in: score, or with it latency, size or fairness (the gap between groups of "
        "--sensitive columns), as score,latency.",
        show_default="score",
    ),
]
Pick = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        help="With --resume: the trial that is trained in the end.",
        show_default="the best; of several objectives the knee of the front",
    ),
]
Trials = Annotated[
    int | None,
    typer.Option(metavar="N", help="Most settings to try.", show_default="as many as there is time for"),
]
Folds = Annotated[
    int | None,
    typer.Option(metavar="N", help="Folds that judge; 1 takes the validation rows.", show_default="by the rows"),
]
MetricName = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="What trials are judged by: auroc, log_loss, rmse.", show_default="by the task"),
]
Jobs = Annotated[int | None, typer.Option(metavar="N", help="Worker processes.", show_default="1")]
Engine = Annotated[
    str | None,
    typer.Option(
        metavar="NAME", help="local, or ray: trials go to a Ray cluster that runs already.", show_default="local"
    ),
]
Address = Annotated[
    str | None,
    typer.Option(metavar="HOST:PORT", help="Of the Ray cluster.", show_default="RAY_ADDRESS"),
]
Storage = Annotated[
    str | None,
    typer.Option(metavar="URL", help="An SQLite or PostgreSQL database.", show_default="a journal in the folder"),
]
Ensemble = Annotated[
    bool | None,
    typer.Option(
        "--ensemble/--no-ensemble",
        help="Train the best settings as parts of one model, where that is better than the best alone.",
        show_default="on with one objective",
    ),
]
FitBest = Annotated[
    bool | None,
    typer.Option("--fit/--no-fit", help="Train the best setting in the end, or only search.", show_default="fit"),
]
Budget = Annotated[
    str | None,
    typer.Option(metavar="TIME", help="Of all, the final fit included: 60s, 10m, none.", show_default="5m"),
]
Out = Annotated[
    Path | None,
    typer.Option("--out", "-o", metavar="DIR", help="A new folder for the study.", show_default="under studies/"),
]
Resume = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        help="Go on with a study that was killed or ended; --trials, --budget, --fit, --pick and --address may be "
        "given anew, and nothing else.",
        show_default="a new study",
    ),
]
