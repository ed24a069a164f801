"""The registry of practices: what good deep-learning work does, one sentence each, with its source.

`docs/practices.md` is generated from this list. A practice belongs here once a stage of assay records a verdict on it.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Literal

from assay.records import Record
from assay.switches import REASONS, SWITCHES

Verb = Literal["fit", "synthesise"]


class Practice(Record):
    """An accepted practice: `evidence` says what number or fact counts as proof that it was followed.

    verb: the command whose ledger has a verdict on it.
    """

    id: str
    sentence: str
    stage: str
    source: str
    evidence: str
    verb: Verb = "fit"


_GUIDE = "Google, Deep Learning Tuning Playbook (2023)"
_LEAKAGE = "Kapoor & Narayanan, Leakage and the reproducibility crisis (Patterns 2023)"
_RECIPE = "Karpathy, A Recipe for Training Neural Networks (2019)"


def _practice(id: str, stage: str, sentence: str, source: str, evidence: str) -> Practice:  # noqa: A002
    verb: Verb = "synthesise" if stage == "synthesise" else "fit"
    return Practice(id=id, stage=stage, sentence=sentence, source=source, evidence=evidence, verb=verb)


_ALL = (
    # data
    _practice("data.types", "read", "Columns are given their kinds with a reason, and every choice can be overruled.",
              "Hadley Wickham, Tidy Data (JSS 2014)", "number of columns by kind"),
    _practice("data.memory", "data", "A table too large for the memory allowed is worked on in files.",
              "Xu et al., CorgiPile: SGD without Full Data Shuffle (SIGMOD 2022)", "MB of the encoded rows"),
    _practice("data.series", "read", "Steps of a series are read as one column, in their order.",
              "Bagnall et al., The great time series classification bake off (DMKD 2017)", "steps, or cases"),
    _practice("data.times", "read", "Uneven times of series are put on even steps, and what lies between rows is told.",
              "Che et al., Recurrent Neural Networks for Multivariate Time Series with Missing Values (2018)",
              "steps filled"),
    _practice("data.windows", "read", "A series is read in windows: the steps before a forecast, and those it is of.",
              "Hyndman & Athanasopoulos, Forecasting: Principles and Practice (2021), 5.10", "steps of a window"),
    _practice("data.season", "read", "A season is named only where the training part repeats itself after it.",
              "Hyndman & Athanasopoulos (2021), 2.8", "steps, autocorrelation"),
    _practice("data.missing-spellings", "read", "Spellings of 'missing' such as '?' or 'NA' are counted.",
              "van Buuren, Flexible Imputation of Missing Data (2018), ch. 1", "cells per spelling"),
    _practice("data.labels", "read", "A cell with several labels is read as such, and it is said how it was taken.",
              "Tsoumakas & Katakis, Multi-Label Classification (IJDWM 2007)", "labels that are learned"),
    _practice("data.target-complete", "read", "Rows without a target are left out and counted, never filled in.",
              "van Buuren (2018), ch. 2", "rows left out"),
    _practice("audit.duplicates", "audit", "Exact duplicate rows are found before the split.",
              _LEAKAGE + ", L1.4", "duplicate rows"),
    _practice("audit.near-duplicates", "audit", "Nearly identical rows are found before the split.",
              _LEAKAGE + ", L1.4", "near-duplicate rows"),
    _practice("audit.cross-file-duplicates", "audit", "No row of a given file is also a training row.",
              _LEAKAGE + ", L1.4", "rows in both files"),
    _practice("audit.conflicting-labels", "audit", "Equal rows with different targets are found; they bound any score.",
              "Northcutt et al., Pervasive Label Errors (NeurIPS 2021)", "rows in conflict, best reachable score"),
    _practice("audit.constant-columns", "audit", "Columns with one value are left out.",
              "Kuhn & Johnson, Feature Engineering and Selection (2019), 3.3", "columns left out"),
    _practice("audit.id-columns", "audit", "Columns that name the row, such as ids, are left out.",
              _LEAKAGE + ", L2", "columns left out"),
    _practice("audit.single-column-leak", "audit", "No single column predicts the target almost perfectly.",
              _LEAKAGE + ", L2", "best single-column AUROC or R2"),
    _practice("audit.missingness", "audit", "Whether missing values depend on the target is tested.",
              "Rubin, Inference and missing data (Biometrika 1976)", "p-value, Holm corrected"),
    _practice("audit.outliers", "audit", "Values far outside a column's range are found.",
              "Tukey, Exploratory Data Analysis (1977)", "cells beyond the outer fence"),
    _practice("audit.class-balance", "audit", "Class counts and the ratio of smallest to largest class are reported.",
              "He & Garcia, Learning from Imbalanced Data (TKDE 2009)", "smallest / largest"),
    _practice("audit.test-size", "audit", "The test part is large enough for the claim it is to carry.",
              "Wilson, Probable inference (JASA 1927)", "half width of the interval"),
    _practice("audit.time-order", "audit", "Rows in time order are noticed: the past predicts the future.",
              _LEAKAGE + ", L3.1", "time columns in order"),
    _practice("audit.unseen-categories", "audit", "Categories that only a given file has are counted.",
              "Breck et al., Data Validation for ML (MLSys 2019)", "unseen cells"),
    _practice("audit.column-match", "audit", "Given files have the same columns of the same types.",
              "Breck et al., Data Validation for ML (MLSys 2019)", "columns that differ"),
    _practice("audit.mixed-types", "audit", "Columns that mix numbers and words are found.",
              "Breck et al., Data Validation for ML (MLSys 2019)", "cells not of the column's kind"),
    _practice("audit.picture-files", "audit", "Pictures that cannot be read are named, counted and left out.",
              "Breck et al., Data Validation for ML (MLSys 2019)", "damaged pictures"),
    _practice("audit.picture-duplicates", "audit", "Copies of pictures are found, within and across parts.",
              "Barz & Denzler, Do We Train on Test Data? (J. Imaging 2020)", "copies"),
    _practice("audit.picture-near-duplicates", "audit", "Pictures alike but for trifles are found.",
              "Barz & Denzler (J. Imaging 2020)", "near copies"),
    _practice("audit.picture-sizes", "audit", "Pictures of odd size or shape are found.",
              "Breck et al., Data Validation for ML (MLSys 2019)", "odd pictures"),
    _practice("audit.picture-empty", "audit", "Pictures of one colour are found.",
              "Breck et al., Data Validation for ML (MLSys 2019)", "empty pictures"),
    _practice("audit.picture-classes", "audit", "Folders of classes are looked at: empty ones, single pictures.",
              "Breck et al., Data Validation for ML (MLSys 2019)", "odd classes"),
    _practice("audit.picture-shortcuts", "audit", "No size, brightness or file format gives a class away.",
              "Geirhos et al., Shortcut learning (Nature Machine Intelligence 2020)", "AUROC of a property"),
    _practice("audit.label-errors", "audit", "Labels that the trained model finds likely wrong are listed.",
              "Northcutt et al., Confident Learning (JAIR 2021)", "labels that are likely wrong"),
    _practice("audit.series", "audit", "Series are searched for missing steps, for constant ones and for short ones.",
              "Middlehurst et al., Bake off redux (DMKD 2024)", "share of steps missing"),
    _practice("audit.text-cells", "audit", "Empty texts, lost letters and control signs are counted.",
              "Breck et al., Data Validation for ML (MLSys 2019)", "texts concerned"),
    _practice("audit.text-near-duplicates", "audit", "Near copies of texts are found, within and across files.",
              "Broder, On the resemblance and containment of documents (1997)", "near copies"),
    _practice("audit.text-leak", "audit", "No word or pair of words gives the label away.",
              "Gururangan et al., Annotation Artifacts (NAACL 2018)", "largest share of a class with a pure phrase"),
    _practice("audit.text-language", "audit", "Languages and scripts are told, and whether classes mix them alike.",
              "Caswell et al., Language ID in the Wild (COLING 2020)", "share of other languages"),
    _practice("audit.time-steps", "audit", "Steps of a series are in order and counted; missing ones are found.",
              "Hyndman & Athanasopoulos (2021), 13.9", "steps missing"),
    _practice("audit.short-series", "audit", "Series too short for a window and its forecast are counted.",
              "Montero-Manso & Hyndman, Principles and algorithms for forecasting groups of time series (IJF 2021)",
              "series left out"),
    _practice("audit.constant-series", "audit", "Series that never change are found.",
              "Hyndman & Koehler, Another look at measures of forecast accuracy (IJF 2006)", "series"),
    # split
    _practice("split.three-parts", "split", "Training, validation and test rows are apart.",
              "Hastie et al., Elements of Statistical Learning (2009), 7.2", "rows in each part"),
    _practice("split.stratified", "split", "The parts have the same mix of classes, or of target values.",
              "Kohavi, A study of cross-validation (IJCAI 1995)", "largest difference in class share"),
    _practice("split.groups", "split", "Rows of one group, and equal rows, never straddle a border.",
              _LEAKAGE + ", L3.2", "groups kept whole"),
    _practice("split.time", "split", "Where rows have a time, validation and test rows are later than training rows.",
              _LEAKAGE + ", L3.1", "last training time, first test time"),
    _practice("split.windows", "split", "No step that a part is judged by is a target of an earlier part.",
              "Bergmeir & Benitez, On the use of cross-validation for time series (Information Sciences 2012)",
              "windows that reach across"),
    _practice("split.sealed-test", "split", "Test rows are sealed before learning, and each look is counted.",
              "Dwork et al., The reusable holdout (Science 2015)", "times opened"),
    # encode
    _practice("encode.train-only", "encode", "Everything that preprocessing learns, it learns from training rows.",
              _LEAKAGE + ", L1.2", "rows learned from"),
    _practice("encode.impute", "encode", "Missing numbers are filled with the training median, and a flag says so.",
              "van Buuren (2018), ch. 1; Josse et al. (2019)", "columns imputed"),
    _practice("encode.scale", "encode", "Inputs are centred and scaled.",
              "LeCun et al., Efficient BackProp (1998), 4.3", "method"),
    _practice("encode.clip", "encode", "Outliers are tamed by a smooth clip instead of being dropped.",
              "Holzmueller et al., RealMLP (NeurIPS 2024)", "limit in scaled units"),
    _practice("encode.embeddings", "encode", "Categories become learned vectors, with slots for unknown and missing.",
              "Guo & Berkhahn, Entity Embeddings (2016)", "columns embedded"),
    _practice("encode.rare-categories", "encode", "Rare categories share the slot for unknown, so that it is trained.",
              "Micci-Barreca (SIGKDD 2001)", "categories merged"),
    _practice("encode.numeric-embeddings", "encode", "Numbers are widened by piecewise-linear or periodic features.",
              "Gorishniy et al., On Embeddings for Numerical Features (NeurIPS 2022)", "bins a column"),
    _practice("encode.dates", "encode", "Dates become cyclic parts and a trend.",
              "Kuhn & Johnson (2019), 3.6", "columns expanded"),
    _practice("encode.text", "encode", "Free text becomes hashed n-grams.",
              "Weinberger et al., Feature Hashing (ICML 2009)", "columns, buckets"),
    _practice("text.ngrams", "encode", "Texts are weighed by their words and letters, the baseline hard to beat.",
              "Wang & Manning, Baselines and Bigrams (ACL 2012)", "columns"),
    _practice("text.encoder", "encode", "A pretrained encoder reads texts; its source, sum and licence are named.",
              "Reimers & Gurevych, Sentence-BERT (EMNLP 2019)", "features of a text"),
    _practice("text.words", "encode", "Networks of words read texts in their order, words hashed, no vocabulary kept.",
              "Weinberger et al., Feature Hashing (ICML 2009); Kim (EMNLP 2014)", "words a row"),
    _practice("text.length", "encode", "Texts longer than a model reads are counted, never cut in silence.",
              "Pappagari et al., Hierarchical Transformers for Long Documents (ASRU 2019)", "texts not read whole"),
    # model and training
    _practice("model.prior-bias", "train", "The output bias starts at the prior: the first loss is its entropy.",
              _RECIPE, "first loss against the prior's"),
    _practice("model.members", "train", "Several networks with own seeds are trained at once and averaged.",
              "Lakshminarayanan et al., Deep Ensembles (NeurIPS 2017)", "members"),
    _practice("model.own", "train", "A model of the user's own is examined on real rows before it is trained.",
              _RECIPE, "parameters that learn"),
    _practice("model.unused-parameters", "train", "Every parameter that is to learn gets a gradient.",
              _RECIPE, "parameters without a gradient"),
    _practice("train.seeded", "train", "Every random choice follows from one seed.",
              "Pineau et al., Improving Reproducibility (JMLR 2021)", "seed"),
    _practice("train.adamw", "train", "Weight decay is decoupled from the gradient; biases and norms are exempt.",
              "Loshchilov & Hutter, AdamW (ICLR 2019)", "weight decay"),
    _practice("train.schedule", "train", "The learning rate follows a schedule, after a warm-up where one helps.",
              "Loshchilov & Hutter, SGDR (ICLR 2017); Goyal et al. (2017)", "highest rate, warm-up steps"),
    _practice("train.lr-find", "train", "The learning rate is held against what a range test suggests.",
              "Smith, Cyclical Learning Rates (WACV 2017), 3.3; Gugger (2018)", "rate suggested, rate used"),
    _practice("train.clipping", "train", "Gradients are clipped: by norm, by value, or by the size of their weights.",
              "Pascanu et al., Training RNNs (ICML 2013); Brock et al., AGC (ICML 2021)", "share of steps clipped"),
    _practice("train.early-stopping", "train", "Training ends when the validation loss no longer falls.",
              "Prechelt, Early Stopping - But When? (1998)", "best epoch, epochs run"),
    _practice("train.best-weights", "train", "The weights kept are those of the best validation epoch.",
              "Prechelt (1998)", "epoch kept"),
    _practice("train.regularisation", "train", "Dropout, weight decay or a penalty holds the network back.",
              "Srivastava et al., Dropout (JMLR 2014)", "dropout, weight decay, L1"),
    _practice("train.finite", "train", "Steps without a finite loss or gradient are left out, counted and limited.",
              "Amazon SageMaker Debugger, built-in rules", "steps checked, or left out"),
    _practice("train.batch-size", "train", "The batch suits rows and memory, and the learning rate the batch.",
              "Malladi et al., On the SDEs and Scaling Rules (NeurIPS 2022); Goyal et al. (2017)", "rows a step"),
    _practice("train.threads", "train", "As many CPU threads are used as make a step faster.",
              _GUIDE + ", Optimizing the input pipeline", "threads"),
    _practice("train.precision", "train", "Products are computed in 16 bits where the hardware is faster so.",
              "Micikevicius et al., Mixed Precision Training (ICLR 2018)", "arithmetic of the products"),
    _practice("train.label-smoothing", "train", "Targets of classes are softened, and the answer calibrated.",
              "Szegedy et al. (CVPR 2016); Mueller et al. (NeurIPS 2019)", "share given to all classes"),
    _practice("train.class-balance", "train", "Rare classes weigh more in training, or are drawn more often.",
              "King & Zeng (2001); Cui et al. (CVPR 2019); Lin et al., Focal loss (ICCV 2017)", "gain in AUPRC"),
    _practice("train.mixup", "train", "Rows are mixed with each other, and so are their targets.",
              "Zhang et al., mixup (ICLR 2018)", "alpha"),
    _practice("train.fairness", "train", "Gaps between sensitive groups are lessened where asked, and at what cost.",
              "Kamiran & Calders (KAIS 2012); Sagawa et al. (ICLR 2020); Hardt et al. (NIPS 2016)",
              "weight, gap and score with and without"),
    _practice("train.averaging", "train", "Weights are averaged over steps.",
              "Izmailov et al., SWA (UAI 2018); Polyak & Juditsky (1992)", "decay, or share of the training"),
    _practice("train.budget", "train", "The time allowed is kept, and the schedule is fitted to it.",
              _GUIDE, "seconds used of seconds allowed"),
    _practice("train.overfitting", "train", "The gap between training and validation loss is watched.",
              "Goodfellow et al., Deep Learning (2016), 5.2", "validation loss / training loss"),
    _practice("train.learns", "train", "The network is better than a constant answer.",
              _RECIPE, "best validation loss / that of a constant answer"),
    _practice("train.update-ratio", "train", "Steps suit the size of the weights: about a thousandth of it.",
              _RECIPE, "abs log10 of the ratio to 0.001"),
    _practice("train.dead-units", "train", "Units are alive: not zero for every row.",
              "Lu et al., Dying ReLU (CiCP 2020)", "share of units, in the worst layer"),
    _practice("train.tracked", "train", "Every run is logged where its team looks.",
              _GUIDE + ", Setting up experiment tracking", "epochs logged, by tracker"),
    _practice("run.resumable", "train", "A run can be stopped at any moment and goes on exactly.",
              "Mohan et al., CheckFreq (FAST 2021)", "times resumed, from which steps"),
    # search
    _practice("search.recipes", "search", "Networks known to work on such data are tried, as the time allows.",
              "Erickson et al., TabArena (NeurIPS 2025)", "networks trained"),
    _practice("search.ensemble", "search", "Networks are weighted by what they get right on rows they did not see.",
              "Caruana et al., Ensemble Selection (ICML 2004)", "share of each network"),
    _practice("search.folds", "search", "Small tables are cross-validated: every row judges and teaches.",
              "Kohavi, A study of cross-validation (IJCAI 1995)", "folds"),
    _practice("search.bagging", "search", "Members learn from bootstrap samples, which makes them disagree.",
              "Breiman, Bagging Predictors (Machine Learning 1996)", "members"),
    _practice("search.trees", "search", "Boosted trees join the networks only where the user says so.",
              "Shwartz-Ziv & Armon, Tabular Data: Deep Learning is Not All You Need (Information Fusion 2022)",
              "share of trees"),
    _practice("search.text-linear", "search", "A linear model of TF-IDF n-grams joins the networks of texts.",
              "Wang & Manning, Baselines and Bigrams (ACL 2012)", "its share"),
    _practice("search.text-tuning", "search", "A text encoder is trained on: from a fitted head, low layers slower.",
              "Howard & Ruder, ULMFiT (ACL 2018); Kumar et al., LP-FT (ICLR 2022)", "its share"),
    _practice("train.augmentation", "train", "Training pictures and series are changed without changing what they are.",
              "Shorten & Khoshgoftaar (J. Big Data 2019); Iwana & Uchida (PLOS ONE 2021)", "networks trained so"),
    _practice("train.mirroring", "train", "Training pictures are mirrored only where validation bears it.",
              "Shorten & Khoshgoftaar (J. Big Data 2019), on label safety", "score lost on mirror images"),
    _practice("search.views", "search", "An answer is averaged over views of a picture where validation gains by it.",
              "Krizhevsky et al. (NeurIPS 2012), 4.1; Jordan (arXiv 2404.00498), 3.7", "views of a picture"),
    _practice("train.text-augmentation", "train", "Words of training texts are swapped, left out, hidden or replaced.",
              "Wei & Zou, EDA: Easy Data Augmentation Techniques (EMNLP 2019)", "words with synonyms"),
    _practice("search.backbone", "search", "Pretrained features are tried; weights, sum and licence are named.",
              "Kornblith et al., Do Better ImageNet Models Transfer Better (CVPR 2019)", "features"),
    _practice("search.backbone-tuning", "search", "A backbone is trained on: from a fitted head, low layers slower.",
              "Howard & Ruder, ULMFiT (ACL 2018); Kumar et al., LP-FT (ICLR 2022)", "layers trained"),
    _practice("search.rocket", "search", "Series are held against random convolutions with a linear head.",
              "Dempster et al., Hydra (DMKD 2023); Tan et al., MultiRocket (DMKD 2022)", "its share"),
    _practice("search.forecast-ridge", "search", "A linear forecast answers until networks clearly gain over it.",
              "Toner & Darlow (ICML 2024); Harvey, Leybourne & Newbold (IJF 1997)",
              "share of the squared error gained"),
    _practice("search.settings", "search", "Settings are searched in a stated space, on rows the test never sees.",
              _GUIDE + ", Exploration vs exploitation", "settings tried"),
    _practice("search.settings-bias", "search", "The best of many settings is told without what the choice flatters.",
              "Tsamardinos et al., BBC-CV (Machine Learning 2018)", "score taken off"),
    _practice("search.edges", "search", "The best setting lies within the ranges searched, not on their edge.",
              _GUIDE + ", Identifying bad search space boundaries", "parameters on an edge"),
    _practice("search.mixture", "search", "The best settings are combined where rows left out show that it pays.",
              "Caruana et al., Ensemble Selection (ICML 2004)", "score gained"),
    _practice("search.distillation", "search", "A network that learned from the ensemble may stand in its place.",
              "Hinton et al., Distilling the Knowledge in a Neural Network (2015)", "score lost"),
    # evaluation
    _practice("evaluate.contributions", "evaluate", "What each kind of column gives to the answers is measured.",
              "Fisher, Rudin & Dominici, All Models are Wrong (JMLR 2019)", "loss without it"),
    _practice("evaluate.intervals", "evaluate", "Every score has an interval.",
              "Agarwal et al., Statistical Precipice (NeurIPS 2021)", "scores with an interval"),
    _practice("evaluate.baselines", "evaluate", "The network stands beside a trivial, a linear and a tree model.",
              "Grinsztajn et al., Why do tree-based models still outperform (NeurIPS 2022)", "baselines"),
    _practice("evaluate.paired-test", "evaluate", "Models are compared on the same rows with a paired test.",
              "Demsar, Statistical Comparisons (JMLR 2006); Diebold & Mariano (JBES 1995)", "p-value, Holm corrected"),
    _practice("evaluate.calibration", "evaluate", "Probabilities are calibrated on validation rows.",
              "Guo et al., On Calibration (ICML 2017); Kull et al., Beta calibration (AISTATS 2017)",
              "kind, its cross-validated losses, ECE before and after"),
    _practice("evaluate.reliability", "evaluate", "Calibration errors stand beside those of a calibrated model.",
              "Vaicenavicius et al. (AISTATS 2019); Blasiok & Nakkiran, Smooth ECE (ICLR 2024)", "p-value"),
    _practice("evaluate.thresholds", "evaluate", "Classes are decided from a probability chosen on other rows.",
              "Elkan, Cost-Sensitive Learning (IJCAI 2001); Lipton et al. (ECML PKDD 2014)",
              "gain against one half, or labels with a threshold"),
    _practice("evaluate.proper-score", "evaluate", "A proper score (log loss, Brier) stands beside accuracy.",
              "Gneiting & Raftery, Strictly Proper Scoring Rules (JASA 2007)", "log loss"),
    _practice("evaluate.train-test-gap", "evaluate", "Validation and test scores are compared for signs of selection.",
              "Recht et al., Do ImageNet Classifiers Generalize (ICML 2019)", "difference"),
    _practice("evaluate.selection-bias", "evaluate", "What choosing by validation rows flatters by is taken off.",
              "Tsamardinos et al., Bootstrapping the out-of-sample predictions (Machine Learning 2018)", "taken off"),
    _practice("evaluate.training-spread", "evaluate", "Chance in training is told apart from chance in the test rows.",
              "Bouthillier et al., Accounting for Variance (MLSys 2021); Efron & Stein (1981)", "standard error"),
    _practice("evaluate.nested", "evaluate", "The whole choice of a model is repeated in outer folds.",
              "Varma & Simon (BMC Bioinformatics 2006); Nadeau & Bengio (Machine Learning 2003)", "mean of the folds"),
    _practice("evaluate.group-rates", "evaluate", "What the model does to groups named as sensitive is measured.",
              "Mitchell et al., Model Cards (FAT* 2019), 4.3; Hardt et al. (NIPS 2016)", "groups"),
    _practice("evaluate.group-gaps", "evaluate", "Gaps between groups are held against what chance gives such groups.",
              "DiCiccio et al., Evaluating Fairness Using Permutation Tests (KDD 2020)", "gaps beyond chance"),
    _practice("evaluate.group-thresholds", "evaluate", "What a threshold for each group would give is told.",
              "Hardt et al., Equality of Opportunity in Supervised Learning (NIPS 2016)", "accuracy gained or lost"),
    _practice("evaluate.origins", "evaluate", "A forecast is tested from many origins, which are not independent.",
              "Tashman, Out-of-sample tests of forecasting accuracy (IJF 2000)", "origins"),
    _practice("evaluate.bands", "evaluate", "A forecast has an interval, made on validation rows and tested over time.",
              "Gibbs & Candes, Adaptive Conformal Inference (NeurIPS 2021)", "share of steps inside"),
    _practice("evaluate.conformal", "evaluate", "Sets and intervals hold the truth at a rate, proven on test rows.",
              "Vovk et al. (2005); Angelopoulos & Bates, Conformal Prediction: A Gentle Introduction (2023)",
              "share of test rows held"),
    _practice("evaluate.unusual", "evaluate", "Rows unlike training rows are flagged, at a known rate of alarms.",
              "Bates et al., Testing for outliers with conformal p-values (Annals of Statistics 2023)",
              "share of test rows flagged"),
    _practice("evaluate.slices", "evaluate", "Weak subgroups are searched for on other rows than they are tested on.",
              "Sagadeeva & Boehm, SliceLine (SIGMOD 2021); Westfall & Young (1993)", "weak subgroups confirmed"),
    _practice("evaluate.mistakes", "evaluate", "The rows that are answered wrongly are looked at, the surest first.",
              "Karpathy (2019); Northcutt et al., Pervasive Label Errors (NeurIPS 2021)", "test rows answered wrongly"),
    _practice("evaluate.bias-variance", "evaluate", "Losses on training and on new rows tell underfit from overfit.",
              "Geman, Bienenstock & Doursat, Bias/Variance Dilemma (Neural Computation 1992)", "gap of the losses"),
    _practice("evaluate.learning-curve", "evaluate", "What more training rows would bring is measured on fewer.",
              "Hestness et al. (2017); Viering & Loog, The Shape of Learning Curves (TPAMI 2023)", "twice the rows"),
    _practice("evaluate.capacity-curve", "evaluate", "What a wider network would bring is measured on small ones.",
              "Geman et al. (1992); Belkin et al., Reconciling modern machine learning (PNAS 2019)", "width that does"),
    _practice("evaluate.robustness", "evaluate", "What missing, noisy and unseen cells cost is measured.",
              "Hendrycks & Dietterich, Robustness to Common Corruptions (ICLR 2019)", "loss that is added"),
    # synthetic rows
    _practice("synth.held-back", "synthesise", "A generator is judged by real rows that it did not see.",
              "Platzer & Reutterer, Holdout-Based Empirical Assessment (Frontiers in Big Data 2021)",
              "rows held back"),
    _practice("synth.utility", "synthesise", "A model trained on synthetic rows is tested on real ones.",
              "Esteban et al., Real-valued (Medical) Time Series Generation (2017)", "difference from real rows"),
    _practice("synth.detection", "synthesise", "A classifier tries to tell synthetic rows from real ones.",
              "Lopez-Paz & Oquab, Revisiting Classifier Two-Sample Tests (ICLR 2017)", "AUROC"),
    _practice("synth.copies", "synthesise", "Synthetic rows that repeat a real one are counted.",
              "Platzer & Reutterer (2021)", "copies"),
    _practice("synth.membership", "synthesise", "An attack tries to tell which rows the generator learned from.",
              "Chen et al., GAN-Leaks (CCS 2020); Stadler et al., Groundhog Day (USENIX Security 2022)", "AUROC"),
    # bundle
    _practice("bundle.parity", "bundle", "The saved model gives the trained model's answers on stored rows.",
              "Sculley et al., Hidden Technical Debt (NeurIPS 2015)", "largest difference"),
    _practice("bundle.one-artefact", "bundle", "Preprocessing, network and calibration are one file.",
              "Sculley et al. (2015)", "bytes"),
    _practice("bundle.no-pickle", "bundle", "No file of the bundle can run code when the model is loaded.",
              "CVE-2025-32434 and its kin", "files by kind"),
    _practice("bundle.provenance", "bundle", "Data hash, versions, seed and machine travel with the model.",
              "Pineau et al. (JMLR 2021)", "facts recorded"),
    _practice("bundle.model-card", "bundle", "A model card says what the model is for and how it was tested.",
              "Mitchell et al., Model Cards (FAT* 2019)", "sections"),
    _practice("bundle.datasheet", "bundle", "A datasheet says what the data is, and what only its owner can say.",
              "Gebru et al., Datasheets for Datasets (CACM 2021)", "sections"),
)  # fmt: skip

PRACTICES: MappingProxyType[str, Practice] = MappingProxyType({practice.id: practice for practice in _ALL})


def as_markdown() -> str:
    """The registry as the page `docs/practices.md`: one table a stage, ending in a newline."""
    lines = [
        "# Practices",
        "",
        "What good deep-learning work does, and where that is written. Every run gives each practice a verdict in its",
        "ledger: `applied`, `passed`, `warned`, `failed`, `skipped` or `not applicable`, with a number or a reason.",
        "The practices of the stage `synthesise` are those of `assay synthesise`, and stand in its report alone.",
        "",
        "This page is made by `assay practices --markdown > docs/practices.md` from `src/assay/practices.py`.",
    ]
    for stage in dict.fromkeys(practice.stage for practice in _ALL):
        lines += ["", f"## {stage.capitalize()}", "", "| id | practice | evidence | source |", "|---|---|---|---|"]
        lines += [
            f"| `{practice.id}` | {practice.sentence} | {practice.evidence} | {practice.source} |"
            for practice in _ALL
            if practice.stage == stage
        ]
    return "\n".join([*lines, *_switched_off()]) + "\n"


def _switched_off() -> list[str]:
    """The section on how `assay ablate` does without practices, and why not without the others that make a model."""
    lines = [
        "",
        "## What `assay ablate` switches off",
        "",
        "To measure what a practice earned, it is done without. Practices that are not here look at data and models,",
        "and change nothing that is learned.",
        "",
        "| practice | without it |",
        "|---|---|",
    ]
    for practice in _ALL:
        if practice.id in SWITCHES:
            lines.append(f"| {practice.id} | {SWITCHES[practice.id].without} |")
        elif practice.id in REASONS:
            lines.append(f"| {practice.id} | not measured: {REASONS[practice.id]} |")
    return lines
