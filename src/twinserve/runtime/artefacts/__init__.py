"""What a deployment is built into: a container image, and a function's source folder and zip.

Both carry the same ``app`` folder, byte by byte; :mod:`.differences` writes down what differs.
"""
