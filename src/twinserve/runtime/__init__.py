"""The local platform: instances as processes, a gateway for each deployment, a supervisor over both."""
