// Which word is shown. The address holds it (#word=frog), so a link can be shared and the back button works.

class Navigation {
  constructor(data) {
    this.data = data;
    this.current = -1;
    this.listeners = [];
    this.visited = [];
    // In a notebook the page has no address of its own; the words visited are then kept here.
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

  // Show the word that the address names.
  read() {
    const fields = new Map(location.hash.slice(1).split("&").map((field) => field.split(/=(.*)/s).slice(0, 2)));
    let word = fields.get("word");
    if (word === undefined) return this.show(-1);
    try {
      word = decodeURIComponent(word);
    } catch {
      // A percent sign typed by hand: take the text as it is.
    }
    const space = fields.has("space") ? Number(fields.get("space")) - 1 : null;
    // Two words that are not valid UTF-8 may look the same: the one that was chosen counts.
    if (this.chosen >= 0 && this.data.words[this.chosen] === word) return this.show(this.chosen);
    const at = this.data.find(word, space);
    this.show(at, at < 0 ? word : null);
  }

  show(at, missing = null) {
    this.chosen = -1;
    this.current = at;
    for (const listener of this.listeners) listener(at, missing);
  }

  // A link to a word, with the address it leads to.
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

  // Links in tables know the word, not its position: give them one, or make plain text of them.
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
