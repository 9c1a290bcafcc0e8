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
  const bySource = new Map(rows.map((row) => [sourceOf(row), rows.filter((each) => sourceOf(each) === sourceOf(row))]));
  const form = importing.querySelector("form");
  const { one, many, begun, to } = importing.dataset;
  document.getElementById("import-title").textContent = rows.length === 1 ? one : many.replace("%count%", rows.length);
  document.getElementById("import-from").textContent = [...bySource].map(([source, all]) => `${source} (${all.length})`).join(", ");
  form.reset();
  form.onsubmit = async () => {
    const { reason, priority, route } = form.elements;
    for (const [source, all] of bySource) {
      const order = {
        Source: source,
        Studies: all.map((row) => row.dataset.id),
        Route: route.checked,
        Priority: priority.value,
        Reason: reason.value,
      };
      await post(to, order).then(() => toast(begun), (error) => toast(error.message, { wrong: true }));
    }
    selectNone();
    pollNow();
  };
  importing.showModal();
  form.elements.reason.focus();
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
