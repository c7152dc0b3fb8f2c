/* What our scripts share: small pieces of a page, and asking the server again and again, quietly. */
(() => {
  const Workbench = (window.Workbench = window.Workbench || {});
  const PERIOD = 1000;
  const LONGEST_PAUSE = 10000;

  const make = (tag, className = "", text = "") => {
    const made = document.createElement(tag);
    if (className) made.className = className;
    if (text) made.textContent = text;
    return made;
  };
  /* {name} is replaced by its place, {count:file|files} by the count with the form that goes with it
     (as ui/words does on the server). */
  const fill = (words, places) =>
    words.replace(/\{(\w+)(?::([^{}]*))?\}/g, (all, key, forms) => {
      const value = places[key];
      if (value === undefined || value === null) return all;
      return forms ? `${value} ${pluralForm(value, forms.split("|"))}` : value;
    });
  const CATEGORIES = ["zero", "one", "two", "few", "many", "other"];
  const pluralForm = (value, forms) => {
    const rules = new Intl.PluralRules(document.documentElement.lang || "en");
    const used = rules.resolvedOptions().pluralCategories;
    const sorted = CATEGORIES.filter((one) => used.includes(one));
    return forms[sorted.indexOf(rules.select(Number(String(value).replaceAll(",", ""))))];
  };
  const show = (node, text) => {
    if (node.textContent !== text) node.textContent = text;
    node.hidden = !text;
  };

  /* What the server told a component's script, from its template. */
  const settings = (element) =>
    JSON.parse(decodeURIComponent(element.querySelector("[data-settings]").dataset.settings));

  async function ask(url) {
    const answer = await fetch(url, {
      headers: { accept: "application/json" },
      signal: AbortSignal.timeout(15000),
    });
    if (answer.ok) return answer.json();
    throw Object.assign(new Error(String(answer.status)), { status: answer.status });
  }

  /* `heard(event)` is called at each event of that name on the document, for as long as the element
     is on the page. The document has one listener a name, however often parts of the page are
     drawn; who comes first says whether it captures. */
  const hearers = {};
  function hear(element, name, heard, capture = false) {
    if (!hearers[name]) {
      hearers[name] = new Set();
      const tell = (event) => living(name).forEach((one) => one.heard(event));
      document.addEventListener(name, tell, capture);
    }
    living(name);
    hearers[name].add({ element, heard, placed: element.isConnected });
  }
  function living(name) {
    for (const one of hearers[name]) {
      one.placed ||= one.element.isConnected;
      if (one.placed && !one.element.isConnected) hearers[name].delete(one);
    }
    return [...hearers[name]].filter((one) => one.placed);
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
    hear(element, "visibilitychange", tick);
    const stop = () => {
      clearInterval(timer);
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

  /* Something about a job may have changed: notices.js says so, and a settled chart looks again. */
  function wake(one, tick, element) {
    hear(element, "workbench:changes", (event) => {
      if (!event.detail.some((job) => job.id === one.job)) return;
      one.settled = false;
      tick();
    });
  }

  /* Keeps a chart or a log going: polled, pointed at the component's value, woken, taken down. */
  function run(one, element, props, watch) {
    const turn = () => one.turn();
    const failed = (failures, error) => one.failed(failures, error);
    one.target(props.value || "");
    const tick = poll(element, turn, failed, () => one.leave());
    wake(one, tick, element);
    watch("value", () => {
      one.target(props.value || "");
      tick();
    });
  }

  Workbench.tools = { make, fill, show, settings, ask, hear, poll, trouble, run };
})();
