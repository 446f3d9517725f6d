"""Explanations of the real model: engines chosen by what they can do, checked on every run."""

from __future__ import annotations
