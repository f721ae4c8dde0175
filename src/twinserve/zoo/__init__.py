"""Published checkpoints from elsewhere: fetched, read without executing them, converted."""
