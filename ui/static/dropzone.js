/* The drop zone: files and folders are taken, sent two at a time (transfer.js), and handed on once
   nothing moves any more. */
(() => {
  const Workbench = (window.Workbench = window.Workbench || {});
  const AT_ONCE = 2;

  const { make, fill, settings } = Workbench.tools;
  const { Transfer, FolderTransfer } = Workbench.transfers;

  class DropZone {
    constructor(element, props, trigger) {
      this.props = props;
      this.trigger = trigger;
      this.config = settings(element);
      this.words = this.config.words;
      this.transfers = [];
      this.last = props.value || "";
      this.build(element);
    }

    build(element) {
      const root = make("div", "rw-drop");
      this.zone = make("label", "rw-drop-zone");
      this.input = make("input");
      this.input.type = "file";
      this.input.multiple = !this.config.single;
      this.input.accept = this.config.accept;
      this.input.setAttribute("aria-label", this.config.label);
      const [prompt, choose] = this.config.single
        ? [this.words.prompt_single, this.words.choose_single]
        : [this.words.prompt, this.words.choose];
      this.zone.append(`${prompt} `, make("u", "", choose), this.input);
      if (this.config.hint) this.zone.append(make("small", "", this.config.hint));
      this.list = make("ul");
      this.list.setAttribute("aria-label", this.words.region);
      const folder = make("button", "", this.words.choose_folder);
      folder.type = "button";
      folder.onclick = () => this.chooseFolder();
      const more = make("p", "rw-drop-more");
      more.append(folder);
      this.said = make("p", "rw-unseen");
      this.said.setAttribute("role", "status");
      this.trouble = make("p", "rw-live-note bad");
      this.trouble.setAttribute("role", "alert");
      root.append(this.zone, ...(this.config.single ? [] : [more]));
      root.append(this.trouble, this.list, this.said);
      element.replaceChildren(root);
      this.listen();
    }

    listen() {
      const { zone, input } = this;
      input.addEventListener("change", () => {
        this.add([...input.files]);
        input.value = "";
      });
      const over = (event) => {
        event.preventDefault();
        zone.classList.toggle("over", event.type === "dragover");
      };
      for (const name of ["dragover", "dragleave", "drop"]) zone.addEventListener(name, over);
      zone.addEventListener("drop", (event) => this.drop(event.dataTransfer));
    }

    /* Entries are asked for at once: they are gone when the event is over. */
    drop(data) {
      const files = [];
      for (const item of [...data.items].filter((one) => one.kind === "file")) {
        const entry = item.webkitGetAsEntry?.();
        if (entry?.isDirectory) {
          this.addFolder(entry.name, (seen) => Workbench.folders.walk(entry, this.config, seen));
        } else {
          files.push(item.getAsFile());
        }
      }
      this.add(files);
    }

    chooseFolder() {
      const input = (this.folder = make("input"));
      input.type = "file";
      input.webkitdirectory = true;
      input.onchange = () => {
        const files = [...input.files];
        if (!files.length) return this.say(this.words.folder_empty);
        const name = files[0].webkitRelativePath.split("/")[0];
        return this.addFolder(name, async () => Workbench.folders.chosen(files, this.config));
      };
      input.click();
    }

    addFolder(name, find) {
      this.say("");
      const one = new FolderTransfer(name, this.config, this.list, () => this.changed());
      this.transfers.push(one);
      this.changed();
      one.look(find);
    }

    say(trouble) {
      this.trouble.textContent = trouble;
    }

    add(files) {
      const empty = files.find((file) => !file.size);
      this.say(empty ? fill(this.words.empty, { name: empty.name }) : "");
      for (const file of files.filter((one) => one.size)) {
        this.transfers.push(new Transfer(file, this.config, this.list, () => this.changed()));
      }
      this.changed();
    }

    /* Starts what may start; when nothing moves any more the value is the list of whole files. */
    changed() {
      this.transfers = this.transfers.filter((one) => one.state !== "cancelled");
      const of = (state) => this.transfers.filter((one) => one.state === state);
      for (const one of of("waiting").slice(0, Math.max(0, AT_ONCE - of("sending").length))) {
        one.run();
      }
      const moving = ["looking", "sending", "waiting"].some((state) => of(state).length);
      const done = of("done").map((one) => ({ id: one.id, name: one.file.name, size: one.file.size }));
      const value = done.length && !moving ? JSON.stringify(done) : "";
      if (value === this.last) return;
      this.last = value;
      this.props.value = value;
      this.said.textContent = value ? fill(this.words.all_done, { count: done.length }) : "";
      if (value) this.trigger("upload");
    }

    /* The page empties the value once it has taken the files: the list starts anew. */
    watched() {
      const value = this.props.value || "";
      if (value === this.last) return;
      this.last = value;
      if (value) return;
      this.transfers = [];
      this.list.replaceChildren();
      this.say("");
    }
  }

  Workbench.dropZone = (element, props, trigger, watch) => {
    const zone = new DropZone(element, props, trigger);
    watch("value", () => zone.watched());
  };
})();
