"""The methods: labelled data in, a common space out."""

from commonspace.methods.dscmr import DSCMR
from commonspace.methods.method import Method
from commonspace.methods.raw import FromRaw

__all__ = ["DSCMR", "FromRaw", "Method"]
