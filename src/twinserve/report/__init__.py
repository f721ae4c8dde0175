"""Charts and one page made from plain data; needs no network to be read."""
