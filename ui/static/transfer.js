/* One file or folder on its way to the server: in slices, each going on where the server says what
   has arrived ends, so that a dropped connection or a reload costs one slice at most. */
(() => {
  const Workbench = (window.Workbench = window.Workbench || {});
  const LONGEST_PAUSE = 10000;

  const { make, fill } = Workbench.tools;

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

    /* By which a file is known again after a reload. */
    get key() {
      const { name, size: bytes, lastModified, files } = this.file;
      const about = [this.config.base, name, bytes, lastModified, ...(files ? [files.length] : [])];
      return `workbench-upload:${about.join(":")}`;
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
        const { name, size: bytes, files } = this.file;
        return send("POST", this.url(), { name, size: bytes, files }, this);
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
      let timer;
      await new Promise((resolve) => {
        this.wake = resolve;
        timer = setTimeout(resolve, wait);
        window.addEventListener("online", resolve);
      });
      clearTimeout(timer);
      window.removeEventListener("online", this.wake);
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
      this.text.textContent = this.summary();
      this.changed();
    }

    summary() {
      const { size: bytes, files, left } = this.file;
      if (!files) return fill(this.words.done, { size: size(bytes) });
      const places = { size: size(bytes), count: files.length.toLocaleString("en"), left };
      return fill(left ? this.words.folder_left : this.words.folder_done, places);
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

  /* A folder: looked through first, then sent as one file. `look` gives its stream, or null once
     it was taken away. */
  class FolderTransfer extends Transfer {
    constructor(name, config, list, changed) {
      super({ name, size: 0 }, config, list, changed);
      this.state = "looking";
    }

    async look(find) {
      const seen = (count) => {
        const counted = { count: count.toLocaleString("en") };
        this.text.textContent = fill(this.words.looking, counted);
        return this.state === "looking";
      };
      seen(0);
      try {
        const stream = await find(seen);
        if (this.state !== "looking") return;
        this.file = stream;
        if (!stream.size) return this.refuse(this.words.folder_empty);
        this.state = "waiting";
        this.text.textContent = this.words.waiting;
        this.changed();
      } catch (error) {
        const limit = this.config.most_files.toLocaleString("en");
        const many = error.message === "many" && fill(this.words.folder_many, { limit });
        this.refuse(many || fill(this.words.folder_unread, { reason: error.message }));
      }
    }

    refuse(sentence) {
      this.fail("");
      this.text.textContent = sentence;
    }
  }

  Workbench.transfers = { Transfer, FolderTransfer };
})();
