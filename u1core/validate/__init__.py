"""Does the product measure what it says? Its own SQL and functions on data whose answer is known.

stages: what is tested, in order; outcome: findings and tables; angles: data sets of angles, drawn.
calibration, precision: levels, false discoveries, power, coverage; recovery: what was planted comes back;
real_cell: the labels of a real cell permuted. rules: what claims are said to be in worlds of known answer;
worlds: pictures and networks that are written down; trainings: runs of known gain.
"""
