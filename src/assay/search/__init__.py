"""Everything that trains more than one network.

planning: which networks. fit: from examples to a model. study: a search of settings. ensemble: several as one, and one
in the place of several. ablation: what each practice earned. All stand on `planning` and `ensemble`; fits and ablations
also take from `study` how settings are judged.
"""
