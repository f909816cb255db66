// Charts of the panels. Each is drawn when its panel is first opened, because a hidden panel has no size.

class Charts {
  constructor(charts, theme) {
    this.waiting = charts.filter((chart) => chart.series.length);
    this.drawn = [];
    this.theme = theme;
    theme.onChange(() => this.drawn.forEach((chart) => this.recolor(chart)));
  }

  open(panel) {
    const now = this.waiting.filter((chart) => chart.panel === panel);
    this.waiting = this.waiting.filter((chart) => chart.panel !== panel);
    for (const chart of now) this.draw(chart);
  }

  draw(chart) {
    const {ColumnDataSource, HoverTool, Range1d} = Bokeh;
    const highest = chart.top ?? Math.max(...chart.series.flatMap((series) => series.y));
    const plot = Bokeh.Plotting.figure({
      x_axis_type: chart.log ? "log" : "linear",
      x_axis_label: chart.x,
      y_axis_label: chart.y,
      y_range: new Range1d({start: 0, end: highest * 1.05}),
      tools: [],
      toolbar_location: null,
      sizing_mode: "stretch_both",
      min_border: 2,
      outline_line_color: null,
    });
    const lines = chart.series.map((series) => {
      const source = new ColumnDataSource({data: {x: series.x, y: series.y, name: series.x.map(() => series.name)}});
      const options = {source, line_width: 2};
      if (chart.series.length > 1) options.legend_label = series.name;
      return plot.line({field: "x"}, {field: "y"}, options);
    });
    plot.add_tools(new HoverTool({tooltips: [["", "@name"], [chart.x, "@x{0,0.[000]}"], [chart.y, "@y{0.0%}"]]}));
    for (const axis of plot.yaxis) axis.formatter = new Bokeh.NumeralTickFormatter({format: "0.[0]%"});
    if (chart.log) for (const axis of plot.xaxis) axis.formatter = new Bokeh.NumeralTickFormatter({format: "0a"});
    const shown = {chart, plot, lines};
    this.recolor(shown);
    this.drawn.push(shown);
    Bokeh.Plotting.show(plot, document.getElementById(`chart-${chart.key}`));
  }

  recolor({chart, plot, lines}) {
    const {theme} = this;
    const [ink, card, rule] = ["ink", "card", "rule"].map((name) => theme.color(name));
    plot.background_fill_color = plot.border_fill_color = card;
    for (const axis of [...plot.xaxis, ...plot.yaxis]) {
      axis.axis_label_text_color = axis.major_label_text_color = ink;
      axis.axis_line_color = axis.major_tick_line_color = rule;
      axis.minor_tick_line_color = null;
      axis.axis_label_text_font_style = "normal";
    }
    for (const grid of [...plot.xgrid, ...plot.ygrid]) grid.grid_line_color = rule;
    for (const legend of plot.legend.items ? [plot.legend] : []) {
      legend.background_fill_color = card;
      legend.label_text_color = ink;
      legend.border_line_color = null;
      legend.location = chart.log ? "bottom_left" : "top_right";
    }
    lines.forEach((line, at) => {
      line.glyph.line_color = theme.color(chart.series[at].color);
    });
  }
}
