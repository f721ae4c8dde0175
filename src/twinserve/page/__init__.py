"""The web page: both deployments side by side."""
