"""Sample data and models; `build.py` remakes all of it, `README.md` says what each one teaches."""
