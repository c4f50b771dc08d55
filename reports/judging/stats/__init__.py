"""Statistics behind the verdicts: bounds that hold, and the number of samples that would decide.

Sources: Clopper and Pearson 1934 (exact binomial bounds); Woodruff 1952 (quantile bounds from binomial
ranks); Kish 1965 (design effect, effective sample size); Schmeiser 1982 (how many batches). What is ours is
the combination, and `python -m bench.simulate intervals` measures its risks.
"""
