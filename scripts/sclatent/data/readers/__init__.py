"""Readers of source files, one function per format."""
