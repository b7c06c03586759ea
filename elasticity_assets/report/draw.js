// Draws each chart when it comes into view, and the others while the browser has nothing else to do, those in closed
// sections once these are open: a page on paper holds what is drawn by then.
"use strict";
(() => {
  const specifications = JSON.parse(document.getElementById("specifications").textContent);
  const charts = [...document.querySelectorAll(".chart")];
  const drawn = new Map(); // chart to its view, null while it is being drawn

  const rows = (columns) => {
    const names = Object.keys(columns);
    return columns[names[0]].map((_, row) => Object.fromEntries(names.map((name) => [name, columns[name][row]])));
  };

  const drawing = async (chart) => {
    const data = JSON.parse(chart.nextElementSibling.textContent);
    const datasets = Object.fromEntries(Object.entries(data).map(([name, columns]) => [name, rows(columns)]));
    const specification = {
      ...specifications[chart.dataset.kind],
      height: Number(chart.dataset.height),
      description: chart.getAttribute("aria-label"),
      datasets,
    };
    const { view } = await vegaEmbed(chart, specification, { renderer: "svg", actions: false });
    drawn.set(chart, view);
  };

  const isOpen = (chart) => chart.getClientRects().length > 0;

  const draw = async (chart) => {
    if (drawn.has(chart) || !isOpen(chart)) return;
    drawn.set(chart, null);
    try {
      await drawing(chart);
    } catch (error) {
      chart.removeAttribute("role"); // no image, but a text to be read
      chart.textContent = `This chart could not be drawn: ${error.message}`;
      console.error(error);
    }
    chart.style.minHeight = "";
  };

  const watcher = new IntersectionObserver(
    (entries) => entries.filter((entry) => entry.isIntersecting).forEach((entry) => draw(entry.target)),
    { rootMargin: "600px" },
  );
  charts.forEach((chart) => watcher.observe(chart));

  const whenIdle = (then) => {
    if (window.requestIdleCallback) requestIdleCallback(then, { timeout: 500 }); // a busy machine is never idle
    else setTimeout(then, 50); // Safari
  };
  const drawNext = async () => {
    const next = charts.find((chart) => !drawn.has(chart) && isOpen(chart));
    if (!next) return;
    await draw(next);
    whenIdle(drawNext);
  };
  addEventListener("load", () => whenIdle(drawNext));

  const sections = [...document.querySelectorAll(".section")];
  sections.forEach((section) => section.addEventListener("toggle", () => whenIdle(drawNext)));
  const openAll = document.getElementById("open-all");
  openAll.hidden = sections.length === 0;
  openAll.addEventListener("click", () => sections.forEach((section) => { section.open = true; }));
  // Links into a closed section open it.
  const openLinked = () => {
    const linked = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (linked?.matches(".section")) linked.open = true;
  };
  addEventListener("hashchange", openLinked);
  openLinked();

  // Paper has another width than the window. What is not drawn yet is begun, though a browser need not wait for it.
  const print = (printing) => {
    document.body.classList.toggle("printing", printing);
    drawn.forEach((view, chart) => view?.width(chart.clientWidth).run());
  };
  addEventListener("beforeprint", () => {
    print(true);
    charts.forEach(draw);
  });
  addEventListener("afterprint", () => print(false));
})();
