/* Folders: walked as the browser gives them, then sent as one stream of their files' bytes. */
(() => {
  const Workbench = (window.Workbench = window.Workbench || {});

  /* The files of a folder end to end, with what a Transfer asks of a File. */
  class Stream {
    constructor(name, found, left) {
      found.sort((one, other) => (one.path < other.path ? -1 : 1)); // the same order after a reload
      this.name = name;
      this.left = left;
      this.parts = found.map((one) => one.file);
      this.files = found.map((one) => [one.path, one.file.size]);
      this.starts = [];
      this.size = 0;
      this.lastModified = 0;
      for (const file of this.parts) {
        this.starts.push(this.size);
        this.size += file.size;
        this.lastModified = Math.max(this.lastModified, file.lastModified);
      }
    }

    slice(from, end) {
      const pieces = [];
      for (let number = this.at(from); number < this.parts.length; number += 1) {
        const start = this.starts[number];
        if (start >= end) break;
        pieces.push(this.parts[number].slice(Math.max(0, from - start), end - start));
      }
      return new Blob(pieces);
    }

    /* The last file that begins at or before this byte. */
    at(byte) {
      let low = 0;
      let high = this.starts.length - 1;
      while (low < high) {
        const middle = Math.ceil((low + high) / 2);
        if (this.starts[middle] <= byte) low = middle;
        else high = middle - 1;
      }
      return low;
    }
  }

  /* Gathers the files of kinds that are read; those of other kinds are counted. */
  class Found {
    constructor(name, config) {
      this.name = name;
      this.kinds = new Set(config.kinds);
      this.most = config.most_files;
      this.files = [];
      this.left = 0;
    }

    wants(path) {
      if (path.split("/").some((part) => part.startsWith(".") || part === "__MACOSX")) return false;
      const dot = path.lastIndexOf(".");
      const wanted = this.kinds.has(path.slice(dot).toLowerCase());
      if (!wanted) this.left += 1;
      return wanted;
    }

    add(path, file) {
      this.files.push({ path, file });
      if (this.files.length > this.most) throw new Error("many");
    }

    stream() {
      return new Stream(this.name, this.files, this.left);
    }
  }

  const entries = (reader) => new Promise((good, bad) => reader.readEntries(good, bad));
  const fileOf = (entry) => new Promise((good, bad) => entry.file(good, bad));

  /* All files below a dropped folder. A reader gives a hundred entries at a time: it is asked until
     it has no more. `seen` is told how many there are, and says whether to go on. */
  async function walk(folder, config, seen) {
    const found = new Found(folder.name, config);
    const waiting = [[folder, ""]];
    while (waiting.length) {
      const [parent, prefix] = waiting.pop();
      const reader = parent.createReader();
      for (let batch = await entries(reader); batch.length; batch = await entries(reader)) {
        for (const entry of batch.filter((one) => one.isDirectory)) {
          if (!entry.name.startsWith(".")) waiting.push([entry, `${prefix}${entry.name}/`]);
        }
        const wanted = batch.filter((one) => one.isFile && found.wants(prefix + one.name));
        const files = await Promise.all(wanted.map(fileOf));
        wanted.forEach((one, number) => found.add(prefix + one.name, files[number]));
        if (!seen(found.files.length)) return null;
      }
    }
    return found.stream();
  }

  /* The files of a folder that was chosen: the browser has walked it already. */
  function chosen(files, config) {
    const name = files[0].webkitRelativePath.split("/")[0];
    const found = new Found(name, config);
    for (const file of files) {
      const path = file.webkitRelativePath.slice(name.length + 1);
      if (found.wants(path)) found.add(path, file);
    }
    return found.stream();
  }

  Workbench.folders = { walk, chosen };
})();
