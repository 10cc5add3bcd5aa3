"""One submission: its answers run in the sandbox, the tests on the trusted side."""
