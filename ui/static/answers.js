/* An answer while it is written. The component's value is what is asked, as JSON; one request gets
   one answer as lines of JSON, and ends. Whatever a model or a passage says is shown as text. */
(() => {
  const Workbench = window.Workbench;
  const { make, fill, show, settings } = Workbench.tools;
  const SHORT = 420;

  class Answer {
    constructor(element, config) {
      this.config = config;
      this.words = config.words;
      this.root = make("div", "rw-answer");
      this.root.hidden = true;
      this.head = make("div", "rw-answer-head");
      this.status = make("p", "rw-quiet");
      this.status.setAttribute("role", "status");
      this.button = make("button", "rw-pick", this.words.stop);
      this.button.type = "button";
      this.button.addEventListener("click", () => this.stop());
      this.head.append(this.status, this.button);
      this.card = make("article", "rw-card rw-answer-text");
      this.card.setAttribute("aria-label", this.words.answer);
      this.card.setAttribute("aria-live", "polite");
      this.text = make("div");
      this.card.append(this.text);
      this.notes = make("ul", "rw-answer-notes");
      this.title = make("h4", "", this.words.passages);
      this.list = make("ol", "rw-answer-passages");
      this.took = make("p", "rw-quiet rw-small");
      this.root.append(this.head, this.card, this.notes, this.title, this.list, this.took);
      element.replaceChildren(this.root);
    }

    clear() {
      this.text.replaceChildren();
      this.notes.replaceChildren();
      this.list.replaceChildren();
      show(this.took, "");
      for (const one of [this.card, this.notes, this.title, this.list]) one.hidden = true;
    }

    async ask(asked) {
      this.abort?.abort();
      const abort = (this.abort = new AbortController());
      this.stopped = false;
      this.clear();
      this.root.hidden = false;
      this.busy(true);
      show(this.status, this.words.searching);
      try {
        await this.read(asked, abort);
      } catch (error) {
        if (abort !== this.abort) return; // another question took its place
        this.tell(error);
      }
      if (abort === this.abort) this.busy(false);
    }

    async read(asked, abort) {
      const { recipe, question } = asked;
      const answer = await fetch(`${this.config.base}/api/answers`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ recipe, question }),
        signal: abort.signal,
      });
      if (!answer.ok) throw await this.refused(answer);
      this.ended = false;
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      let held = "";
      for (;;) {
        const { value, done } = await reader.read();
        if (abort !== this.abort) return;
        /* A page that has drawn another in place of this part stops what nobody sees. */
        if (!this.root.isConnected) return abort.abort();
        if (done) break;
        const lines = (held + value).split("\n");
        held = lines.pop();
        for (const line of lines) this.take(JSON.parse(line));
      }
      if (!this.ended) throw new Error("broken off");
    }

    async refused(answer) {
      if (answer.status === 401) return { said: this.words.signed_out };
      const { error } = await answer.json().catch(() => ({}));
      return { said: error || this.words.offline };
    }

    take(event) {
      if (event.event === "passages") this.found(event);
      else if (event.event === "end") this.end(event);
      else if (event.event === "error") this.failed(event.text);
      else this.piece(event);
    }

    found(event) {
      show(this.status, event.status);
      this.passages(event.passages);
    }

    /* A piece of the answer: text, a citation, or a citation of nothing. */
    piece(event) {
      this.card.hidden = false;
      if (event.event === "text") {
        const last = this.text.lastChild;
        if (last?.nodeType === Node.TEXT_NODE) last.appendData(event.text);
        else this.text.append(event.text);
        return;
      }
      for (const number of event.numbers) {
        this.text.append(event.event === "cite" ? this.cite(number) : this.wrong(number));
      }
    }

    cite(number) {
      const button = make("button", "rw-cite", String(number));
      button.type = "button";
      button.dataset.number = number;
      button.setAttribute("aria-label", fill(this.words.cite, { number }));
      button.addEventListener("click", () => this.aim(number));
      return button;
    }

    wrong(number) {
      const mark = make("del", "rw-cite wrong", String(number));
      mark.title = fill(this.words.wrong, { number });
      mark.setAttribute("role", "img");
      mark.setAttribute("aria-label", mark.title);
      return mark;
    }

    /* To the passage that is cited: in sight, marked, and where the keyboard goes on. */
    aim(number) {
      for (const card of this.list.children) card.classList.toggle("aimed", card.dataset.number === String(number));
      const card = this.list.querySelector(`[data-number="${Number(number)}"]`);
      if (!card) return;
      const calm = window.matchMedia("(prefers-reduced-motion: reduce)").matches;
      card.focus({ preventScroll: true });
      card.scrollIntoView({ block: "nearest", behavior: calm ? "auto" : "smooth" });
    }

    end(event) {
      this.ended = true;
      show(this.status, event.status);
      if (!event.shown) this.card.hidden = true;
      this.dress();
      this.passages(event.passages);
      this.notes.replaceChildren(
        ...event.notes.filter((note) => note.text !== event.status).map((note) => make("li", note.tone, note.text)),
      );
      this.notes.hidden = !this.notes.children.length;
      this.status.className = event.notes[0]?.text === event.status ? event.notes[0].tone || "rw-quiet" : "rw-quiet";
      show(this.took, event.took);
    }

    /* Of Markdown only this: **strong** and `code`, as elements made here. */
    dress() {
      for (const node of [...this.text.childNodes]) {
        if (node.nodeType !== Node.TEXT_NODE) continue;
        const parts = node.data.split(/(\*\*[^*\n]+\*\*|`[^`\n]+`)/);
        if (parts.length < 2) continue;
        node.replaceWith(...parts.map((part, at) => (at % 2 ? this.styled(part) : part)));
      }
    }

    styled(part) {
      return part[0] === "`" ? make("code", "", part.slice(1, -1)) : make("strong", "", part.slice(2, -2));
    }

    failed(text) {
      this.ended = true;
      show(this.status, text);
      this.status.className = "bad";
    }

    tell(error) {
      this.failed(this.stopped ? this.words.stopped : error.said || this.words.offline);
      if (this.stopped) this.status.className = "rw-quiet";
    }

    stop() {
      this.stopped = true;
      this.abort?.abort();
    }

    busy(now) {
      this.button.hidden = !now;
      this.card.setAttribute("aria-busy", String(now));
      if (now) this.status.className = "rw-quiet";
    }

    /* The passages' cards; once they stand, only what changed of each. */
    passages(found) {
      const focused = document.activeElement?.closest?.("[data-number]")?.dataset.number;
      const aimed = this.list.querySelector(".aimed")?.dataset.number;
      this.list.replaceChildren(...found.map((one) => this.passage(one, aimed)));
      if (focused) this.list.querySelector(`[data-number="${Number(focused)}"]`)?.focus({ preventScroll: true });
      this.title.hidden = this.list.hidden = !found.length;
    }

    passage(one, aimed) {
      const card = make("li", one.enough ? "" : "little");
      card.dataset.number = one.number;
      card.tabIndex = -1;
      card.classList.toggle("cited", one.cited);
      card.classList.toggle("aimed", aimed === String(one.number));
      const head = make("div");
      head.append(make("b", "", `[${one.number}]`), make("span", "", one.score));
      for (const [text, tone] of one.badges) head.append(make("span", `rw-badge ${tone}`, text));
      card.append(head);
      if (one.title) card.append(make("strong", "", one.title));
      card.append(this.body(one.text));
      return card;
    }

    body(text) {
      if (text.length <= SHORT) return make("div", "rw-text", text);
      const whole = make("details", "rw-text");
      const summary = make("summary", "", `${text.slice(0, SHORT)}… `);
      summary.append(make("em", "", this.words.more));
      whole.append(summary, text);
      return whole;
    }
  }

  Workbench.answers = (element, props, watch) => {
    const one = new Answer(element, settings(element));
    let known = "";
    const turn = () => {
      if (!props.value || props.value === known) return;
      known = props.value;
      one.ask(JSON.parse(known));
    };
    watch("value", turn);
    turn();
  };
})();
