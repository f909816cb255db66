"""Fuzzing: read mutated files in child processes, and use the values that load.

``make fuzz SECONDS=600`` runs a campaign, ``make fuzz FORMAT=gensim SECONDS=60`` one of a single reader. See
``docs/robustness.md``.

- `inputs`: a file, or a folder of files, and the reader it is for
- `seeds`: good inputs, written by the libraries that own the formats where these are installed
- `mutation`: changes to bytes, and to the structure of safetensors, pickles, JSON, archives and arrays
- `use`: reads an input as a user would and uses what loads
- `oracles`: compares what loaded with other readers
- `children`: child processes with limits on time and memory
- `campaign`: the loop, the counts, minimized finds
"""
