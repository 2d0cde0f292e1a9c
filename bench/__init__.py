"""Measures enrichd against its limits and its peers; what is compared is run in turn."""
