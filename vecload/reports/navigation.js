// Navigation between words. The address holds the current word (#word=frog), so that links can be shared and the back button
// works.

class Navigation {
  constructor(data) {
    this.data = data;
    this.current = -1;
    this.listeners = [];
    this.visited = [];
    // In a notebook, the page has no address of its own, so visited words are kept here.
    this.addressed = location.protocol !== "about:";
    this.chosen = -1;
    window.addEventListener("hashchange", () => this.read());
    document.addEventListener("click", (event) => this.follow(event));
  }

  onShow(listener) {
    this.listeners.push(listener);
  }

  address(at) {
    const space = this.data.sources.length > 1 ? `&space=${this.data.source[at] + 1}` : "";
    return `#word=${encodeURIComponent(this.data.words[at])}${space}`;
  }

  go(at) {
    if (at === this.current) return this.show(at);
    this.chosen = at;
    if (!this.addressed) {
      if (this.current >= 0) this.visited.push(this.current);
      return this.show(at);
    }
    const address = this.address(at);
    if (location.hash === address) this.show(at);
    else location.hash = address;
  }

  back() {
    if (this.addressed) history.back();
    else if (this.visited.length) this.show(this.visited.pop());
  }

  // Show the word in the address.
  read() {
    const fields = new Map(location.hash.slice(1).split("&").map((field) => field.split(/=(.*)/s).slice(0, 2)));
    let word = fields.get("word");
    if (word === undefined) return this.show(-1);
    try {
      word = decodeURIComponent(word);
    } catch {
      // A percent sign that was typed by hand: use the text unchanged.
    }
    const space = fields.has("space") ? Number(fields.get("space")) - 1 : null;
    // Two words that are not valid UTF-8 may look the same, so the chosen position is used.
    if (this.chosen >= 0 && this.data.words[this.chosen] === word) return this.show(this.chosen);
    const at = this.data.find(word, space);
    this.show(at, at < 0 ? word : null);
  }

  show(at, missing = null) {
    this.chosen = -1;
    this.current = at;
    for (const listener of this.listeners) listener(at, missing);
  }

  // Return a link to a word.
  link(at) {
    const link = document.createElement("a");
    link.className = "word";
    link.href = this.address(at);
    link.dataset.at = at;
    link.textContent = this.data.words[at];
    const isolated = document.createElement("bdi");
    isolated.append(link);
    return isolated;
  }

  // Links in tables hold a word and no position: find it, or replace the link by text.
  connect(tables) {
    for (const link of tables.querySelectorAll("a.word")) {
      const at = this.data.find(link.dataset.word, Number(link.dataset.source));
      if (at < 0) link.replaceWith(link.textContent);
      else {
        link.href = this.address(at);
        link.dataset.at = at;
      }
    }
  }

  follow(event) {
    const link = event.target.closest?.("a.word");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    this.go(Number(link.dataset.at));
  }
}

function announce(text) {
  document.getElementById("status").textContent = text;
}
