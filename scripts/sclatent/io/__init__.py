"""Files: what each kind holds, how it is read and written, and where it comes from."""
