"""Tables, headlines, the first page, exports and the paper: what is made from finished results."""
