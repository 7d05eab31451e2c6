"""Where images come from: a folder, a list of paths and URLs, or a Parquet column of encoded bytes."""
