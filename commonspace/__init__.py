"""Commonspace: one common representation space for samples of several modalities."""
