// Search over all PACS: what is picked, and the import of what was found.
"use strict";

const importing = document.getElementById("import");
const rowOf = (element) => element.closest("tr");
const sourceOf = (row) => {
  const from = row.querySelector("[data-source]");
  return from.value ?? from.dataset.source;
};

// One order for each source; the page then shows how far each study is.
function importRows(rows) {
  const { one, many } = importing.dataset;
  const bySource = new Map(rows.map((row) => [sourceOf(row), rows.filter((each) => sourceOf(each) === sourceOf(row))]));
  const orders = [...bySource].map(([source, all]) => [source, { Studies: all.map((row) => row.dataset.id) }, all.length]);
  order(rows.length === 1 ? one : many.replace("%count%", rows.length), orders);
}

function importSeries({ importSeries: series, study, source }) {
  document.getElementById("series").close();
  const wanted = { Series: [{ StudyInstanceUID: study, SeriesInstanceUID: series }] };
  order(importing.dataset.series, [[source, wanted, 1]]);
}

function order(title, orders) {
  const form = importing.querySelector("form");
  const { begun, to } = importing.dataset;
  document.getElementById("import-title").textContent = title;
  document.getElementById("import-from").textContent = orders.map(([source, , amount]) => `${source} (${amount})`).join(", ");
  form.reset();
  form.onsubmit = async () => {
    const { reason, priority, route } = form.elements;
    for (const [source, wanted] of orders) {
      const said = { Source: source, ...wanted, Route: route.checked, Priority: priority.value, Reason: reason.value };
      await post(to, said).then(() => toast(begun), (error) => toast(error.message, { wrong: true }));
    }
    selectNone();
    pollNow();
  };
  importing.showModal();
  form.elements.reason.focus();
}

// What series a study has at the PACS that is chosen beside it.
function showSeries(button) {
  const of = { Source: sourceOf(rowOf(button)), StudyInstanceUID: button.dataset.seriesOf };
  const list = document.getElementById("series-list");
  list.replaceChildren();
  document.getElementById("series").showModal();
  htmx.ajax("GET", `${button.dataset.at}?${new URLSearchParams(of)}`, { target: list, swap: "innerHTML" });
}

function tellPicked() {
  for (const menu of document.querySelectorAll(".picks")) {
    const picked = [...menu.querySelectorAll("input:checked")].map((box) => box.value);
    const shown = menu.querySelector(".picked");
    shown.textContent = picked.length > 3 ? picked.length : picked.join(", ") || shown.dataset.any;
  }
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (!button) return;
  if ("import" in button.dataset) importRows([rowOf(button)]);
  else if ("importSeries" in button.dataset) importSeries(button.dataset);
  else if ("seriesOf" in button.dataset) showSeries(button);
  else if ("importSelected" in button.dataset) importRows(boxes(":checked").map(rowOf));
});

// An order that a person types; what is wrong with it is told beside it.
document.addEventListener("submit", async (event) => {
  const form = event.target;
  const { adds, done } = form.dataset;
  if (!adds) return;
  event.preventDefault();
  const wrong = form.querySelector("[role=alert]");
  wrong.textContent = "";
  try {
    await post(adds, Object.fromEntries(new FormData(form)));
    form.reset();
    toast(done);
    pollNow();
  } catch (error) {
    const told = (error.details ?? []).map((each) => [each.Path, each.Message].filter(Boolean).join(" "));
    wrong.textContent = told.join(", ") || error.message;
  }
});

document.addEventListener("change", (event) => {
  if (event.target.dataset.day && event.target.value) {
    const to = new URL(event.target.dataset.day, location);
    to.searchParams.set("Day", event.target.value);
    location.assign(to);
  }
  tellPicked();
});
tellPicked();
