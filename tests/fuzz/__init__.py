"""Fuzzing: read mutated files in child processes, and use the values that load.

``make fuzz SECONDS=600`` runs a campaign, ``make fuzz FORMAT=gensim SECONDS=60`` one of a single reader. See
``docs/robustness.md``.

- `inputs`: a file or a folder of files, with the name of its reader
- `seeds`: good inputs, written by the libraries that own the formats where these are installed
- `mutation`: changes bytes, and the structure of safetensors, pickles, JSON, archives and arrays
- `use`: reads an input as a user would, and uses the loaded value
- `oracles`: compares loaded values with other readers
- `children`: child processes with limits on time and memory
- `campaign`: the loop, the counts, minimized finds
"""
