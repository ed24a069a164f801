"""The registry of rules: what goes wrong in training, the one number that shows it, and from where on it counts.

A rule is one number held against one limit. Limits without a paper or tool behind them ("ours") were set on the seeded
bugs of `benchmarks/doctor.py`, which also says how often each rule is wrong; only rules that the benchmark found silent
on healthy code may block.
"""

from __future__ import annotations

from enum import StrEnum
from types import MappingProxyType
from typing import Literal

from assay.records import Record


class Level(StrEnum):
    """How much a rule that fires means: it blocks, it warns, or it is worth knowing."""

    BLOCK = "block"
    WARN = "warn"
    NOTE = "note"


Stage = Literal["before", "at the start", "during", "after"]


class Rule(Record):
    """A symptom, the statistic that shows it, the limit from which it counts, and what to do.

    It fires where the number is above the limit, or below it where `below` is true. `cost` is what finding out takes.
    """

    id: str
    stage: Stage
    level: Level
    symptom: str
    statistic: str
    limit: float
    below: bool
    source: str
    fix: str
    cost: str

    def fires(self, value: float) -> bool:
        """Whether the number is on the wrong side of the limit; one that is not a number is."""
        return not (value >= self.limit if self.below else value <= self.limit)


_KARPATHY = "Karpathy, A Recipe for Training Neural Networks (2019)"
_LEAKAGE = "Kapoor & Narayanan, Leakage (Patterns 2023)"
_CHECKS = "deepchecks, default conditions"
_DEBUGGER = "Amazon SageMaker Debugger, built-in rules"
_COCKPIT = "Schneider et al., Cockpit (NeurIPS 2021)"
_B, _W, _N = Level.BLOCK, Level.WARN, Level.NOTE
_BEFORE: Stage = "before"
_START: Stage = "at the start"
_DURING: Stage = "during"
_AFTER: Stage = "after"
_PASS, _FORWARD, _RUN = "one pass over the rows", "a forward pass", "the short training"


def _rule(
    id: str,  # noqa: A002
    stage: Stage,
    level: Level,
    symptom: str,
    statistic: str,
    limit: float,
    source: str,
    fix: str,
    cost: str,
    *,
    below: bool = False,
) -> Rule:
    return Rule(
        id=id, stage=stage, level=level, symptom=symptom, statistic=statistic, limit=limit, below=below,
        source=source, fix=fix, cost=cost,
    )  # fmt: skip


_ALL = (
    # before: the rows
    _rule("data.finite", _BEFORE, _B, "Inputs or targets hold NaN or infinity.", "numbers that are not finite", 0,
          _DEBUGGER, "Fill or leave out such rows before the loader.", _PASS),
    _rule("data.scale", _BEFORE, _W, "Inputs are not scaled.", "log10 of the largest column's size, or of 1 / the "
          "usual spread", 1.0, "LeCun et al., Efficient BackProp (1998), 4.3", "Standardise the inputs with the "
          "training rows' mean and deviation.", _PASS),
    _rule("data.target-scale", _BEFORE, _W, "The target of a regression is not scaled.", "abs log10 of its size", 1.0,
          "LeCun et al. (1998), 4.3", "Standardise the target, and undo it in the answer.", _PASS),
    _rule("data.outliers", _BEFORE, _W, "A few values lie far outside their column.", "largest distance from the "
          "mean, in deviations of the others", 100.0, "ours",
          "Look at these rows; clip, take logs, or leave them out.", _PASS),
    _rule("data.constant", _BEFORE, _N, "Columns of the input never change.", "share of columns", 0.2, _CHECKS,
          "Leave them out.", _PASS),
    _rule("data.duplicates", _BEFORE, _W, "Training rows are repeated.", "share of rows that repeat another", 0.05,
          _CHECKS, "Remove copies before splitting.", _PASS),
    _rule("data.overlap", _BEFORE, _B, "Rows that judge the model are also rows it learns from.",
          "share of judging rows that are training rows, beyond what copies explain", 0.01, _LEAKAGE + ", L1.4",
          "Remove copies, then split; where rows belong together, split by group.", _PASS),
    _rule("data.near-overlap", _BEFORE, _W, "Rows that judge the model are almost rows it learns from.",
          "share nearer to a training row than 99 % of training rows are to each other", 0.08, "ours, after "
          "Barz & Denzler (J. Imaging 2020)", "Split by what the rows were made of (person, picture, session).",
          "distances among 2,000 rows"),
    _rule("data.conflicts", _BEFORE, _W, "Equal inputs have different targets.", "share of rows in conflict", 0.01,
          "Northcutt et al., Pervasive Label Errors (NeurIPS 2021)", "Look at how they were labelled.", _PASS),
    _rule("data.leak", _BEFORE, _W, "One input column tells the target.", "its share of right answers beyond chance, "
          "or R2", 0.97, _CHECKS + "; " + _LEAKAGE + ", L2", "Ask whether it is known when the answer is needed.",
          "a histogram a column"),
    _rule("data.no-signal", _BEFORE, _W, "Targets have nothing to do with their inputs.", "gain of a forest over "
          "chance on other rows, in standard errors", 3.0, _KARPATHY, "Check that inputs and targets are shuffled and "
          "joined together.", "a small forest", below=True),
    _rule("data.label-noise", _BEFORE, _W, "Many labels contradict rows like theirs.", "share of labels that a forest "
          "of other rows finds wrong", 0.08, "Northcutt et al., Confident Learning (JAIR 2021)",
          "Look at the rows named; relabel them.", "a small forest"),
    _rule("data.imbalance", _BEFORE, _W, "Classes are unequal and the loss takes no notice.", "smallest / largest "
          "class", 0.1, _CHECKS, "Adjust logits or weights by the prior, tune the threshold, score by AUPRC.", _PASS,
          below=True),
    _rule("data.prevalence", _BEFORE, _W, "Classes, or target values, are mixed differently in the validation rows.",
          "Cramer's V, or the largest gap between distributions, where p < 0.01", 0.15, "ours, after " + _CHECKS,
          "Stratify the split.", _PASS),
    _rule("data.drift", _BEFORE, _W, "Validation inputs are unlike training inputs.", "Gini index (2 AUC - 1) of a "
          "classifier that tells them apart, lower 99 % bound", 0.25, _CHECKS + "; Lopez-Paz & Oquab (ICLR 2017)",
          "Treat both parts alike (scaling, cropping); split at random, or by time on purpose.", "a small forest"),
    _rule("data.labels", _BEFORE, _B, "Labels do not fit the model's outputs.", "labels outside the outputs, and "
          "one more where none is 0", 0, _KARPATHY, "Number classes from 0, and give the model one output a class.",
          _PASS),
    _rule("data.valid-size", _BEFORE, _N, "There are too few validation rows to tell models apart.", "rows", 100,
          _CHECKS, "Cross-validate, or hold back more rows.", _PASS, below=True),
    _rule("loader.sorted", _BEFORE, _W, "Batches come in the order of the target.", "association of batch and target "
          "beyond chance, where p < 0.0001", 0.3, "Bengio, Practical Recommendations (2012), 3.1.2",
          "Shuffle the training rows: DataLoader(..., shuffle=True).", _PASS),
    _rule("loader.same-order", _BEFORE, _W, "Every epoch has its rows in the same order.", "share of batches that "
          "were the same in two epochs", 0.5, "Bengio (2012), 3.1.2", "DataLoader(..., shuffle=True).",
          "a second pass"),
    _rule("loader.coverage", _BEFORE, _W, "An epoch leaves out rows of the data set.", "share of the data set's "
          "rows that an epoch showed", 0.85, "ours", "Check the sampler, the indices and drop_last.", _PASS,
          below=True),
    _rule("loader.last-batch", _BEFORE, _W, "The last batch is too small for batch normalisation.", "rows", 8,
          "Wu & He, Group Normalization (ECCV 2018)", "drop_last=True, or another batch size.", _PASS, below=True),
    # at the start: model, loss and optimiser
    _rule("start.loss", _START, _W, "The first loss is not that of a model that knows nothing.", "distance from the "
          "loss of an ignorant answer, as a share of it", 0.35, _KARPATHY, "Scale the inputs, start the last layer "
          "small and its bias at the prior.", _FORWARD),
    _rule("start.overfit-batch", _START, _W, "The model cannot learn a single batch by heart.", "loss left after 300 "
          "steps on it, as a share of the first", 0.5, _KARPATHY, "Look for detached tensors, a wrong loss, a "
          "last activation, or frozen parameters.", "300 steps on 32 rows"),
    _rule("start.input-ignored", _START, _B, "Answers do not depend on the input.", "spread of the answers over "
          "rows, as a share of their size", 1e-4, _KARPATHY, "Follow the input through `forward`.", _FORWARD,
          below=True),
    _rule("start.columns-ignored", _START, _W, "Part of the input does not reach the answer.", "share of changing "
          "columns without a gradient", 0.1, _KARPATHY, "Check slices, strides and the parts that are joined.",
          "a backward pass"),
    _rule("start.batch-mixing", _START, _B, "A row's answer depends on other rows of its batch.", "largest change by "
          "another row, as a share of the answers", 1e-3, _KARPATHY, "Look for a view, transpose, softmax or mean "
          "over the wrong axis, or batch_first=False.", _FORWARD),
    _rule("start.variance", _START, _W, "Signals shrink or grow from layer to layer.", "log10 of the ratio of the "
          "layers' deviations", 2.0, "He et al., Delving Deep into Rectifiers (ICCV 2015)", "He or Glorot initial "
          "weights, normalisation, residual connections.", _FORWARD),
    _rule("start.no-gradient", _START, _B, "Parameters get no gradient.", "share of the parameters that should learn",
          0.0, _DEBUGGER, "Look for detach(), no_grad, .data, and layers that `forward` leaves out.",
          "a backward pass"),
    _rule("start.not-optimised", _START, _B, "The optimiser does not know all parameters.", "share of the parameters "
          "that should learn", 0.0, "ours", "Make the optimiser after the model is complete: "
          "Optimizer(model.parameters()).", "none"),
    _rule("start.frozen", _START, _N, "Most parameters are frozen.", "share with requires_grad=False", 0.5, "ours",
          "Nothing, where it is meant.", "none"),
    _rule("start.small-batch-norm", _START, _W, "Batches are too small for batch normalisation.", "rows a batch", 8,
          "Wu & He (ECCV 2018), figure 1", "GroupNorm or LayerNorm, or larger batches.", "none", below=True),
    _rule("start.double-softmax", _START, _B, "The model takes a softmax or sigmoid, and the loss takes it again.",
          "1 if both do", 0.5, "PyTorch, CrossEntropyLoss", "Remove the last activation of the model.", _FORWARD),
    _rule("start.loss-mismatch", _START, _B, "The loss expects log probabilities and gets something else.",
          "distance of their sum from 1", 0.01, "PyTorch, NLLLoss", "CrossEntropyLoss on logits, or log_softmax "
          "before NLLLoss.", _FORWARD),
    _rule("start.pairing", _START, _B, "The loss does not pair answers with their targets.", "1 if it is the same for "
          "exchanged targets", 0.5, _KARPATHY, "Give both one shape: outputs (n, 1) and targets (n,) broadcast to "
          "(n, n). Use squeeze(1).", "a few losses"),
    _rule("start.loss-sign", _START, _B, "Right answers have a higher loss than wrong ones.", "loss of right answers "
          "less that of exchanged ones", 0.0, "ours", "Turn the sign of the loss.", "a few losses"),
    _rule("start.random-answers", _START, _B, "In eval mode, equal rows get different answers.", "largest difference, "
          "as a share of the answers", 1e-4, "PyTorch, functional.dropout", "F.dropout(x, p, training=self.training), "
          "or nn.Dropout.", _FORWARD),
    _rule("start.symmetry", _START, _B, "Units of a hidden layer are copies of each other.", "layers", 0,
          "Goodfellow et al., Deep Learning (2016), 8.4", "Random initial weights.", "none"),
    _rule("start.linear", _START, _W, "Several layers do no more than one would.", "distance from a linear function, "
          "as a share of the answers", 1e-4, "Goodfellow et al. (2016), 6.1", "Put an activation between layers.",
          _FORWARD, below=True),
    _rule("start.decay", _START, _N, "Weight decay pulls on biases and norms.", "such parameters", 0,
          "He et al., Bag of Tricks (CVPR 2019), 3.1", "A group of parameters without decay for those of one "
          "dimension.", "none"),
    # during: a short training as the user does it
    _rule("run.finite", _DURING, _B, "Loss or gradient became NaN or infinite.", "steps", 0, _DEBUGGER,
          "Lower the learning rate, clip gradients, add an epsilon where there is a log, root or quotient.", _RUN),
    _rule("run.completes", _DURING, _B, "Training stops with an error.", "errors", 0, "ours",
          "Mend what the error names.", _RUN),
    _rule("run.no-step", _DURING, _B, "A training step leaves the parameters as they were.", "relative change by "
          "two steps", 1e-12, _DEBUGGER, "Call loss.backward() and optimizer.step().", "two steps", below=True),
    _rule("run.zero-grad", _DURING, _B, "Gradients of earlier steps are added up.", "growth of the gradient when a "
          "batch comes twice", 1.5, "PyTorch, Optimizer.zero_grad", "Call optimizer.zero_grad() in every step.",
          "two steps"),
    _rule("run.train-mode", _DURING, _W, "Dropout or batch normalisation is off while training.", "share of forward "
          "passes of a step in eval mode", 0.0, "PyTorch, Module.train", "Call model.train() before training, and "
          "again after every evaluation.", "a step"),
    _rule("run.evaluation-mode", _DURING, _B, "Dropout or batch normalisation is on while evaluating.", "share of "
          "forward passes in train mode", 0.0, "PyTorch, Module.eval", "Call model.eval() before evaluating.",
          "an evaluation"),
    _rule("run.evaluation-learns", _DURING, _B, "Evaluating changes the model.", "parameters and statistics that "
          "changed", 0, _LEAKAGE + ", L1", "model.eval() and torch.no_grad(); no step on validation rows.",
          "an evaluation"),
    _rule("run.rate-high", _DURING, _W, "The learning rate is too high.", "loss that a tenth of it would save, as a "
          "share of the first", 0.08, _COCKPIT + "; Smith (WACV 2017)", "Divide the learning rate by 3 to 10, or warm "
          "up.", "two short trainings"),
    _rule("run.rate-low", _DURING, _N, "The learning rate is too low.", "fall of the loss as a share of that at ten "
          "times the rate", 0.15, _COCKPIT + "; Smith (WACV 2017)", "Multiply the learning rate by 3 to 10; "
          "`assay lr-find` does so for tables.", "two short trainings", below=True),
    _rule("run.spikes", _DURING, _W, "The gradient jumps.", "largest jump, in medians of the last 100", 100.0,
          "ours, after " + _DEBUGGER, "Look at the batch; clip the gradient's norm.", _RUN),
    _rule("run.vanishing", _DURING, _W, "Gradients vanish on their way to the first layers.", "log10 of the ratio "
          "of the layers' relative gradients", 3.0, "Glorot & Bengio (AISTATS 2010)", "Residual connections, "
          "normalisation, ReLU instead of sigmoid.", _RUN),
    _rule("run.dead-units", _DURING, _W, "Units answer zero to every row.", "share of units, in the worst layer", 0.5,
          _DEBUGGER + "; Lu et al., Dying ReLU (2020)", "Lower the learning rate, leaky ReLU, normalisation.",
          _FORWARD),
    _rule("run.saturation", _DURING, _W, "Units of tanh or sigmoid are stuck at their ends.", "share of activations, "
          "in the worst layer", 0.5, _DEBUGGER, "Smaller initial weights, scaled inputs, normalisation.", _FORWARD),
    _rule("run.update-ratio", _DURING, _W, "Steps are far too large or too small for the weights.", "abs log10 of "
          "the median ratio of step and weights to 0.001", 2.0, _KARPATHY, "Change the learning rate.", _RUN),
    _rule("run.not-learning", _DURING, _W, "The training loss does not fall.", "last loss as a share of the first",
          0.95, _DEBUGGER, "See the rules above; otherwise another learning rate.", _RUN),
    _rule("run.not-repeatable", _DURING, _W, "With the same seed, training goes another way.", "largest relative "
          "difference of weights after five steps", 1e-4, "Pineau et al., Improving Reproducibility (JMLR 2021)",
          "Draw every random number from generators that the seed sets.", "ten steps"),
    _rule("run.always-clipped", _DURING, _W, "Every step is clipped to the same length.", "spread of the gradient's "
          "norm, as a share of it", 1e-3, "Pascanu et al., Training RNNs (ICML 2013)", "Raise the limit to a usual "
          "norm of the gradient.", _RUN, below=True),
    # after: what the short training led to
    _rule("after.overfit", _AFTER, _W, "The validation loss rises while the training loss falls.", "rise above its "
          "minimum, as a share of it, where it is beyond 2 standard errors", 0.15,
          "Prechelt, Early Stopping - But When? (1998)", "Stop early, keep the best weights, regularise.", _RUN),
    _rule("after.gap", _AFTER, _N, "The validation loss is far above the training loss.", "validation loss / training "
          "loss", 1.25, "Goodfellow et al. (2016), 5.2", "More dropout or weight decay may help; the best weights are "
          "what to keep.", _RUN),
    _rule("after.underfit", _AFTER, _W, "The model does worse on its own training rows than a linear one.", "its score "
          "less the linear model's, upper bound", -0.02, _CHECKS, "More capacity, another learning rate, a longer "
          "training.", _RUN, below=True),
    _rule("after.no-gain", _AFTER, _W, "The model does no better than a constant answer.", "gain on validation rows, "
          "in standard errors", 2.0, _CHECKS, "See the rules above.", _RUN, below=True),
    _rule("after.linear-enough", _AFTER, _N, "A linear model does as well.", "gain over it on validation rows, in "
          "standard errors", 2.0, "Demsar, Statistical Comparisons (JMLR 2006)", "Keep the simple model, or train "
          "longer.", _RUN, below=True),
    _rule("after.evaluation-gap", _AFTER, _W, "In eval mode the model answers its training rows much worse.",
          "loss in eval mode / in train mode", 1.5, "Ioffe & Szegedy, Batch Normalization (2015), 3.1", "Check the "
          "momentum and the statistics of batch normalisation.", _FORWARD),
    _rule("after.calibration", _AFTER, _N, "Probabilities are not calibrated.", "calibration error beyond the 99 % "
          "quantile of a calibrated model's", 0.0, "Guo et al., On Calibration (ICML 2017)", "Temperature scaling on "
          "validation rows.", _FORWARD),
    _rule("after.memorised", _AFTER, _N, "Losses tell training rows from others.", "training rows found at 1 % false "
          "alarms, lower 99 % bound", 0.05, "Carlini et al., Membership Inference (S&P 2022)", "Regularise; "
          "differential privacy where rows are secrets.", _FORWARD),
)  # fmt: skip

RULES: MappingProxyType[str, Rule] = MappingProxyType({rule.id: rule for rule in _ALL})
