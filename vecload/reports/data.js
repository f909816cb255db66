"use strict";
// The data of the page: compressed JSON whose arrays are base64. Words are identified by their position.

async function readData(text) {
  const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new WordData(JSON.parse(await new Response(stream).text()));
}

function unpack({type, data}) {
  const kinds = {Uint8Array, Uint16Array, Uint32Array, Float32Array, Float64Array};
  const bytes = Uint8Array.from(atob(data), (character) => character.charCodeAt(0));
  return new kinds[type](bytes.buffer);
}

class WordData {
  constructor(packed) {
    Object.assign(this, packed);
    for (const name of ["x", "y", "order", "rank", "group", "source", "norm"]) this[name] = unpack(packed[name]);
    this.count = packed.count ? unpack(packed.count) : null;
    for (const name of ["near", "across"]) {
      if (!packed[name]) continue;
      const {k, rows, cosines} = packed[name];
      const numbers = unpack(rows);
      // The largest number of the type means "no neighbor".
      const none = 2 ** (8 * numbers.BYTES_PER_ELEMENT) - 1;
      this[name] = {k, rows: numbers, cosines: unpack(cosines), none};
    }
    this.positions = this.sources.map(() => new Map());
    for (let at = this.carried - 1; at >= 0; at--) this.positions[this.source[at]].set(this.words[at], at);
    this.folded = this.words.slice(0, this.carried).map((word) => word.toLowerCase());
  }

  // Return the neighbors of a word: "near" in its own space, "across" in the other one.
  neighbors(at, kind = "near") {
    const {k, rows, cosines, none} = this[kind];
    const found = [];
    for (let place = at * k; place < (at + 1) * k; place++) {
      if (rows[place] !== none) found.push({at: rows[place], cosine: cosines[place]});
    }
    return found;
  }

  // Return the position of a word in a space, or else in any space; -1 if the page does not have it.
  find(word, source = null) {
    const spaces = source === null || !this.positions[source] ? this.positions : [this.positions[source]];
    for (const positions of spaces) if (positions.has(word)) return positions.get(word);
    return -1;
  }

  // Return the words that begin with some letters: the word itself first, then the others by frequency.
  matches(text, most) {
    if (!text) return [];
    const folded = text.toLowerCase();
    const found = [];
    for (let at = 0; at < this.carried; at++) {
      if (!this.folded[at].startsWith(folded)) continue;
      const exactness = this.words[at] === text ? 0 : this.folded[at] === folded ? 1 : 2;
      found.push({at, exactness});
    }
    found.sort((a, b) => a.exactness - b.exactness || this.rank[a.at] - this.rank[b.at] || a.at - b.at);
    return found.slice(0, most).map(({at}) => at);
  }

  onMap(at) {
    return at < this.mapped;
  }
}

const decimal = new Intl.NumberFormat("en-US");
