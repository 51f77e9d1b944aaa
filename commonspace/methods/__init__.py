"""The methods: labelled data in, a common space out."""

from commonspace.methods.dscmr import DSCMR
from commonspace.methods.method import Method

__all__ = ["DSCMR", "Method"]
