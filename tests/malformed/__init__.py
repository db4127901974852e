"""Files that are broken or mean harm, made by code: the same ones every time.

`CORPUS` maps a format to a function of a folder that yields (name, path) of its files;
`judge` says whether opening one ended as it may.
"""

from malformed.corpus import CORPUS, LEAST

__all__ = ["CORPUS", "LEAST"]
