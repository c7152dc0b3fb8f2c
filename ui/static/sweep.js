/* The runs of a sweep in one chart: a curve each, drawn once and extended while the runs go on, and
   what they began from, dashed. */
(() => {
  const Workbench = window.Workbench;
  const { make, fill, show, settings, ask, trouble, run } = Workbench.tools;
  const MARKS = ["circle", "square", "diamond", "cross"];
  /* How long (ms) a sweep whose runs have all ended is left alone: one may be resumed. */
  const REST = 10000;

  class Sweep {
    constructor(element, config) {
      this.config = config;
      this.words = config.words;
      this.figure = make("figure", "rw-live rw-live-panel rw-live-sweep");
      const title = make("figcaption");
      this.name = make("b");
      title.append(this.name);
      this.alarm = make("p", "rw-live-alarm");
      this.note = make("p", "rw-live-note");
      this.div = make("div", "rw-live-plot");
      this.div.setAttribute("role", "img");
      this.figure.append(title, this.alarm, this.note, this.div);
      element.replaceChildren(this.figure);
      this.runs = new Map();
      const later = (what) => () => requestAnimationFrame(() => this.drawn && what());
      this.theme = new MutationObserver(later(() => this.recolour()));
      for (const node of [document.documentElement, document.body]) {
        this.theme.observe(node, { attributes: true, attributeFilter: ["class"] });
      }
      this.sizes = new ResizeObserver(
        later(() => this.div.offsetParent !== null && window.Plotly.Plots.resize(this.div)),
      );
      this.sizes.observe(this.figure);
    }

    /* ``value`` is the id of the sweep's first run; '' shows nothing. */
    target(job) {
      if (job === this.job) return;
      this.job = job;
      this.forget();
      this.figure.hidden = !job;
      show(this.note, job ? this.words.waiting : "");
    }

    forget() {
      if (this.drawn) window.Plotly.purge(this.div);
      this.drawn = false;
      this.runs.clear();
      this.resting = 0;
    }

    async turn() {
      if (!this.job || Date.now() < this.resting) return;
      const job = this.job;
      const seen = [...this.runs.values()].map((one) => `${one.job}:${one.last}`).join(",");
      const path = `/api/sweeps/${encodeURIComponent(job)}/points?after=${encodeURIComponent(seen)}`;
      const answer = await ask(this.config.base + path);
      await Workbench.loadPlotly(this.config.plotly);
      if (job !== this.job) return;
      this.take(answer);
      const over = answer.runs.every((one) => one.finished && !one.more);
      this.resting = over ? Date.now() + REST : 0;
    }

    take(answer) {
      show(this.name, fill(this.words.title, { metric: answer.metric }));
      if (answer.runs.some((one) => one.anew)) {
        /* A resumed run has taken back what it had reported beyond its checkpoint: all anew. */
        this.forget();
        return;
      }
      const same = answer.runs.length === this.runs.size && answer.runs.every((one) => this.runs.has(one.job));
      if (this.drawn && !same) {
        this.forget();
        return;
      }
      if (!this.drawn) this.draw(answer);
      const grown = answer.runs.filter((one) => one.steps.length);
      if (grown.length) {
        window.Plotly.extendTraces(
          this.div,
          { x: grown.map((one) => one.steps), y: grown.map((one) => one.values) },
          grown.map((one) => answer.runs.indexOf(one)),
        );
      }
      let lines = false;
      for (const one of answer.runs) {
        const kept = this.runs.get(one.job);
        kept.last = one.last;
        kept.points += one.steps.length;
        kept.value = one.values.at(-1) ?? kept.value;
        if (one.baseline === null || one.baseline === kept.baseline) continue;
        kept.baseline = one.baseline;
        lines = true;
      }
      if (lines) this.drawLines(answer.runs.length);
      const any = [...this.runs.values()].some((one) => one.points || one.baseline !== null);
      show(this.note, any ? "" : this.words.waiting);
      const said = [...this.runs.values()].filter((one) => one.points);
      this.div.setAttribute(
        "aria-label",
        [this.name.textContent, ...said.map((one) => `${one.name}: ${one.value.toFixed(3)}`)].join("; "),
      );
    }

    draw(answer) {
      this.drawn = true;
      const colours = this.config.colours;
      const traces = answer.runs.map((one, at) => {
        this.runs.set(one.job, { job: one.job, name: one.name, last: 0, points: 0, baseline: null });
        const colour = colours[at % colours.length];
        const symbol = MARKS[Math.floor(at / colours.length) % MARKS.length];
        const name = plain(one.name);
        return {
          type: "scatter", mode: "lines+markers", x: [], y: [], name,
          line: { color: colour, width: 2 }, marker: { color: colour, size: 7, symbol },
          hovertemplate: `%{x}: %{y:.3f}<extra>${name}</extra>`,
        };
      });
      /* The last trace is unseen: it makes the axis reach the dashed lines. */
      traces.push({
        type: "scatter", mode: "markers", x: [], y: [], marker: { opacity: 0 },
        hoverinfo: "skip", showlegend: false,
      });
      window.Plotly.newPlot(this.div, traces, this.layout(), {
        displayModeBar: false,
        doubleClick: "reset",
        showTips: false,
      });
    }

    /* One line where all runs began from the same, else one for each value. */
    lines() {
      const values = new Map();
      for (const one of this.runs.values()) {
        if (one.baseline === null) continue;
        const text = one.baseline.toFixed(3);
        if (!values.has(text)) values.set(text, one);
      }
      const colour = this.colours();
      const alike = values.size === 1;
      const shapes = [];
      const annotations = [];
      for (const [text, one] of values) {
        const y = one.baseline;
        const place = { xref: "paper", yref: "y" };
        const word = alike ? this.words.baseline : fill(this.words.baseline_of, { run: one.name });
        shapes.push({ ...place, type: "line", x0: 0, x1: 1, y0: y, y1: y,
          line: { color: colour.text, width: 1.5, dash: "dash" } });
        annotations.push({ ...place, x: 1, y, text: plain(`${word} ${text}`), showarrow: false,
          xanchor: "right", yanchor: "bottom", font: { size: 11, color: colour.text } });
      }
      return { shapes, annotations };
    }

    drawLines(at) {
      const { shapes, annotations } = this.lines();
      const ys = shapes.map((one) => one.y0);
      window.Plotly.restyle(this.div, { x: [ys.map(() => 0)], y: [ys] }, [at]);
      window.Plotly.relayout(this.div, { shapes, annotations });
    }

    colours() {
      const style = getComputedStyle(this.figure);
      const of = (name) => style.getPropertyValue(name).trim();
      return { grid: of("--live-grid"), text: of("--live-text"), ground: of("--live-ground"), font: style.fontFamily };
    }

    axis(more) {
      const colour = this.colours();
      return { gridcolor: colour.grid, linecolor: colour.grid, zeroline: false, automargin: true,
        tickfont: { size: 11, color: colour.text }, ...more };
    }

    layout() {
      const colour = this.colours();
      const step = { text: this.words.step, font: { size: 11 }, standoff: 4 };
      return {
        autosize: true,
        margin: { l: 44, r: 10, t: 6, b: 34 },
        paper_bgcolor: "rgba(0,0,0,0)",
        plot_bgcolor: "rgba(0,0,0,0)",
        font: { family: colour.font, color: colour.text, size: 12 },
        showlegend: true,
        legend: { orientation: "h", x: 0, y: -0.22 },
        hovermode: "x",
        hoverlabel: { bgcolor: colour.ground, font: { color: colour.text } },
        xaxis: this.axis({ title: step, rangemode: "tozero", nticks: 6, tickformat: ",d" }),
        yaxis: this.axis({ nticks: 5 }),
      };
    }

    recolour() {
      const { font, hoverlabel } = this.layout();
      const changed = { font, hoverlabel, ...this.lines() };
      for (const axis of ["xaxis", "yaxis"]) {
        for (const [key, value] of Object.entries(this.axis({}))) changed[`${axis}.${key}`] = value;
      }
      window.Plotly.relayout(this.div, changed);
    }

    failed(failures, error) {
      if (error && error.status === 404) this.resting = Date.now() + REST;
      show(this.alarm, trouble(this.words, failures, error));
    }

    leave() {
      this.theme.disconnect();
      this.sizes.disconnect();
      this.forget();
    }
  }

  /* Text as Plotly shows it: its few tags are switched off, and so is its %{...} notation. */
  const plain = (text) =>
    text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll("%{", "%\u200b{");

  Workbench.sweepChart = (element, props, watch) =>
    run(new Sweep(element, settings(element)), element, props, watch);
})();
