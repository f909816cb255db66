"""Files saved by gensim, read without gensim and without running the pickles they contain."""
