"""Bundles of trained faces, a folder each in ``bundles``. Data and terms: see the model cards."""
