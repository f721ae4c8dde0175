"""A model's files and how to run them: OpenVINO, numpy and Pillow; never torch."""
