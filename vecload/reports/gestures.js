// Interaction with the map: taps and the pointer find the nearest word, keys and buttons pan and zoom.

// Distance in pixels within which a word is hit: an area of at least 24 × 24 for a mouse, and more for a finger.
const REACH = {mouse: 13, pen: 13, touch: 24};

class Gestures {
  constructor(map, navigation) {
    this.map = map;
    this.navigation = navigation;
    this.tip = document.getElementById("tip");
    this.lassoing = false;
    const {element} = map;
    element.addEventListener("pointerdown", (event) => this.down(event), true);
    element.addEventListener("pointerup", (event) => this.up(event), true);
    element.addEventListener("pointermove", (event) => this.move(event), true);
    element.addEventListener("pointerleave", () => this.point(-1));
    element.addEventListener("keydown", (event) => this.key(event));
    const on = (id, action) => document.getElementById(id).addEventListener("click", action);
    on("pan", () => this.setLasso(false));
    on("lasso", () => this.setLasso(true));
    on("zoom-in", () => map.zoom(0.6));
    on("zoom-out", () => map.zoom(1 / 0.6));
    on("fit", () => map.fit());
    on("png", async () => download(await map.png(), `${fileName(map.data.title)}.png`));
  }

  setLasso(lassoing) {
    this.lassoing = lassoing;
    this.map.setLasso(lassoing);
    document.getElementById("pan").setAttribute("aria-pressed", String(!lassoing));
    document.getElementById("lasso").setAttribute("aria-pressed", String(lassoing));
  }

  place(event) {
    const {left, top} = this.map.element.getBoundingClientRect();
    const border = this.map.element.clientLeft;
    return [event.clientX - left - border, event.clientY - top - border];
  }

  down(event) {
    this.start = this.place(event);
  }

  up(event) {
    if (!this.start) return;
    const [x, y] = this.place(event);
    const moved = Math.hypot(x - this.start[0], y - this.start[1]);
    this.start = null;
    if (moved > 6) return;
    const at = this.map.at(x, y, REACH[event.pointerType] ?? REACH.mouse);
    if (at >= 0) this.navigation.go(at);
  }

  move(event) {
    if (event.buttons || event.pointerType === "touch") return this.point(-1);
    this.point(this.map.at(...this.place(event), REACH.mouse), ...this.place(event));
  }

  // Show the name of the word under the pointer.
  point(at, x = 0, y = 0) {
    this.tip.hidden = at < 0;
    this.map.element.style.cursor = at < 0 ? "" : "pointer";
    if (at < 0) return;
    this.tip.textContent = this.map.data.words[at];
    const {width} = this.map.size;
    this.tip.style.left = `${Math.min(x + 14, Math.max(0, width - this.tip.offsetWidth - 4))}px`;
    this.tip.style.top = `${y + 14}px`;
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const actions = {
      ArrowLeft: () => this.map.shift(-0.15, 0), ArrowRight: () => this.map.shift(0.15, 0),
      ArrowUp: () => this.map.shift(0, 0.15), ArrowDown: () => this.map.shift(0, -0.15),
      "+": () => this.map.zoom(0.6), "=": () => this.map.zoom(0.6), "-": () => this.map.zoom(1 / 0.6),
      0: () => this.map.fit(),
    };
    if (!actions[event.key]) return;
    event.preventDefault();
    actions[event.key]();
  }
}

function download(content, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(content);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

function fileName(title) {
  return title.replace(/[^\p{L}\p{N}._-]+/gu, "-").slice(0, 80) || "words";
}
