"""Losses over files of any size, on one core or a Dask cluster, with the bits of one call."""
