"""Whether the tests notice when the code is broken: `make mutants`."""
