/* The drop zone: files go to the server in slices, each going on where the server says the file
   ends, so that a dropped connection or a reload costs one slice at most. */
(() => {
  const Workbench = (window.Workbench = window.Workbench || {});
  const AT_ONCE = 2;
  const LONGEST_PAUSE = 10000;

  const { make, fill, settings } = Workbench.tools;

  function size(bytes) {
    let number = bytes;
    for (const unit of ["bytes", "kB", "MB", "GB"]) {
      if (number < 1000) return `${unit === "bytes" ? number : number.toFixed(1)} ${unit}`;
      number /= 1000;
    }
    return `${number.toFixed(1)} TB`;
  }

  /* XMLHttpRequest, because fetch does not tell how much of a body has been sent. */
  function send(method, url, body, file) {
    return new Promise((resolve) => {
      const request = new XMLHttpRequest();
      request.open(method, url);
      request.responseType = "json";
      if (body && !(body instanceof Blob)) {
        request.setRequestHeader("content-type", "application/json");
      }
      request.upload.onprogress = (event) => file.moved?.(event.loaded);
      request.onloadend = () => resolve({ status: request.status, body: request.response ?? {} });
      file.request = request;
      request.send(body instanceof Blob ? body : body && JSON.stringify(body));
    });
  }

  class Transfer {
    constructor(file, config, list, changed) {
      this.file = file;
      this.config = config;
      this.words = config.words;
      this.changed = changed;
      this.state = "waiting";
      this.key = `workbench-upload:${config.base}:${file.name}:${file.size}:${file.lastModified}`;
      this.row = make("li");
      this.text = make("span", "", this.words.waiting);
      this.bar = make("progress");
      this.bar.max = 100;
      this.bar.value = 0;
      const away = make("button", "", "×");
      away.type = "button";
      away.setAttribute("aria-label", fill(this.words.cancel, { name: file.name }));
      away.onclick = () => this.cancel();
      this.row.append(make("b", "", file.name), this.text, away, this.bar);
      this.bar.setAttribute("aria-label", file.name);
      list.append(this.row);
    }

    url(more = "") {
      return `${this.config.base}/api/uploads${more}`;
    }

    /* Until it is there, has failed for good, or was taken away. */
    async run() {
      this.state = "sending";
      let failures = 0;
      while (this.state === "sending") {
        const answer = await this.next();
        if (this.state !== "sending") return;
        if (this.accept(answer)) failures = 0;
        else if (this.hopeless(answer)) this.fail(answer.body?.error || String(answer.status));
        else await this.pause((failures += 1));
      }
    }

    next() {
      if (!this.id) this.id = sessionStorage.getItem(this.key);
      if (!this.id) {
        return send("POST", this.url(), { name: this.file.name, size: this.file.size }, this);
      }
      if (this.received === undefined) return send("GET", this.url(`/${this.id}`), null, this);
      const end = Math.min(this.received + this.config.slice, this.file.size);
      const from = this.received;
      this.moved = (bytes) => this.progress(from + bytes);
      const slice = this.file.slice(from, end);
      return send("PUT", this.url(`/${this.id}?offset=${from}`), slice, this);
    }

    accept({ status, body }) {
      this.moved = null;
      if (status === 404 && this.received === undefined) {
        this.id = null; // begun before the last reload, and cleaned away since
        sessionStorage.removeItem(this.key);
        return true;
      }
      if (status === 409 && body?.received !== undefined) {
        this.received = body.received;
        return false; // another tab may be sending it: pause, then go on where that one is
      }
      if (status < 200 || status > 299) return false;
      this.id = body.id;
      this.received = body.received;
      sessionStorage.setItem(this.key, this.id);
      this.progress(this.received);
      if (body.complete) this.finish();
      return true;
    }

    hopeless({ status }) {
      return status >= 400 && status < 500 && ![408, 409, 429].includes(status) || status === 507;
    }

    async pause(failures) {
      if (failures > 1) this.text.textContent = this.words.retry;
      this.received = undefined;
      const wait = Math.min(LONGEST_PAUSE, 500 * 2 ** failures);
      await new Promise((resolve) => {
        this.wake = resolve;
        setTimeout(resolve, wait);
        window.addEventListener("online", resolve, { once: true });
      });
    }

    progress(bytes) {
      const percent = Math.floor((100 * Math.min(bytes, this.file.size)) / this.file.size);
      this.bar.value = percent;
      this.text.textContent = fill(this.words.progress, { percent, size: size(this.file.size) });
    }

    finish() {
      this.state = "done";
      sessionStorage.removeItem(this.key);
      this.bar.hidden = true;
      this.text.textContent = fill(this.words.done, { size: size(this.file.size) });
      this.changed();
    }

    fail(reason) {
      this.state = "failed";
      sessionStorage.removeItem(this.key);
      this.bar.hidden = true;
      this.row.classList.add("bad");
      this.text.textContent = fill(this.words.failed, { reason });
      this.changed();
    }

    cancel() {
      this.state = "cancelled";
      this.request?.abort();
      this.wake?.();
      sessionStorage.removeItem(this.key);
      if (this.id) fetch(this.url(`/${this.id}`), { method: "DELETE" }).catch(() => {});
      this.row.remove();
      this.changed();
    }
  }

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
      this.input.multiple = true;
      this.input.accept = this.config.accept;
      this.input.setAttribute("aria-label", this.config.label);
      this.zone.append(`${this.words.prompt} `, make("u", "", this.words.choose), this.input);
      if (this.config.hint) this.zone.append(make("small", "", this.config.hint));
      this.list = make("ul");
      this.list.setAttribute("aria-label", this.words.region);
      this.said = make("p", "rw-unseen");
      this.said.setAttribute("role", "status");
      this.trouble = make("p", "rw-live-note bad");
      this.trouble.setAttribute("role", "alert");
      root.append(this.zone, this.trouble, this.list, this.said);
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

    drop(data) {
      const folder = [...data.items].find((item) => item.webkitGetAsEntry?.()?.isDirectory);
      if (!folder) return this.add([...data.files]);
      this.trouble.textContent = fill(this.words.folder, { name: folder.webkitGetAsEntry().name });
      return undefined;
    }

    add(files) {
      const empty = files.find((file) => !file.size);
      this.trouble.textContent = empty ? fill(this.words.empty, { name: empty.name }) : "";
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
      const moving = of("sending").length + of("waiting").length > 0;
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
      this.trouble.textContent = "";
    }
  }

  Workbench.dropZone = (element, props, trigger, watch) => {
    const zone = new DropZone(element, props, trigger);
    watch("value", () => zone.watched());
  };
})();
