"""A run and a split in, a folder of pictures and one page out: it chooses nothing."""
