"""A run as one HTML page that needs nothing else: no network, no other file.

gathered   the rows of a run, live or from a trace, sifted for what the page shows
columns    what was gathered as columns of small numbers, every text once
page       the columns, the styles and the scripts of page/ in one file

The story of a task and who caused what are those of `foreman sim story`: sim.story, sim.causes.
"""
