"""Statistics, gates, comparison and verdict: reads runs, returns values."""
