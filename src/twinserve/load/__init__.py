"""Users that send requests to a URL and write down what they saw; knows nothing else."""
