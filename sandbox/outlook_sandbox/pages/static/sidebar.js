// Beside the events: the calendars to show or hide and to export, and the categories with their colours.
import { calendarColor, categoryColor, dot } from "./colors.js";
import { make } from "./dom.js";

let drawn = "";

export function drawSidebar(store, account, onShown) {
  const picture = JSON.stringify([
    store.calendars.map((calendar) => [calendar.id, calendar.name, calendar.canEdit, calendar.hexColor, store.isHidden(calendar)]),
    store.categories,
  ]);
  if (picture === drawn) return;
  drawn = picture;
  const list = document.querySelector("#calendars");
  const rows = store.calendars.map((calendar, position) => calendarRow(calendar, position, store, account, onShown));
  list.replaceChildren(list.querySelector("legend"), ...rows);
  const items = store.categories.map(({ displayName }) => {
    const row = make("li");
    row.append(dot(categoryColor(displayName, store.categories)), displayName);
    return row;
  });
  document.querySelector("#categories").replaceChildren(...items);
}

function calendarRow(calendar, position, store, account, onShown) {
  const row = make("div", "calendar-row");
  const label = make("label", "calendar");
  const box = make("input");
  Object.assign(box, { type: "checkbox", value: calendar.id, checked: !store.isHidden(calendar) });
  box.style.accentColor = calendarColor(calendar, position);
  box.addEventListener("change", () => onShown(calendar, box.checked));
  label.append(box, make("span", "name", calendar.name));
  if (!calendar.canEdit) {
    const mark = make("span", "read-only", "read-only");
    mark.title = `Shared by ${calendar.owner?.name ?? "somebody else"}`;
    label.append(mark);
  }
  row.append(label, exportLink(calendar, account));
  return row;
}

function exportLink(calendar, account) {
  const link = make("a", "export", "⤓");
  link.href = `/sandbox/v1/accounts/${encodeURIComponent(account)}/calendars/${encodeURIComponent(calendar.id)}/ics`;
  link.download = `${calendar.name.replace(/[^\p{L}\p{N} ._-]+/gu, " ").trim() || "calendar"}.ics`;
  link.setAttribute("aria-label", `Export ${calendar.name} as a file`);
  link.title = "Export as a file (.ics)";
  return link;
}
