/* Notices that a job ended, on whatever tab: a quiet toast, and the page's title while it is out
   of sight. Asks every few seconds, rarely while out of sight, and tells the live charts. */
(() => {
  const Workbench = window.Workbench;
  const SEEN = 3000;
  const UNSEEN = 20000;
  const STAYS = 12000;

  class Notices {
    constructor(element, config, trigger) {
      this.element = element;
      this.config = config;
      this.words = config.words;
      this.trigger = trigger;
      this.known = new Set();
      this.missed = 0;
      this.stack = document.createElement("div");
      this.stack.className = "rw-notices";
      this.stack.setAttribute("role", "status");
      this.stack.setAttribute("aria-label", this.words.region);
      element.replaceChildren(this.stack);
      this.title = document.title;
      Workbench.tools.hear(element, "visibilitychange", () => this.seen());
      this.turn();
    }

    seen() {
      if (document.hidden) return;
      if (this.missed) document.title = this.title;
      this.missed = 0;
      this.turn();
    }

    async turn() {
      clearTimeout(this.timer);
      if (this.placed && !this.element.isConnected) return;
      this.placed ||= this.element.isConnected;
      const mine = (this.turns = (this.turns ?? 0) + 1);
      await this.look().catch(() => {}); // the app may be restarting; the next look says more
      if (mine !== this.turns) return;
      this.timer = setTimeout(() => this.turn(), document.hidden ? UNSEEN : SEEN);
    }

    async look() {
      const since = this.now === undefined ? "" : `?since=${this.now}`;
      const answer = await fetch(`${this.config.base}/api/changes${since}`, {
        headers: { accept: "application/json" },
        signal: AbortSignal.timeout(15000),
      });
      if (!answer.ok) return;
      const { now, jobs } = await answer.json();
      this.now = now;
      const fresh = jobs.filter((job) => this.isNew(job));
      if (!fresh.length) return;
      document.dispatchEvent(new CustomEvent("workbench:changes", { detail: fresh }));
      const ended = fresh.filter((job) => job.finished);
      ended.forEach((job) => this.tell(job));
      this.trigger("change_of_jobs", { ids: fresh.map((job) => job.id) });
    }

    isNew(job) {
      const key = `${job.id} ${job.attempt} ${job.status}`;
      if (this.known.has(key)) return false;
      this.known.add(key);
      return true;
    }

    tell(job) {
      const text = this.words[job.status].replace("{name}", job.name);
      if (document.hidden) {
        if (!this.missed) this.title = document.title;
        this.missed += 1;
        document.title = `(${this.missed}) ${text}`;
      }
      this.toast(job, text);
    }

    toast(job, text) {
      const toast = document.createElement("div");
      toast.className = job.status === "failed" ? "bad" : "";
      const say = document.createElement("span");
      say.textContent = text;
      const show = this.button(this.words.show, () => this.trigger("select", { value: job.id }));
      const close = this.button("×", () => {}, this.words.close);
      for (const button of [show, close]) button.addEventListener("click", () => toast.remove());
      toast.append(say, show, close);
      this.stack.append(toast);
      this.fade(toast);
    }

    /* Stays until it was in sight for a while, and for as long as somebody points at it. */
    fade(toast) {
      let left = STAYS;
      const timer = setInterval(() => {
        if (!document.hidden && !toast.matches(":hover, :focus-within")) left -= 500;
        if (left > 0 && toast.isConnected) return;
        clearInterval(timer);
        toast.remove();
      }, 500);
    }

    button(text, act, label = "") {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = text;
      if (label) button.setAttribute("aria-label", label);
      button.addEventListener("click", act);
      return button;
    }
  }

  Workbench.notices = (element, props, trigger) =>
    new Notices(element, Workbench.tools.settings(element), trigger);
})();
