"""The programs that are measured: one module per library, run in that library's own environment.

An actor may import its library, the standard library and its neighbours here, and nothing else of this project (ours
alone imports `coordinator` and `workers`): no peer is measured with our dependencies installed beside it.
"""
