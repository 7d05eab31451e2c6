"""Fetching images from servers that nobody vouches for."""
