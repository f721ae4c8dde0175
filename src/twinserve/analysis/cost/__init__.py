"""What a run costs, and a month of any traffic: a dated price book, measured use, bills."""
