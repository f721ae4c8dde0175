"""Verbs, a file each; the only place that wires, prints and exits."""
