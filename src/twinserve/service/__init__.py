"""Request in, response out: one core, a container (Flask) and a function around it."""
