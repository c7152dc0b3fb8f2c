/* Has a tab look again once anything it lists has changed, and now and then besides ("2 minutes
   ago" grows old by itself). An event of Gradio's costs a page of this size a fifth of a second,
   even one that changes nothing, so the question whether there is anything new is asked past it. */
(() => {
  const Workbench = window.Workbench;
  const { settings, ask, hear, poll } = Workbench.tools;
  const REST = 30000;

  Workbench.pulse = (element, trigger) => {
    const { base } = settings(element);
    let known;
    let told = 0;
    const turn = async () => {
      const { state } = await ask(`${base}/api/state`);
      if (state === known && Date.now() - told < REST) return;
      known = state;
      told = Date.now();
      trigger("look");
    };
    hear(element, "workbench:changes", poll(element, turn, () => {}, () => {}));
  };
})();
