/* The live chart and the live log. Each polls one route of ours about once a second, and only while
   it can be seen; it asks for what follows the last row (or byte) it has, and adds only that. */
(() => {
  const Workbench = (window.Workbench = window.Workbench || {});
  const { make, fill, show, settings, ask, trouble, run } = Workbench.tools;
  const { Panel } = Workbench;
  const LOG_LIMIT = 200000;
  const PANELS = ["loss", "dev", "learning_rate", "grad_norm"];
  const BADGES = ["state", "step", "left", "rate", "memory"];

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

  Workbench.loadPlotly = plotly;

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
        if (answer.anew) this.forget();
        this.take(answer);
        if (!answer.more) return;
      }
    }

    take(answer) {
      if (answer.job.training) this.draw(answer);
      this.after = answer.last;
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
      if (answer.job.second_stage) words.baseline = this.words.baseline_stage;
      this.panels ??= Object.fromEntries(
        PANELS.map((kind) => [kind, new Panel(kind, words, this.grid)]),
      );
      Object.values(this.panels).forEach((panel) => panel.addParts(answer.parts));
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

  Workbench.liveChart = (element, props, watch) =>
    run(new Chart(element, settings(element)), element, props, watch);

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
    run(new Log(element, settings(element)), element, props, watch);
})();
