// Draws each chart when it comes into view, and all of them before the page is printed.
"use strict";
(() => {
  const specifications = JSON.parse(document.getElementById("specifications").textContent);
  const charts = [...document.querySelectorAll(".chart")];
  const drawn = new Map(); // chart to its view, null while it is being drawn

  const rows = (columns) => {
    const names = Object.keys(columns);
    return columns[names[0]].map((_, row) => Object.fromEntries(names.map((name) => [name, columns[name][row]])));
  };

  const draw = async (chart) => {
    if (drawn.has(chart)) return;
    drawn.set(chart, null);
    const data = JSON.parse(chart.nextElementSibling.textContent);
    const datasets = Object.fromEntries(Object.entries(data).map(([name, columns]) => [name, rows(columns)]));
    const specification = {
      ...specifications[chart.dataset.kind],
      height: Number(chart.dataset.height),
      description: chart.getAttribute("aria-label"),
      datasets,
    };
    const { view } = await vegaEmbed(chart, specification, { renderer: "svg", actions: false });
    chart.style.minHeight = "";
    drawn.set(chart, view);
  };

  const watcher = new IntersectionObserver(
    (entries) => entries.filter((entry) => entry.isIntersecting).forEach((entry) => draw(entry.target)),
    { rootMargin: "600px" },
  );
  charts.forEach((chart) => watcher.observe(chart));

  // Paper has another width than the window, and a browser does not wait for what is drawn later.
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
