"""What is written down about a run: request rows, resource rows, instance events, the manifest.

Every file is written while the run goes on, a flushed line at a time, so that a run that was cut
off at any moment is readable up to its last whole line.
"""
