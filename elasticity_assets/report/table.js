// Makes tables sortable by their headers, and that of products searchable, a part of it shown at a time. Without
// JavaScript all rows stand there.
"use strict";
(() => {
  const STEP = 50; // rows shown at first, and more of them at a click

  const numberIn = (text) => {
    const found = text.replaceAll("−", "-").replaceAll(",", "").match(/[-+]?\d*\.?\d+(e[-+]?\d+)?/);
    return found ? Number(found[0]) : NaN;
  };

  // Numbers by size, what has none last; texts by their letters.
  const compare = (column, isText, sign) => (a, b) => {
    const [one, other] = [a, b].map((row) => row.cells[column].textContent);
    if (isText) return !one - !other || sign * one.localeCompare(other, undefined, { numeric: true });
    const [x, y] = [numberIn(one), numberIn(other)];
    return isNaN(x) - isNaN(y) || (isNaN(x) ? 0 : sign * (x - y));
  };

  const element = (name, properties, ...children) => {
    const made = Object.assign(document.createElement(name), properties);
    made.append(...children);
    return made;
  };

  const searchable = (table, all, show) => {
    const input = element("input", { type: "search", placeholder: "code, name, category, reason …" });
    const choices = { "": "all", raise: "to raise", lower: "to lower", keep: "to keep", flagged: "to be careful with" };
    const select = element("select", {});
    for (const [value, textContent] of Object.entries(choices)) select.append(element("option", { value, textContent }));
    const status = element("p", { className: "soft" });
    status.setAttribute("role", "status");
    const more = element("button", { type: "button", className: "more", textContent: `Show ${STEP} more` });
    const everything = element("button", { type: "button", className: "more", textContent: "Show all" });
    const texts = new Map();
    const matches = (row, words) => {
      if (!texts.has(row)) texts.set(row, row.textContent.toLowerCase());
      return words.every((word) => texts.get(row).includes(word));
    };
    const chosen = (row) => {
      if (select.value === "") return true;
      if (select.value === "flagged") return row.cells[8].textContent !== "";
      return row.cells[2].lastChild.textContent.startsWith(select.value);
    };
    let most = STEP;
    const narrow = (rows) => {
      const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
      const found = rows.filter((row) => chosen(row) && matches(row, words));
      const shown = found.slice(0, most);
      status.textContent = `${shown.length} shown of ${found.length}` + (found.length < all.length ? ` found among ${all.length}` : "");
      more.hidden = everything.hidden = shown.length === found.length;
      return shown;
    };
    const anew = () => {
      most = STEP;
      show();
    };
    input.addEventListener("input", anew);
    select.addEventListener("change", anew);
    more.addEventListener("click", () => {
      most += STEP;
      show();
    });
    everything.addEventListener("click", () => {
      most = Infinity;
      show();
    });
    const controls = element("div", { className: "controls" });
    controls.append(element("label", {}, "Search", input), element("label", {}, "Show", select), status);
    table.parentElement.before(controls);
    table.parentElement.after(more, everything);
    return narrow;
  };

  for (const table of document.querySelectorAll(".sortable")) {
    const body = table.tBodies[0];
    const all = [...body.rows];
    let rows = all;
    let narrow = (found) => found;
    const show = () => body.replaceChildren(...narrow(rows));
    if (table.classList.contains("searchable")) narrow = searchable(table, all, show);
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => {
      const button = element("button", { type: "button" }, ...head.childNodes);
      head.append(button);
      head.setAttribute("aria-sort", "none");
      const isText = head.classList.contains("text") && head.dataset.number === undefined;
      button.addEventListener("click", () => {
        const descending = head.getAttribute("aria-sort") === "ascending";
        heads.forEach((other) => other.setAttribute("aria-sort", "none"));
        head.setAttribute("aria-sort", descending ? "descending" : "ascending");
        rows = [...all].sort(compare(column, isText, descending ? -1 : 1));
        show();
      });
    });
    show();
  }
})();
