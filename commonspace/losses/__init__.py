"""The terms of the objectives, one loss a file, each with its formula."""
