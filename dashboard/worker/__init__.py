"""The child process that opens uploaded models; imported by nobody."""
