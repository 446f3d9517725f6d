"""Files of strangers who mean harm, built by code: nothing of them lies in the repository."""
