"""Why the two sides differ: a cause a file, each judged from what was measured; pure."""
