"""Bundles of trained faces: a folder each in ``bundles``. See MODEL_CARD.md for data and terms."""
