"""Readers of file formats: each turns one kind of file into a table of samples."""
