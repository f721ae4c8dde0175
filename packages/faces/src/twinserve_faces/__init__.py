"""Bundles of trained faces: a folder each in ``bundles``. See README.md and the model cards for data and terms."""
