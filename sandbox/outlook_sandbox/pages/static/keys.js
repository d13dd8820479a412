// The keyboard: single keys for the page, arrows from event to event, Alt with arrows to move one.
const STEP = 15;

const SHIFTS = {
  ArrowUp: { days: 0, minutes: -STEP },
  ArrowDown: { days: 0, minutes: STEP },
  ArrowLeft: { days: -1, minutes: 0 },
  ArrowRight: { days: 1, minutes: 0 },
};

// `page` has what the single keys do, by key; `event` has move(id, shift), resize(id, shift) and remove(id).
export function listenToKeys(place, page, event) {
  document.addEventListener("keydown", (press) => {
    if (press.ctrlKey || press.metaKey || document.querySelector("dialog[open]")) return;
    if (press.target.closest("input, select, textarea, [role=listbox]")) return;
    const button = press.target.closest?.(".event");
    const work = button && place.contains(button) ? onEvent(place, press, button, event) : undefined;
    const single = press.altKey ? undefined : page[press.key.length === 1 ? press.key.toLowerCase() : press.key];
    const chosen = work ?? single;
    if (!chosen) return;
    press.preventDefault();
    chosen();
  });
}

function onEvent(place, press, button, { move, resize, remove }) {
  const { id } = button.dataset;
  const shift = SHIFTS[press.key];
  if (shift && press.altKey) return () => (press.shiftKey ? resize : move)(id, shift);
  if (press.altKey || press.shiftKey) return undefined;
  if (press.key === "Delete" || press.key === "Backspace") return () => remove(id);
  const next = shift && neighbour(place, button, press.key);
  return next && (() => next.focus());
}

// Up and down: along the day. Left and right: to the event of another day that lies nearest.
function neighbour(place, button, key) {
  const all = [...place.querySelectorAll(".event:not(.ghost)")].filter((one) => one.offsetParent);
  const column = columnOf(button);
  if (key === "ArrowUp" || key === "ArrowDown") {
    const down = all.filter((one) => columnOf(one) === column).sort((one, other) => topOf(one) - topOf(other));
    return down[down.indexOf(button) + (key === "ArrowDown" ? 1 : -1)];
  }
  const columns = [...new Set(all.map(columnOf))].sort((one, other) => one - other);
  const beside = columns[columns.indexOf(column) + (key === "ArrowRight" ? 1 : -1)];
  const distance = (one) => Math.abs(topOf(one) - topOf(button));
  const there = all.filter((one) => columnOf(one) === beside);
  return there.sort((one, other) => distance(one) - distance(other))[0];
}

const topOf = (button) => button.getBoundingClientRect().top;

// The day that an event stands in, by its place on the screen; in the list all stand in one.
function columnOf(button) {
  const column = button.closest(".day");
  if (column) return Math.round(column.getBoundingClientRect().left);
  const from = Number.parseInt(button.style.gridColumn, 10);
  const cells = [...(button.closest(".all-day")?.querySelectorAll(".cell") ?? [])];
  return cells.length ? Math.round(cells[from - 2].getBoundingClientRect().left) : 0;
}
