"""Confined child processes, seen from the parent: how they are shut in, started, asked, ended.

Knows no model: what an operation means is between `models.confined` and the worker.
"""
