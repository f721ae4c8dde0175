"""Requests, instances, queues, cold starts, bills of any traffic, by the rules of ``scaling``."""
