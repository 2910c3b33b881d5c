"""Numbers: formats and their spellings, exact arithmetic on codes, interchange with fxpmath."""
