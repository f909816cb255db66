// Placement of labels: words are taken in the order of the data, and labels that would overlap others are omitted.

const LABEL_FONT = "13px system-ui, sans-serif";
const LINE = 16;
const GAP = 6;

class LabelPlacer {
  constructor(data) {
    this.data = data;
    this.widths = new Map();
    this.canvas = document.createElement("canvas").getContext("2d");
    this.canvas.font = LABEL_FONT;
  }

  width(at) {
    if (!this.widths.has(at)) this.widths.set(at, Math.min(this.canvas.measureText(this.text(at)).width, 180));
    return this.widths.get(at);
  }

  text(at) {
    const word = this.data.words[at].replace(/[\u0000-\u001f\u007f]/g, "\u241b");
    return word.length > 24 ? `${word.slice(0, 23)}…` : word;
  }

  // Return the positions of the words to label in a view of `width` × `height` pixels; words in `first` take precedence.
  place(view, visible, first) {
    const {width, height} = view;
    const most = Math.max(20, Math.min(260, (width * height) / 4200));
    const lines = new Map();
    const placed = [];
    const fits = (at) => {
      if (!visible[at]) return;
      const x = view.toX(this.data.x[at]);
      const y = view.toY(this.data.y[at]);
      if (x < 0 || y < LINE / 2 || x > width || y > height - LINE / 2) return;
      const left = x - GAP;
      const right = x + GAP + this.width(at) + GAP;
      if (right - GAP > width) return;
      const line = Math.floor(y / LINE);
      for (let near = line - 1; near <= line + 1; near++) {
        for (const box of lines.get(near) ?? []) {
          if (box.left < right && left < box.right && Math.abs(box.y - y) < LINE) return;
        }
      }
      if (!lines.has(line)) lines.set(line, []);
      lines.get(line).push({left, right, y});
      placed.push(at);
    };
    const taken = new Set(first);
    first.forEach(fits);
    for (const at of this.data.order) {
      if (placed.length >= most) break;
      if (!taken.has(at)) fits(at);
    }
    return placed;
  }
}
