// List of selected words, to follow, copy or download.

const LISTED = 500;

class Selection {
  constructor(panel, data, map, navigation, tabs) {
    Object.assign(this, {panel, data, map, navigation, tabs, words: []});
    map.onSelect((chosen) => this.set(chosen));
    this.draw();
  }

  set(words) {
    this.words = [...words].sort((a, b) => this.data.rank[a] - this.data.rank[b] || a - b);
    this.draw();
    if (!words.length) return;
    this.tabs.open("selection");
    announce(`${decimal.format(words.length)} words selected`);
  }

  // Words that are not on the map can be in the list too.
  add(words) {
    const all = [...new Set([...this.words, ...words])];
    this.map.select(all.filter((at) => this.data.onMap(at)));
    this.set(all);
  }

  clear() {
    this.map.select([]);
    this.set([]);
  }

  draw() {
    const line = document.createElement("p");
    if (!this.words.length) {
      line.textContent = "Nothing is selected. Choose Lasso and draw around words on the map.";
      return this.panel.replaceChildren(line);
    }
    const count = this.words.length;
    line.textContent = `${decimal.format(count)} ${count === 1 ? "word" : "words"} selected`;
    if (count > LISTED) line.textContent += `; the first ${LISTED} are listed`;
    const list = document.createElement("ul");
    list.className = "words";
    for (const at of this.words.slice(0, LISTED)) {
      const item = document.createElement("li");
      item.append(this.navigation.link(at));
      list.append(item);
    }
    this.panel.replaceChildren(line, this.buttons(), list);
  }

  buttons() {
    const row = document.createElement("div");
    row.className = "row";
    const name = fileName(this.data.title);
    const actions = {
      Copy: () => this.copy(),
      "Download list": () => download(new Blob([this.text()], {type: "text/plain"}), `${name}-words.txt`),
      "Download CSV": () => download(new Blob([this.csv()], {type: "text/csv"}), `${name}-words.csv`),
      Clear: () => this.clear(),
    };
    for (const [text, action] of Object.entries(actions)) {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = text;
      button.addEventListener("click", action);
      row.append(button);
    }
    return row;
  }

  text() {
    return this.words.map((at) => `${this.data.words[at]}\n`).join("");
  }

  csv() {
    const {data} = this;
    const head = ["word", "rank", "norm"];
    if (data.count) head.push("count");
    if (data.groups.length) head.push(data.groupedBy);
    const quoted = (value) => (/[",\r\n]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value);
    const rows = this.words.map((at) => {
      const cells = [data.words[at], data.rank[at], data.norm[at]];
      if (data.count) cells.push(data.count[at]);
      if (data.groups.length) cells.push(data.groups[data.group[at]]);
      return cells.map((cell) => quoted(String(cell))).join(",");
    });
    return [head.join(","), ...rows, ""].join("\r\n");
  }

  async copy() {
    const text = this.text();
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      // Pages from files and sandboxed frames may not have the clipboard API; the older command works there.
      const area = document.createElement("textarea");
      area.value = text;
      document.body.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
    announce(`${decimal.format(this.words.length)} words copied`);
  }
}
