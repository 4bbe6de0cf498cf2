"""The command line: vmi ..."""
