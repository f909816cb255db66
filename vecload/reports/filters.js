// Filters and colors of words, by group (origin or source) and by frequency.

const BANDS = [100, 300, 1000, 3000, 10_000];

class Filters {
  constructor(element, data, map) {
    this.data = data;
    this.map = map;
    this.kinds = [this.byFrequency()];
    if (data.groups.length > 1) this.kinds.unshift(this.byGroup());
    this.hidden = new Map(this.kinds.map((kind) => [kind, new Set()]));
    this.active = this.kinds[0];
    if (this.kinds.length > 1) element.append(this.chooser());
    for (const kind of this.kinds) element.append(this.boxes(kind));
    this.apply();
  }

  byGroup() {
    const {groups, groupedBy, group} = this.data;
    return {
      name: groupedBy === "origin" ? "Origin" : "Source",
      names: groups, of: (at) => group[at], color: (at) => `group-${group[at] % 12}`, swatch: (number) => `g${number % 12}`,
    };
  }

  // Bands of frequency ranks, each about three times as wide as the one before.
  byFrequency() {
    const {rank} = this.data;
    const of = (at) => {
      const band = BANDS.findIndex((last) => rank[at] <= last);
      return band < 0 ? BANDS.length : band;
    };
    const names = [...BANDS, null].map((last, number) => {
      const from = decimal.format(number ? BANDS[number - 1] + 1 : 1);
      return last === null ? `${from} and more` : `${from} to ${decimal.format(last)}`;
    });
    return {name: "Frequency rank", names, of, color: (at) => `rank-${of(at)}`, swatch: (number) => `r${number}`};
  }

  chooser() {
    const set = fieldset("Color by");
    for (const kind of this.kinds) {
      const [label, input] = choice("radio", kind.name);
      input.name = "color";
      input.checked = kind === this.active;
      input.addEventListener("change", () => {
        this.active = kind;
        this.apply();
      });
      set.append(label);
    }
    return set;
  }

  boxes(kind) {
    const set = fieldset(kind.name);
    const sizes = new Map();
    for (let at = 0; at < this.data.mapped; at++) sizes.set(kind.of(at), (sizes.get(kind.of(at)) ?? 0) + 1);
    kind.swatches = [];
    for (const number of [...sizes.keys()].sort((a, b) => a - b)) {
      const [label, input] = choice("checkbox", `${kind.names[number]} (${decimal.format(sizes.get(number))})`);
      const swatch = document.createElement("span");
      swatch.className = `swatch ${kind.swatch(number)}`;
      kind.swatches.push(swatch);
      input.after(swatch);
      input.checked = true;
      input.addEventListener("change", () => {
        if (input.checked) this.hidden.get(kind).delete(number);
        else this.hidden.get(kind).add(number);
        this.apply();
      });
      set.append(label);
    }
    return set;
  }

  apply() {
    const {map} = this;
    for (const kind of this.kinds) for (const swatch of kind.swatches) swatch.hidden = kind !== this.active;
    map.colorOf = this.active.color;
    for (let at = 0; at < this.data.mapped; at++) {
      map.visible[at] = this.kinds.every((kind) => !this.hidden.get(kind).has(kind.of(at))) ? 1 : 0;
    }
    if (map.view) map.refresh();
    const shown = map.visible.reduce((sum, one) => sum + one, 0);
    map.element.setAttribute("aria-label", `Map of ${decimal.format(shown)} words`);
  }
}

function fieldset(name) {
  const set = document.createElement("fieldset");
  const legend = document.createElement("legend");
  legend.textContent = name;
  set.append(legend);
  return set;
}

function choice(type, text) {
  const label = document.createElement("label");
  const input = document.createElement("input");
  input.type = type;
  const name = document.createElement("bdi");
  name.textContent = text;
  label.append(input, name);
  return [label, input];
}
