"""All small cases: those of the suite, and those that `make edits` follows too."""

from __future__ import annotations

from tests.edits import (
    cases,
    cases_of_files,
    cases_of_flow,
    cases_of_forms,
    cases_of_layout,
    cases_of_parameters,
    cases_of_reach,
)

CASES = {
    **cases.VALUES,
    **cases.CLASSES,
    **cases_of_files.IMPORTS,
    **cases_of_files.FILES,
    **cases_of_files.TEXTS,
    **cases_of_flow.FLOWS,
    **cases_of_forms.FORMS,
    **cases_of_layout.LAYOUT,
    **cases_of_parameters.PARAMETERS,
    **cases_of_reach.REACHED,
    **cases_of_reach.ORDER,
}
UNSETTLED = {
    "a file changes and keeps its time": "ty tells versions of a file by its time alone",
    "an assert of a module narrows": "what narrows a variable is no part of its face",
}
"""Cases in which the law does not hold yet, and why."""
IN_THE_SUITE = (
    "a variable of a third module has another type",
    "a function three calls away returns something else",
    "an attribute in __init__ has another type",
    "an attribute in __init__ is removed",
    "a constant decides which branch is reached",
    "a literal decides which overload is meant",
    "a field of a dataclass has another type",
    "a base of a base changes",
    "a base gets a base",
    "a method appears between a class and its base",
    "a method goes that only its own file uses",
    "a property becomes a method",
    "what __enter__ returns changes",
    "what __iter__, __call__ and __getitem__ give changes",
    "__getattr__ appears",
    "a decorator of another file changes what a function is",
    "a re-export is turned to another module",
    "the import of an annotation's class is turned",
    "a star import is turned",
    "a name leaves __all__",
    "a file is renamed and back",
    "two files change their contents",
    "a package appears in front of a module",
    "a module appears in front of a folder without __init__",
    "a file appears in front of the standard library",
    "a package is renamed",
    "a package is added",
    "a broken file is mended",
    "a file gets other line ends",
    "two of one name change places",
)
