// Search box with suggestions by prefix, which arrow keys, Enter or a click choose; "/" focuses it.

class Search {
  constructor(input, list, data, navigation) {
    Object.assign(this, {input, list, data, navigation, found: [], chosen: -1});
    input.addEventListener("input", () => this.suggest());
    input.addEventListener("keydown", (event) => this.key(event));
    input.addEventListener("focus", () => this.suggest());
    input.addEventListener("blur", () => setTimeout(() => this.close(), 150));
    document.addEventListener("keydown", (event) => {
      if (event.key !== "/" || event.target.matches?.("input, textarea, select")) return;
      event.preventDefault();
      input.focus();
      input.select();
    });
  }

  suggest() {
    this.found = this.data.matches(this.input.value.trim(), 12);
    this.chosen = -1;
    this.list.replaceChildren(...this.found.map((at, place) => this.option(at, place)));
    if (this.input.value.trim() && !this.found.length) {
      const none = document.createElement("li");
      none.setAttribute("role", "option");
      none.setAttribute("aria-disabled", "true");
      none.textContent = `Not among the first ${decimal.format(this.data.searchable)} words`;
      this.list.append(none);
    }
    this.list.hidden = !this.list.children.length;
    this.input.setAttribute("aria-expanded", String(!this.list.hidden));
    this.input.removeAttribute("aria-activedescendant");
  }

  option(at, place) {
    const option = document.createElement("li");
    option.id = `option-${place}`;
    option.setAttribute("role", "option");
    option.setAttribute("aria-selected", "false");
    const word = document.createElement("bdi");
    word.textContent = this.data.words[at];
    const note = document.createElement("small");
    const parts = [`rank ${decimal.format(this.data.rank[at])}`];
    if (this.data.sources.length > 1) parts.unshift(this.data.sources[this.data.source[at]]);
    if (!this.data.onMap(at)) parts.push("not on the map");
    note.textContent = parts.join(" · ");
    option.append(word, note);
    option.addEventListener("pointerdown", (event) => {
      event.preventDefault();
      this.choose(at);
    });
    return option;
  }

  key(event) {
    if (event.key === "Escape") return this.close();
    if (event.key === "Enter") {
      const at = this.found[Math.max(this.chosen, 0)];
      if (at !== undefined) this.choose(at);
      return;
    }
    if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
    event.preventDefault();
    if (!this.found.length) return;
    const step = event.key === "ArrowDown" ? 1 : -1;
    this.chosen = (this.chosen + step + this.found.length) % this.found.length;
    [...this.list.children].forEach((option, place) => {
      option.setAttribute("aria-selected", String(place === this.chosen));
    });
    const option = this.list.children[this.chosen];
    option.scrollIntoView({block: "nearest"});
    this.input.setAttribute("aria-activedescendant", option.id);
  }

  choose(at) {
    this.input.value = "";
    this.close();
    this.input.blur();
    this.navigation.go(at);
  }

  close() {
    this.list.hidden = true;
    this.input.setAttribute("aria-expanded", "false");
    this.input.removeAttribute("aria-activedescendant");
  }
}
