/* The live chart and the live log. Each polls one route of ours about once a second, and only while
   it can be seen; it asks for what follows the last row (or byte) it has, and draws only that.
   Plotly draws a panel once and is then extended: redrawing leaks memory and forgets the zoom. */
(() => {
  const Workbench = (window.Workbench = window.Workbench || {});
  const PERIOD = 1000;
  const LONGEST_PAUSE = 10000;
  const SMOOTHING = 0.9;
  const LOG_LIMIT = 200000;
  const PANELS = ["loss", "dev", "learning_rate", "grad_norm"];
  const BADGES = ["state", "step", "left", "rate", "memory"];

  const make = (tag, className = "", text = "") => {
    const made = document.createElement(tag);
    if (className) made.className = className;
    if (text) made.textContent = text;
    return made;
  };
  const fill = (words, places) => words.replace(/\{(\w+)\}/g, (all, key) => places[key] ?? all);
  const show = (node, text) => {
    if (node.textContent !== text) node.textContent = text;
    node.hidden = !text;
  };
  const short = (value) =>
    value && Math.abs(value) < 0.001 ? value.toExponential(2) : Number(value.toPrecision(4)).toString();

  async function ask(url) {
    const answer = await fetch(url, {
      headers: { accept: "application/json" },
      signal: AbortSignal.timeout(15000),
    });
    if (answer.ok) return answer.json();
    throw Object.assign(new Error(String(answer.status)), { status: answer.status });
  }

  function plotly(url) {
    Workbench.plotly ??= new Promise((resolve, reject) => {
      const script = make("script");
      script.src = url;
      script.onload = () => resolve(window.Plotly);
      script.onerror = () => {
        Workbench.plotly = null;
        reject(new Error("plotly"));
      };
      document.head.append(script);
    });
    return Workbench.plotly;
  }

  /* Calls `turn` every second while the element is seen. Failures make it wait longer, never stop.
     Once the element has left the page, `leave` is called and nothing remains. */
  function poll(element, turn, failed, leave) {
    let busy = false;
    let failures = 0;
    let notBefore = 0;
    let placed = false;
    const tick = async () => {
      placed ||= element.isConnected;
      if (placed && !element.isConnected) return stop();
      if (busy || document.hidden || element.offsetParent === null) return;
      if (Date.now() < notBefore) return;
      busy = true;
      try {
        await turn();
        if (failures) failed(0);
        failures = 0;
      } catch (error) {
        failures += 1;
        notBefore = Date.now() + Math.min(LONGEST_PAUSE, PERIOD * failures);
        failed(failures, error);
      } finally {
        busy = false;
      }
    };
    const timer = setInterval(tick, PERIOD);
    document.addEventListener("visibilitychange", tick);
    const stop = () => {
      clearInterval(timer);
      document.removeEventListener("visibilitychange", tick);
      leave();
    };
    tick();
    return tick;
  }

  /* What went wrong with a question, as the words for it; a job that is gone is not asked again. */
  function trouble(words, failures, error) {
    if (!failures) return "";
    if (error?.status === 404) return words.gone;
    if (error?.status === 401) return words.signed_out;
    return failures > 1 ? words.offline : "";
  }

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
      this.average = 0;
      this.weight = 0;
      this.baseline = null;
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

    extend(steps, values) {
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
      window.Plotly.relayout(this.div, this.line());
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
        margin: { l: 44, r: 10, t: 6, b: 34 },
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
        ...this.line(),
      };
    }

    /* The original model's value: a dashed line across, with its words above it. */
    line() {
      if (this.baseline === null) return {};
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

    recolour() {
      if (!this.drawn) return;
      const fresh = this.traces();
      const update = { "line.color": fresh.map((trace) => trace.line.color) };
      if (this.kind === "dev") update["marker.color"] = fresh.map((trace) => trace.line.color);
      const { font, hoverlabel } = this.layout();
      const changed = { font, hoverlabel, ...this.line() };
      for (const axis of ["xaxis", "yaxis"]) {
        for (const [key, value] of Object.entries(this.axes())) changed[`${axis}.${key}`] = value;
      }
      window.Plotly.update(this.div, update, changed);
    }

    resize() {
      if (this.drawn && this.div.offsetParent !== null) window.Plotly.Plots.resize(this.div);
    }
  }

  class Chart {
    constructor(element, config) {
      this.element = element;
      this.config = config;
      this.words = config.words;
      const root = (this.root = make("section", "rw-live"));
      root.setAttribute("aria-label", this.words.region);
      this.badges = make("ul", "rw-live-badges");
      this.items = {};
      for (const name of BADGES) {
        this.items[name] = make("li", "rw-badge");
        this.items[name].hidden = true;
        this.badges.append(this.items[name]);
      }
      this.note = make("p", "rw-live-note");
      this.alarm = make("p", "rw-live-alarm");
      this.grid = make("div", "rw-live-grid");
      root.append(this.badges, this.note, this.alarm, this.grid);
      element.replaceChildren(root);
      this.panels = null;
      this.watchTheme();
    }

    watchTheme() {
      const each = (what) => () => Object.values(this.panels ?? {}).forEach((one) => one[what]());
      const later = (what) => () => requestAnimationFrame(what);
      this.theme = new MutationObserver(later(each("recolour")));
      for (const node of [document.documentElement, document.body]) {
        this.theme.observe(node, { attributes: true, attributeFilter: ["class"] });
      }
      this.sizes = new ResizeObserver(later(each("resize")));
      this.sizes.observe(this.grid);
    }

    /* Points the chart at a job; the same one again changes nothing. */
    target(job) {
      if (job === this.job) return;
      this.job = job;
      this.forget();
      this.panels = null;
      this.grid.replaceChildren();
      for (const item of Object.values(this.items)) show(item, "");
      show(this.alarm, "");
      show(this.note, job ? "" : this.words.none);
      this.grid.hidden = true;
    }

    forget() {
      this.after = 0;
      this.attempt = 0;
      this.settled = false;
      Object.values(this.panels ?? {}).forEach((panel) => panel.clear());
    }

    async turn() {
      while (this.job && !this.settled) {
        const job = this.job;
        const path = `/api/jobs/${encodeURIComponent(job)}/points?after=${this.after}`;
        const answer = await ask(this.config.base + path);
        if (answer.job.training) await plotly(this.config.plotly);
        if (job !== this.job) continue;
        /* A run that was resumed has taken back what it had reported beyond its checkpoint. */
        if (this.after && answer.attempt > this.attempt) {
          this.forget();
          continue;
        }
        this.take(answer);
        if (!answer.more) return;
      }
    }

    take(answer) {
      if (answer.job.training) this.draw(answer);
      this.after = answer.last;
      this.attempt = answer.attempt ?? this.attempt;
      this.settled = answer.job.finished && !answer.more;
      for (const name of BADGES) {
        const badge = answer.job.badges[name];
        if (!badge) continue;
        show(this.items[name], badge.text);
        this.items[name].className = `rw-badge ${badge.tone}`.trim();
      }
      const begun = !answer.job.training || this.after || answer.job.finished;
      show(this.note, answer.job.error || answer.job.message || (begun ? "" : this.words.waiting));
      this.note.classList.toggle("bad", Boolean(answer.job.error));
    }

    draw(answer) {
      this.grid.hidden = false;
      const words = { ...this.words, dev: fill(this.words.dev, { metric: answer.metric }) };
      this.panels ??= Object.fromEntries(
        PANELS.map((kind) => [kind, new Panel(kind, words, this.grid)]),
      );
      for (const [kind, [steps, values]] of Object.entries(answer.series)) {
        if (kind === "baseline") this.panels.dev.setBaseline(steps.at(-1), values.at(-1));
        else this.panels[kind].extend(steps, values);
      }
    }

    failed(failures, error) {
      if (error && error.status === 404) this.settled = true;
      show(this.alarm, trouble(this.words, failures, error));
    }

    leave() {
      this.theme.disconnect();
      this.sizes.disconnect();
      this.forget();
    }
  }

  /* Something about a job may have changed: notices.js says so, and a settled chart looks again. */
  function wake(one, tick) {
    const listen = (event) => {
      if (!event.detail.some((job) => job.id === one.job)) return;
      one.settled = false;
      tick();
    };
    document.addEventListener("workbench:changes", listen);
    return () => document.removeEventListener("workbench:changes", listen);
  }

  /* Keeps a chart or a log going: polled, pointed at the component's value, woken, taken down. */
  function run(one, element, props, watch) {
    let unlisten = () => {};
    const turn = () => one.turn();
    const failed = (failures, error) => one.failed(failures, error);
    one.target(props.value || "");
    const tick = poll(element, turn, failed, () => {
      unlisten();
      one.leave();
    });
    unlisten = wake(one, tick);
    watch("value", () => {
      one.target(props.value || "");
      tick();
    });
  }

  Workbench.liveChart = (element, props, watch) =>
    run(new Chart(element, props.config), element, props, watch);

  class Log {
    constructor(element, config) {
      this.config = config;
      this.words = config.words;
      this.pre = make("pre", "rw-log");
      this.pre.tabIndex = 0;
      this.pre.setAttribute("role", "region");
      this.pre.setAttribute("aria-label", this.words.log);
      this.note = make("p", "rw-live-note");
      element.replaceChildren(this.pre, this.note);
    }

    target(job) {
      if (job === this.job) return;
      this.job = job;
      this.start = -1;
      this.settled = false;
      this.pre.replaceChildren();
      show(this.note, job ? "" : this.words.none);
      this.pre.hidden = true;
    }

    async turn() {
      if (!this.job || this.settled) return;
      const job = this.job;
      const path = `/api/jobs/${encodeURIComponent(job)}/log?start=${this.start}`;
      const answer = await ask(this.config.base + path);
      if (job !== this.job) return;
      if (answer.start !== this.start) this.pre.replaceChildren();
      this.settled = answer.finished && answer.start === this.start && !answer.text;
      this.start = answer.end;
      if (answer.text) this.add(answer.text);
      this.pre.hidden = !this.pre.textContent;
      show(this.note, this.pre.hidden ? this.words.log_none : "");
    }

    /* Text nodes only: what a program printed is never HTML. */
    add(text) {
      const { pre } = this;
      const atEnd = pre.hidden || pre.scrollHeight - pre.scrollTop - pre.clientHeight < 24;
      pre.hidden = false;
      pre.append(text);
      while (pre.childNodes.length > 1 && pre.textContent.length > LOG_LIMIT) {
        pre.firstChild.remove();
      }
      if (atEnd) pre.scrollTop = pre.scrollHeight;
    }

    failed(failures, error) {
      if (error && error.status === 404) this.settled = true;
      const text = trouble(this.words, failures, error);
      if (text || !this.pre.hidden) show(this.note, text);
    }

    leave() {
      this.pre.replaceChildren();
    }
  }

  Workbench.liveLog = (element, props, watch) =>
    run(new Log(element, props.config), element, props, watch);
})();
