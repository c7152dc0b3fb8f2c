/* One panel of the live chart: one series that Plotly draws once and is then extended. Drawing it
   anew would leak memory and forget the zoom. */
(() => {
  const Workbench = (window.Workbench = window.Workbench || {});
  const { make, fill, show } = Workbench.tools;
  const SMOOTHING = 0.9;

  const short = (value) =>
    value && Math.abs(value) < 0.001 ? value.toExponential(2) : Number(value.toPrecision(4)).toString();

  class Panel {
    constructor(kind, words, host) {
      this.kind = kind;
      this.words = words;
      this.figure = make("figure", "rw-live-panel");
      this.title = make("figcaption");
      this.name = make("b");
      this.detail = make("small");
      this.title.append(this.name, this.detail);
      this.div = make("div", "rw-live-plot");
      this.div.title = words.zoom;
      this.div.setAttribute("role", "img");
      this.figure.append(this.title, this.div);
      host.append(this.figure);
      this.clear();
    }

    clear() {
      if (this.drawn) window.Plotly.purge(this.div);
      this.drawn = false;
      this.points = 0;
      this.last = 0;
      this.average = 0;
      this.weight = 0;
      this.baseline = null;
      this.parts = [];
      show(this.name, this.words[this.kind]);
      show(this.detail, this.kind === "loss" ? this.words.smooth : "");
      this.div.setAttribute("aria-label", this.words[this.kind]);
    }

    /* Exponential moving average with Adam's bias correction, so that the first values count. */
    smooth(values) {
      return values.map((value) => {
        this.average = SMOOTHING * this.average + (1 - SMOOTHING) * value;
        this.weight = SMOOTHING * this.weight + (1 - SMOOTHING);
        return this.average / this.weight;
      });
    }

    /* Where trainings of one run begin. Each has a line of its own; those whose model is not kept
       lie behind a veil once the last one has begun. */
    addParts(parts) {
      if (!parts.length) return;
      const known = new Map([...this.parts, ...parts].map((one) => [one.step, one]));
      this.parts = [...known.values()].sort((one, other) => one.step - other.step);
      if (this.drawn) window.Plotly.relayout(this.div, this.marks());
    }

    /* The pieces of new points that belong to one training each, and whether a new one begins. */
    pieces(steps, values) {
      const starts = new Set(this.parts.slice(1).map((one) => one.step));
      const found = [];
      steps.forEach((step, at) => {
        const begins = this.parts.slice(1).some((one) => this.last < one.step && one.step <= step);
        if (!found.length || begins || starts.has(step)) found.push({ begins, steps: [], values: [] });
        found.at(-1).steps.push(step);
        found.at(-1).values.push(values[at]);
        this.last = step;
      });
      return found;
    }

    extend(steps, values) {
      for (const piece of this.pieces(steps, values)) this.extendPiece(piece);
    }

    extendPiece({ begins, steps, values }) {
      if (begins && this.points) {
        /* A gap: nothing leads from the one training to the other. */
        this.average = this.weight = 0;
        const all = this.kind === "loss" ? [0, 1] : [0];
        const gap = all.map(() => [null]);
        window.Plotly.extendTraces(this.div, { x: all.map(() => [steps[0]]), y: gap }, all);
      }
      const many = this.kind === "loss" ? [values, this.smooth(values)] : [values];
      if (!this.drawn) this.draw();
      const at = many.map((_, index) => index);
      window.Plotly.extendTraces(this.div, { x: many.map(() => steps), y: many }, at);
      this.points += steps.length;
      const places = { title: this.words[this.kind], points: this.points };
      places.value = short(values.at(-1));
      places.step = steps.at(-1);
      this.div.setAttribute("aria-label", fill(this.words.panel, places));
      if (this.kind !== "loss") show(this.detail, places.value);
    }

    setBaseline(step, value) {
      if (!this.drawn) this.draw();
      this.baseline = value;
      window.Plotly.extendTraces(this.div, { x: [[step]], y: [[value]] }, [1]);
      window.Plotly.relayout(this.div, this.marks());
    }

    draw() {
      this.drawn = true;
      window.Plotly.newPlot(this.div, this.traces(), this.layout(), {
        displayModeBar: false,
        doubleClick: "reset",
        showTips: false,
      });
    }

    colours() {
      const style = getComputedStyle(this.figure);
      const of = (name) => style.getPropertyValue(name).trim();
      return {
        line: of("--live-line"),
        grid: of("--live-grid"),
        text: of("--live-text"),
        ground: of("--live-ground"),
        font: style.fontFamily,
      };
    }

    traces() {
      const colour = this.colours();
      const line = { color: colour.line, width: 2 };
      const thin = { color: colour.line, width: 1 };
      const trace = { type: "scatter", mode: "lines", x: [], y: [], line, name: "" };
      trace.hovertemplate = "%{y:.4~g}";
      if (this.kind === "loss") {
        return [{ ...trace, line: thin, opacity: 0.4 }, { ...trace, hoverinfo: "skip", hovertemplate: null }];
      }
      if (this.kind !== "dev") return [trace];
      /* The second trace is unseen: it makes the axis reach the original model's line. */
      const unseen = { ...trace, mode: "markers", marker: { opacity: 0 }, hoverinfo: "skip" };
      return [
        { ...trace, mode: "lines+markers", marker: { color: colour.line, size: 7 } },
        { ...unseen, hovertemplate: null },
      ];
    }

    axes() {
      const colour = this.colours();
      const axis = { gridcolor: colour.grid, linecolor: colour.grid, zeroline: false };
      return { ...axis, tickfont: { size: 11, color: colour.text }, automargin: true };
    }

    layout() {
      const colour = this.colours();
      const small = this.kind === "learning_rate";
      return {
        autosize: true,
        margin: { l: 44, r: 10, t: 16, b: 34 },
        paper_bgcolor: "rgba(0,0,0,0)",
        plot_bgcolor: "rgba(0,0,0,0)",
        font: { family: colour.font, color: colour.text, size: 12 },
        showlegend: false,
        hovermode: "x",
        hoverlabel: { bgcolor: colour.ground, font: { color: colour.text } },
        xaxis: {
          ...this.axes(),
          title: { text: this.words.step_axis, font: { size: 11 }, standoff: 4 },
          rangemode: "tozero",
          nticks: 6,
          tickformat: ",d",
        },
        yaxis: { ...this.axes(), nticks: 5, ...(small ? { tickformat: ".1~e" } : {}) },
        ...this.marks(),
      };
    }

    /* The original model's value: a dashed line across, with its words above it. */
    line() {
      if (this.baseline === null) return { shapes: [], annotations: [] };
      const colour = this.colours();
      const text = fill(this.words.baseline, { value: this.baseline.toFixed(3) });
      const place = { xref: "paper", yref: "y" };
      const dashed = { color: colour.text, width: 1.5, dash: "dash" };
      const y = this.baseline;
      return {
        shapes: [{ ...place, type: "line", x0: 0, x1: 1, y0: y, y1: y, line: dashed }],
        annotations: [
          {
            ...place,
            x: 1,
            y,
            text,
            showarrow: false,
            xanchor: "right",
            yanchor: "bottom",
            font: { size: 11, color: colour.text },
          },
        ],
      };
    }

    /* What stands beside the series: the original model's line, and the trainings of the run. */
    marks() {
      const { shapes, annotations } = this.line();
      if (this.parts.length < 2) return { shapes, annotations };
      const colour = this.colours();
      const place = { xref: "x", yref: "paper" };
      const thin = { color: colour.text, width: 1, dash: "dot" };
      /* What dev says is of those that are not kept. */
      const kept = this.kind !== "dev" && this.parts.find((one) => one.of === 0);
      const veil = { ...place, type: "rect", x0: 0, y0: 0, y1: 1, line: { width: 0 }, layer: "above" };
      const name = (one) =>
        one.of > 1 ? `${one.number}/${one.of}` : this.words[one.of ? "part_one" : "part_all"];
      return {
        shapes: [
          ...shapes,
          ...(kept ? [{ ...veil, x1: kept.step, fillcolor: colour.ground, opacity: 0.55 }] : []),
          ...this.parts.slice(1).map(({ step: x }) => (
            { ...place, type: "line", x0: x, x1: x, y0: 0, y1: 1, line: thin }
          )),
        ],
        annotations: [
          ...annotations,
          ...this.parts.map((one) => ({
            ...place,
            x: one.step,
            y: 1,
            text: name(one),
            showarrow: false,
            xanchor: "left",
            yanchor: "bottom",
            font: { size: 11, color: colour.text },
          })),
        ],
      };
    }

    recolour() {
      if (!this.drawn) return;
      const fresh = this.traces();
      const update = { "line.color": fresh.map((trace) => trace.line.color) };
      if (this.kind === "dev") update["marker.color"] = fresh.map((trace) => trace.line.color);
      const { font, hoverlabel } = this.layout();
      const changed = { font, hoverlabel, ...this.marks() };
      for (const axis of ["xaxis", "yaxis"]) {
        for (const [key, value] of Object.entries(this.axes())) changed[`${axis}.${key}`] = value;
      }
      window.Plotly.update(this.div, update, changed);
    }

    resize() {
      if (this.drawn && this.div.offsetParent !== null) window.Plotly.Plots.resize(this.div);
    }
  }

  Workbench.Panel = Panel;
})();
