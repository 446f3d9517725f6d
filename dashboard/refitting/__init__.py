"""Fitting models again, and looking into them: whole operations, run where the model lives."""
