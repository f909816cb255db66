// Panel of the chosen word: facts about it, and its neighbors as links.

class Details {
  constructor(panel, data, navigation, selection) {
    Object.assign(this, {panel, data, navigation, selection});
    navigation.onShow((at, missing) => this.show(at, missing));
  }

  show(at, missing) {
    if (at < 0) return this.panel.replaceChildren(...this.welcome(missing));
    const word = this.data.words[at];
    const heading = document.createElement("h2");
    const name = document.createElement("bdi");
    name.textContent = word;
    heading.append(name);
    const near = this.data.neighbors(at);
    this.panel.replaceChildren(this.buttons(at), heading, this.facts(at), ...this.list(near, this.nearTitle(at)));
    if (this.data.across) {
      const other = this.data.sources[1 - this.data.source[at]];
      this.panel.append(...this.list(this.data.neighbors(at, "across"), `Translations: nearest in ${other}`));
    }
    const first = near.slice(0, 3).map((one) => this.data.words[one.at]).join(", ");
    announce(`${word}: ${near.length} neighbors${first ? `, nearest ${first}` : ""}`);
  }

  welcome(missing) {
    const parts = [];
    const add = (text) => {
      const line = document.createElement("p");
      line.textContent = text;
      parts.push(line);
    };
    const {mapped, carried, sizes} = this.data;
    const total = sizes.reduce((a, b) => a + b, 0);
    if (missing !== null) {
      const hint = carried < total ? " Write the page with a larger limit to include more words." : "";
      add(`“${missing}” is not among the words of this page.${hint}`);
    }
    add("Choose a word: click a point, or press / and type its first letters.");
    add(`The map shows ${decimal.format(mapped)} of ${decimal.format(total)} words.`);
    if (carried > mapped) add(`The search finds ${decimal.format(carried)} words.`);
    add("Drag to pan, turn the wheel or pinch to zoom. Lasso selects words to copy or download.");
    return parts;
  }

  buttons(at) {
    const row = document.createElement("div");
    row.className = "row";
    const add = (text, action) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = text;
      button.addEventListener("click", action);
      row.append(button);
    };
    add("← Back", () => this.navigation.back());
    add("Select with neighbors", () => {
      this.selection.add([at, ...this.data.neighbors(at).map((one) => one.at)].filter((one) => one < this.data.carried));
    });
    return row;
  }

  facts(at) {
    const {data} = this;
    const list = document.createElement("dl");
    const add = (name, ...value) => {
      const term = document.createElement("dt");
      term.textContent = name;
      const definition = document.createElement("dd");
      definition.append(...value);
      list.append(term, definition);
    };
    add("frequency rank", decimal.format(data.rank[at]));
    if (data.count) add("count", decimal.format(data.count[at]));
    if (data.groups.length) {
      const swatch = document.createElement("span");
      swatch.className = `swatch g${data.group[at] % 12}`;
      add(data.groupedBy, swatch, data.groups[data.group[at]]);
    }
    add("norm", Number.isFinite(data.norm[at]) ? data.norm[at].toPrecision(4) : "not finite");
    if (!data.onMap(at)) add("map", "not on the map: it is rarer than the words shown");
    return list;
  }

  nearTitle(at) {
    return this.data.across ? `Nearest in ${this.data.sources[this.data.source[at]]}` : "Nearest words, by cosine";
  }

  list(near, title) {
    const heading = document.createElement("h3");
    heading.textContent = title;
    if (!near.length) {
      const none = document.createElement("p");
      none.textContent = "None: the row is all zeros or not finite.";
      return [heading, none];
    }
    const list = document.createElement("ol");
    list.className = "near";
    for (const {at, cosine} of near) list.append(this.neighbor(at, cosine));
    if (near.every(({at}) => at < this.data.carried)) return [heading, list];
    const note = document.createElement("p");
    note.className = "note";
    note.textContent = `Words without a link are rarer than the first ${decimal.format(this.data.searchable)}.`;
    return [heading, list, note];
  }

  neighbor(at, cosine) {
    const item = document.createElement("li");
    let word = null;
    if (at < this.data.carried) word = this.navigation.link(at);
    else {
      word = document.createElement("bdi");
      word.textContent = this.data.words[at];
    }
    const bar = document.createElement("span");
    bar.className = "bar";
    bar.setAttribute("aria-hidden", "true");
    const filled = document.createElement("span");
    filled.style.width = `${Math.max(0, Math.min(1, cosine)) * 100}%`;
    bar.append(filled);
    const value = document.createElement("span");
    value.className = "cosine";
    value.textContent = cosine.toFixed(4);
    item.append(word, bar, value);
    return item;
  }
}
