"""How deployments scale, as pure rules."""
