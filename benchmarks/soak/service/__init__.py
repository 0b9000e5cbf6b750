"""Trials of the service: bad requests, slow and vanishing clients, overload, stops and reloads."""
