"""Measures enrichd against what it stands on; every figure is a ratio of two runs in one go."""
