// Map of points, labels and the word in focus, drawn by Bokeh.

class WordMap {
  constructor(element, data, theme) {
    this.element = element;
    this.data = data;
    this.theme = theme;
    this.placer = new LabelPlacer(data);
    this.visible = new Uint8Array(data.mapped).fill(1);
    this.colorOf = () => "group-0";
    this.shown = [];
    this.focused = [];
    this.selectionListeners = [];
    const {ColumnDataSource, Range1d, PanTool, WheelZoomTool, LassoSelectTool} = Bokeh;
    this.points = new ColumnDataSource({data: {x: [], y: [], color: []}});
    this.labels = new ColumnDataSource({data: {x: [], y: [], text: []}});
    this.focus = new ColumnDataSource({data: {x: [], y: [], size: []}});
    this.lines = new ColumnDataSource({data: {x0: [], y0: [], x1: [], y1: []}});
    this.pan = new PanTool();
    this.wheel = new WheelZoomTool();
    this.lasso = new LassoSelectTool({continuous: false});
    const plot = Bokeh.Plotting.figure({
      x_range: new Range1d({start: -1, end: 1}),
      y_range: new Range1d({start: -1, end: 1}),
      tools: [this.pan, this.wheel, this.lasso],
      toolbar_location: null,
      sizing_mode: "stretch_both",
      min_border: 0,
      outline_line_color: null,
    });
    plot.toolbar.active_drag = this.pan;
    plot.toolbar.active_scroll = this.wheel;
    for (const axis of [...plot.xaxis, ...plot.yaxis]) axis.visible = false;
    for (const grid of [...plot.xgrid, ...plot.ygrid]) grid.visible = false;
    this.plot = plot;
    this.draw();
  }

  draw() {
    const field = (name) => ({field: name});
    const {plot} = this;
    this.dots = plot.scatter(field("x"), field("y"), {
      source: this.points, size: 7, fill_color: field("color"), line_color: null, fill_alpha: 0.75,
      nonselection_fill_alpha: 0.15, selection_fill_alpha: 1,
    });
    this.strokes = plot.segment(field("x0"), field("y0"), field("x1"), field("y1"), {
      source: this.lines, line_color: this.theme.color("focus"), line_alpha: 0.55, line_width: 1.5,
    });
    this.rings = plot.scatter(field("x"), field("y"), {
      source: this.focus, size: field("size"), fill_color: null, line_color: this.theme.color("focus"), line_width: 2,
    });
    // A background in the color of the page keeps words readable on top of points.
    this.texts = plot.text(field("x"), field("y"), field("text"), {
      source: this.labels, x_offset: GAP, text_baseline: "middle", text_font: "system-ui, sans-serif",
      text_font_size: "13px", text_color: this.theme.color("ink"), background_fill_color: this.theme.color("paper"),
      background_fill_alpha: 0.72, padding: 1, border_radius: 3,
    });
    this.recolor();
  }

  async attach() {
    this.view = await Bokeh.Plotting.show(this.plot, this.element);
    this.refresh();
    this.fit();
    for (const range of [this.plot.x_range, this.plot.y_range]) range.change.connect(() => this.later());
    new ResizeObserver(() => this.resized()).observe(this.element);
    this.points.selected.properties.indices.change.connect(() => {
      const chosen = this.points.selected.indices.map((place) => this.shown[place]);
      for (const listener of this.selectionListeners) listener(chosen);
    });
    this.theme.onChange(() => this.recolor());
  }

  get size() {
    return {width: this.element.clientWidth, height: this.element.clientHeight};
  }

  // Convert coordinates to pixels and back, for the visible ranges.
  scales() {
    const {width, height} = this.size;
    const {x_range: xs, y_range: ys} = this.plot;
    return {
      width,
      height,
      toX: (x) => ((x - xs.start) / (xs.end - xs.start)) * width,
      toY: (y) => ((ys.end - y) / (ys.end - ys.start)) * height,
    };
  }

  // Show the area around a center at a number of units per pixel, the same in both directions.
  look(x, y, unit) {
    const {width, height} = this.size;
    this.unit = unit;
    this.plot.x_range.setv({start: x - (unit * width) / 2, end: x + (unit * width) / 2});
    this.plot.y_range.setv({start: y - (unit * height) / 2, end: y + (unit * height) / 2});
  }

  middle() {
    const {x_range: xs, y_range: ys} = this.plot;
    return {x: (xs.start + xs.end) / 2, y: (ys.start + ys.end) / 2, unit: (xs.end - xs.start) / this.size.width};
  }

  fit() {
    const {x, y, mapped} = this.data;
    let [left, right, low, high] = [Infinity, -Infinity, Infinity, -Infinity];
    for (let at = 0; at < mapped; at++) {
      if (!this.visible[at]) continue;
      left = Math.min(left, x[at]);
      right = Math.max(right, x[at]);
      low = Math.min(low, y[at]);
      high = Math.max(high, y[at]);
    }
    if (left > right) return;
    const {width, height} = this.size;
    const unit = Math.max((right - left) / (width * 0.9), (high - low) / (height * 0.92)) || 1 / width;
    this.look((left + right) / 2, (low + high) / 2, unit);
    this.least = unit;
  }

  resized() {
    const {x, y, unit} = this.middle();
    if (this.size.width) this.look(x, y, this.unit ?? unit);
  }

  zoom(factor) {
    const {x, y, unit} = this.middle();
    this.look(x, y, unit * factor);
  }

  shift(right, up) {
    const {x, y, unit} = this.middle();
    const {width, height} = this.size;
    this.look(x + right * width * unit, y + up * height * unit, unit);
  }

  // Redraw the points after a change of filter or coloring.
  refresh() {
    const {x, y, mapped} = this.data;
    const colors = new Map();
    const color = (name) => {
      if (!colors.has(name)) colors.set(name, this.theme.color(name));
      return colors.get(name);
    };
    const chosen = new Set(this.points.selected.indices.map((place) => this.shown[place]));
    this.shown = [];
    const columns = {x: [], y: [], color: []};
    // Frequent words are drawn last, on top of the others.
    for (let at = mapped - 1; at >= 0; at--) {
      if (!this.visible[at]) continue;
      this.shown.push(at);
      columns.x.push(x[at]);
      columns.y.push(y[at]);
      columns.color.push(color(this.colorOf(at)));
    }
    this.points.data = columns;
    const places = this.shown.map((at, place) => (chosen.has(at) ? place : -1)).filter((place) => place >= 0);
    this.points.selected.indices = places;
    this.label();
  }

  recolor() {
    const {theme, plot} = this;
    plot.background_fill_color = plot.border_fill_color = theme.color("paper");
    this.texts.glyph.text_color = theme.color("ink");
    this.texts.glyph.background_fill_color = theme.color("paper");
    this.rings.glyph.line_color = this.strokes.glyph.line_color = theme.color("focus");
    if (this.view) this.refresh();
  }

  // Labels follow a movement with a short delay: placing them at every step would flicker.
  later() {
    if (this.waiting) return;
    this.waiting = true;
    setTimeout(() => {
      this.waiting = false;
      this.label();
    }, 250);
  }

  // Points are small while they are dense, and grow with the zoom.
  dotSize() {
    const {width, height} = this.size;
    const closeness = Math.sqrt((this.least ?? 1) / this.middle().unit);
    return Math.max(3, Math.min(10, 0.45 * Math.sqrt((width * height) / (this.shown.length + 1)) * closeness));
  }

  label() {
    const {x, y} = this.data;
    this.dots.glyph.size = this.dotSize();
    this.labeled = this.placer.place(this.scales(), this.visible, this.focused);
    this.labels.data = {
      x: this.labeled.map((at) => x[at]),
      y: this.labeled.map((at) => y[at]),
      text: this.labeled.map((at) => this.placer.text(at)),
    };
  }

  // Mark a word and its neighbors with rings, and move the word into view.
  show(at) {
    const {x, y} = this.data;
    const onMap = at >= 0 && this.data.onMap(at);
    const near = at < 0 ? [] : [...this.data.neighbors(at), ...(this.data.across ? this.data.neighbors(at, "across") : [])];
    const others = near.map((one) => one.at).filter((other) => this.data.onMap(other) && this.visible[other]);
    this.focused = onMap ? [at, ...others] : others;
    this.focus.data = {
      x: this.focused.map((one) => x[one]),
      y: this.focused.map((one) => y[one]),
      size: this.focused.map((one) => (one === at ? 16 : 11)),
    };
    const ends = onMap ? others : [];
    this.lines.data = {
      x0: ends.map(() => x[at]), y0: ends.map(() => y[at]), x1: ends.map((one) => x[one]), y1: ends.map((one) => y[one]),
    };
    if (onMap) this.reveal(at);
    this.label();
  }

  reveal(at) {
    const {x: middleX, y: middleY, unit} = this.middle();
    const {width, height} = this.size;
    const [x, y] = [this.data.x[at], this.data.y[at]];
    const inside = Math.abs(x - middleX) < 0.4 * width * unit && Math.abs(y - middleY) < 0.4 * height * unit;
    // When all words are shown, they are too dense to distinguish: zoom in once, and then keep the scale.
    const close = this.data.mapped > 300 && unit > this.least * 0.9 ? this.least / 3 : unit;
    if (!inside || close !== unit) this.look(x, y, close);
  }

  // Return the visible word nearest to a pixel, or -1 if none is within `reach` pixels.
  at(left, top, reach) {
    const view = this.scales();
    let [best, least] = [-1, reach * reach];
    for (const at of this.shown) {
      const [right, down] = [view.toX(this.data.x[at]) - left, view.toY(this.data.y[at]) - top];
      const distance = right * right + down * down;
      if (distance <= least) [best, least] = [at, distance];
    }
    return best;
  }

  select(words) {
    const chosen = new Set(words);
    this.points.selected.indices = this.shown.flatMap((at, place) => (chosen.has(at) ? [place] : []));
  }

  onSelect(listener) {
    this.selectionListeners.push(listener);
  }

  setLasso(on) {
    this.plot.toolbar.active_drag = on ? this.lasso : this.pan;
    this.pan.active = !on;
    this.lasso.active = on;
  }

  png() {
    return this.view.export("png").to_blob();
  }
}
