"""Read text inputs: word lists, word pairs, dictionaries, analogies and texts.

All readers share one decoder (`lines`), so byte order marks, UTF-16, line ends, compression, archives and standard
input work the same everywhere. The kind of a file is detected from its content, not from its extension.
"""

from vecload.text_input.analogies import numbered_lines, read_analogy_sections
from vecload.text_input.columns import is_number
from vecload.text_input.dictionaries import list_of_pairs, read_word_pairs
from vecload.text_input.lines import Input, input_name, read_lines
from vecload.text_input.numbering import WordList
from vecload.text_input.pairs import ScoredPair, read_scored_pairs, read_scored_sentences
from vecload.text_input.texts import read_texts
from vecload.text_input.word_lists import format_word_list, parse_word_list, read_document

__all__ = [
    "Input",
    "ScoredPair",
    "WordList",
    "format_word_list",
    "input_name",
    "is_number",
    "list_of_pairs",
    "numbered_lines",
    "parse_word_list",
    "read_analogy_sections",
    "read_document",
    "read_lines",
    "read_scored_pairs",
    "read_scored_sentences",
    "read_texts",
    "read_word_pairs",
]
