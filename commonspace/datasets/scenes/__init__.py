"""Scenes: a built-in data set of drawn pictures with captions."""
