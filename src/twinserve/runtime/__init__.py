"""The local platform: instances as processes, a gateway a deployment, a supervisor over both."""
