/* A gallery: a picture opens large in place, with its neighbours at the arrow keys; what else can be
   pressed in it ("more like this") is told to the page. On the container, which outlives its content.
   Without this script, or with another key held, a picture's link opens it by itself. */
(() => {
  const Workbench = (window.Workbench = window.Workbench || {});
  const { make } = Workbench.tools;
  const STEPS = { ArrowLeft: -1, ArrowRight: 1 };

  class Large {
    constructor(links, at, words) {
      this.links = links;
      this.at = at;
      this.box = make("dialog", "rw-large");
      this.image = make("img");
      this.text = make("p");
      this.text.setAttribute("aria-live", "polite");
      const row = make("div", "rw-large-row");
      row.append(
        this.button("‹", words.before, () => this.step(-1)),
        this.text,
        this.button("›", words.after, () => this.step(1)),
        this.button("×", words.close, () => this.box.close()),
      );
      this.box.append(this.image, row);
      this.box.addEventListener("keydown", (event) => this.key(event));
      this.box.addEventListener("click", (event) => event.target === this.box && this.box.close());
      this.box.addEventListener("close", () => this.leave());
      document.body.append(this.box);
      this.show();
      this.box.showModal();
    }

    button(text, label, act) {
      const made = make("button", "", text);
      made.type = "button";
      made.setAttribute("aria-label", label);
      made.onclick = act;
      return made;
    }

    show() {
      const link = this.links[this.at];
      const alt = link.querySelector("img").alt;
      this.image.src = link.href;
      this.image.alt = alt;
      this.text.textContent = alt;
      this.box.setAttribute("aria-label", alt);
    }

    step(by) {
      this.at = (this.at + by + this.links.length) % this.links.length;
      this.show();
    }

    /* Keys mean the page's other things again once it is closed. */
    key(event) {
      event.stopPropagation();
      if (!STEPS[event.key]) return;
      event.preventDefault();
      this.step(STEPS[event.key]);
    }

    leave() {
      this.box.remove();
      this.links[this.at].focus();
    }
  }

  Workbench.gallery = (element, trigger) => {
    element.addEventListener("click", (event) => {
      const chosen = event.target.closest("[data-pick]");
      if (chosen && trigger) return trigger("select", { value: chosen.dataset.pick });
      const link = event.target.closest("a.rw-tile");
      if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return undefined;
      event.preventDefault();
      const list = link.closest(".rw-gallery");
      const links = [...list.querySelectorAll("a.rw-tile")];
      return new Large(links, links.indexOf(link), list.dataset);
    });
  };
})();
