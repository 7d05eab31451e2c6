"""Atoll beside its peers: the same trials on the same cores, `python -m benchmarks.peers`.

Each contestant is a program of its own, written as its documentation writes it. Those other than Atoll run in an
environment of their own, made from `requirements.txt` in this folder.
"""
