"""Options of the data stage: reading, the audit, the split and the encoding."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from assay.data.stored import Spill
from assay.records import Record


class AuditConfig(Record):
    """The audit of the data before training."""

    strict: bool = Field(False, description="Stop with exit code 3 when the audit has serious findings.")
    near_duplicate_rows: int = Field(
        200_000, ge=0, description="Rows searched for near duplicates at most; 0 searches none."
    )
    leak_auroc: float = Field(
        0.99, gt=0.5, le=1.0, description="A single column with this AUROC (or R2) for the target counts as a leak."
    )
    imbalance: float = Field(
        0.1, ge=0.0, le=1.0, description="Smallest class / largest class below which imbalance is reported."
    )


class SplitConfig(Record):
    """How rows are divided into training, validation and test rows."""

    valid: float = Field(0.1, gt=0.0, lt=1.0, description="Share of rows for validation.")
    test: float = Field(0.1, ge=0.0, lt=1.0, description="Share of rows sealed for the test; 0 makes no test part.")
    most_held_out: int = Field(
        100_000, ge=0, description="Rows of the validation part, and of the test part, at most; 0 sets no limit."
    )
    stratify: bool = Field(True, description="Keep the mix of classes, or of target quantiles, in every part.")
    keep_duplicates_together: bool = Field(True, description="Equal rows go to one part.")

    @model_validator(mode="after")
    def _leaves_training_rows(self) -> SplitConfig:
        if self.valid + self.test >= 1.0:
            raise ValueError(f"valid + test must be below 1 (got {self.valid} + {self.test})")
        return self

    def limited(self, share: float, rows: int) -> float:
        """What may be held out of so many rows, of which `share` is asked for."""
        return min(share, self.most_held_out / rows) if self.most_held_out else share


class EncodeConfig(Record):
    """How columns become numbers; everything here is learned on training rows only."""

    scale: Literal["standard", "robust", "unit", "symmetric", "quantile", "none"] = Field(
        "robust",
        description="Scaling of numbers: z-score, median and quartiles, [0, 1], [-1, 1], normal by quantiles, or none.",
    )
    clip: float = Field(
        3.0, ge=0.0, description="Smooth limit of scaled numbers, x / sqrt(1 + (x / clip)^2); 0 switches it off."
    )
    missing_flags: bool = Field(True, description="Add an input that says a number was missing.")
    quantiles: int = Field(128, ge=4, le=1024, description="Knots of the quantile scaling.")
    max_categories: int = Field(1024, ge=1, description="Most categories kept in a column; rarer ones become unknown.")
    min_category_rows: int = Field(2, ge=1, description="Training rows a category needs to have its own vector.")
    text_buckets: int = Field(
        256, ge=16, le=65536, description="Hash buckets of a text column that no text encoder reads."
    )
    text_ngrams: int = Field(2, ge=1, le=4, description="Longest word n-gram in these buckets.")
    text_grams: int = Field(
        1 << 18,
        ge=0,
        le=1 << 22,
        multiple_of=2,
        description="Hash buckets of the words and letters that a linear model of texts weighs; 0 leaves it out.",
    )
    text_encoder: str = Field(
        "auto",
        description="Pretrained encoder that reads texts: minilm, the folder of one, hf:ORG/NAME of the hub (which "
        "allows the network), none, or auto for minilm where it is installed and the time allows.",
    )
    text_words: int = Field(
        512, ge=1, le=8192, description="Words of a text that networks of words (text_cnn and others) read at most."
    )
    series_length: int = Field(
        5000, ge=1, le=100_000, description="Steps of a series that are read at most; those of the longest, if fewer."
    )
    picture_side: int = Field(
        128, ge=8, le=1024, description="Pixels of the longer side that larger pictures are shrunk to."
    )
    text_window: int = Field(128, ge=16, le=512, description="Tokens that a text encoder reads at once.")
    text_windows: int = Field(
        0,
        ge=0,
        le=32,
        description="Windows of a text that the encoder reads, from both its ends; 0 reads as many as there is time "
        "for, 32 at most.",
    )


class DataConfig(Record):
    """The data stage."""

    series: str = Field(
        "auto",
        description="Columns that are the steps of one series: a pattern of their names such as v{}, none, or auto for "
        "t0, t1, ... (16 or more).",
    )
    labels: str = Field(
        "auto",
        min_length=1,
        description="The sign between the labels of a cell of the target, as in drama|comedy; none where a cell is one "
        "class, or auto for lists and for | between words that recur.",
    )
    case: str | None = Field(
        None, min_length=1, description="The column that names the case, where a row is one step of a series."
    )
    step: str | None = Field(None, min_length=1, description="The column that orders the steps of a case.")
    every: Annotated[float, Field(gt=0.0)] | Literal["auto", "rows"] = Field(
        "auto",
        description="From one step of a series to the next, in units of its times (seconds for dates): rows of uneven "
        "times are brought to such steps; auto finds it, rows takes each row as a step. A forecast takes means of it.",
    )
    horizon: int = Field(
        0,
        ge=0,
        le=10_000,
        description="Steps of the target that are forecast from those before them; 0 forecasts none.",
    )
    window: int = Field(
        0, ge=0, le=20_000, description="Steps before a forecast that it is made from; 0 leaves it to the data."
    )
    season: int = Field(
        0, ge=0, le=20_000, description="Steps after which a series repeats itself; 1 for never, 0 looks for it."
    )
    known: tuple[str, ...] = Field(
        (), description="Columns that are known for the steps to come as well, such as holidays and prices."
    )
    memory: int = Field(
        1000,
        ge=0,
        description="MB that a table read from a file, or its encoding, may take in memory; larger ones lie in files.",
    )
    audit: AuditConfig = AuditConfig()
    split: SplitConfig = SplitConfig()
    encode: EncodeConfig = EncodeConfig()

    @field_validator("series")
    @classmethod
    def _is_known_or_a_pattern(cls, value: str) -> str:
        if value not in ("auto", "none") and value.count("{}") != 1:
            raise ValueError(
                f"series must be auto, none, or a name with one {{}} for the number, as in v{{}} (got {value!r})"
            )
        return value

    @field_validator("case", "step", mode="before")
    @classmethod
    def _none_is_no_column(cls, value: object) -> object:
        return None if value == "none" else value

    @field_validator("known", mode="before")
    @classmethod
    def _one_name_is_a_list_of_one(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _forecasts_with_a_horizon(self) -> DataConfig:
        said = [name for name in ("window", "season", "known") if getattr(self, name)]
        if said and not self.horizon:
            raise ValueError(f"{', '.join(said)} {'is' if len(said) == 1 else 'are'} of a forecast: set horizon, too")
        if self.horizon and self.step is not None:
            raise ValueError(f"--time orders the steps of a forecast: leave step out (got step={self.step})")
        if self.horizon and self.series not in ("auto", "none"):
            raise ValueError(f"the steps of a forecast are rows: leave series out (got series={self.series})")
        return self

    @model_validator(mode="after")
    def _folds_in_one_way(self) -> DataConfig:
        if self.step is not None and self.case is None:
            raise ValueError(f"step orders the steps of a case: name the column of cases, too (got step={self.step})")
        if self.every != "auto" and self.step is None and not self.horizon:
            raise ValueError(f"every is of the times of a series: name their column with step (got every={self.every})")
        if self.case is not None and self.series not in ("auto", "none"):
            raise ValueError(
                f"steps are rows or columns: case or a pattern for series (got {self.case} and {self.series})"
            )
        return self

    def spill(self, folder: Path) -> Spill:
        """Where tables are kept that are larger than the memory allowed."""
        return Spill(folder, self.memory * 1_000_000)
