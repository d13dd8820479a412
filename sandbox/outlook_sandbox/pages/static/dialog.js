// The dialog in which an event or a series is made, changed, deleted, or only looked at.
import { categoryColor, dot } from "./colors.js";
import { ZONE, addDays, clock, fromWall, isoDate, offsetName } from "./dates.js";
import { make } from "./dom.js";
import { repeatValue, showRepeat, startMoved } from "./repeat.js";

const dialog = document.querySelector("#event-dialog");
const form = dialog.querySelector("form");
const fields = form.elements;
const error = dialog.querySelector("#event-error");
const wait = dialog.querySelector("#event-wait");
const TITLES = { new: "New event", event: "Edit event", series: "Edit series", read: "Event" };
const NOTES = {
  event: "This is one of a series. What you change here changes only this event.",
  series: "What you change here changes every event of the series.",
  read: "This calendar is shared with you to read: its events can’t be changed.",
};

// Shows an event or a draft (without id). `act("save" | "delete", values)` may throw what to show, or give false to stay.
export function openDialog(event, { calendars, categories }, act) {
  const kind = !event.id ? "new" : !event.editable ? "read" : event.recurrence ? "series" : "event";
  const [known, editable] = [kind !== "new", kind !== "read"];
  dialog.querySelector("h2").textContent = TITLES[kind];
  dialog.querySelector("#event-note").textContent = kind === "event" && !event.inSeries ? "" : (NOTES[kind] ?? "");
  fillCalendars(event, calendars);
  fillCategories(event, categories);
  fillPeople(event);
  fields.subject.value = event.subject ?? "";
  fields.location.value = event.location ?? "";
  fields.allDay.checked = Boolean(event.allDay);
  fields.showAs.value = event.showAs ?? "busy";
  fields.isPrivate.checked = Boolean(event.isPrivate);
  fillTimes(event);
  showRepeat(event.recurrence ?? null, event.start);
  form.querySelector("#repetition").hidden = Boolean(event.inSeries) || (kind === "read" && !event.recurrence);
  [error.textContent, wait.textContent] = ["", ""];
  for (const field of fields) field.disabled = !editable && field.value !== "cancel";
  fields.calendar.disabled ||= Boolean(event.inSeries);
  buttonNamed("delete").hidden = !known || !editable;
  buttonNamed("save").hidden = !editable;
  buttonNamed("cancel").textContent = editable ? "Cancel" : "Close";
  showTimes();

  form.onsubmit = async (submit) => {
    submit.preventDefault();
    await attempt(submit.submitter?.value ?? "save", act, event);
  };
  buttonNamed("cancel").onclick = () => dialog.close();
  dialog.showModal();
  editable ? fields.subject.select() : buttonNamed("cancel").focus();
}

export const dialogIsOpen = () => dialog.open;

// What holds the answer up, while the dialog waits for it.
export function sayInDialog(text) {
  wait.textContent = text;
}

async function attempt(action, act, event) {
  error.textContent = "";
  const buttons = [buttonNamed("save"), buttonNamed("delete")];
  try {
    if (action === "save") checkTimes();
    for (const button of buttons) button.disabled = true;
    if ((await act(action, values(event))) !== false) dialog.close();
  } catch (problem) {
    error.textContent = problem.message;
  } finally {
    for (const button of buttons) button.disabled = false;
    wait.textContent = "";
  }
}

function values(before) {
  const allDay = fields.allDay.checked;
  const { start, end } = times();
  const chosen = [...form.querySelectorAll("input[name=category]:checked")].map((box) => box.value);
  return {
    subject: fields.subject.value.trim(),
    calendar: fields.calendar.value,
    allDay,
    start,
    end: allDay ? addDays(end, 1) : end,
    recurrence: before.inSeries ? undefined : repeatValue(),
    location: fields.location.value.trim(),
    showAs: fields.showAs.value,
    isPrivate: fields.isPrivate.checked,
    categories: inOldOrder(chosen, before.categories ?? []),
  };
}

const inOldOrder = (names, before) => [
  ...before.filter((name) => names.includes(name)),
  ...names.filter((name) => !before.includes(name)),
];

function times() {
  const at = (side) => (fields.allDay.checked ? "00:00" : fields[`${side}Time`].value);
  return {
    start: fromWall(`${fields.startDate.value}T${at("start")}:00`),
    end: fromWall(`${fields.endDate.value}T${at("end")}:00`),
  };
}

function checkTimes() {
  const { start, end } = times();
  if (Number.isNaN(start.valueOf()) || Number.isNaN(end.valueOf())) throw new Error("Please give a start and an end.");
  if (end < start) throw new Error("The end must not be before the start.");
}

function fillTimes({ start, end, allDay, madeIn }) {
  const last = allDay ? addDays(end, -1) : end;
  fields.startDate.value = isoDate(start);
  fields.startTime.value = allDay ? "09:00" : clock(start);
  fields.endDate.value = isoDate(last);
  fields.endTime.value = allDay ? "10:00" : clock(end);
  keepLength = null;
  const elsewhere = madeIn && madeIn !== ZONE ? ` The event was made in ${madeIn}.` : "";
  form.querySelector("#event-zone").textContent = `Times in ${ZONE} (${offsetName(start)}).${elsewhere}`;
}

// When the start moves, the end moves with it.
let keepLength = null;
for (const field of [fields.startDate, fields.startTime]) {
  field.addEventListener("focus", () => {
    const { start, end } = times();
    keepLength = end - start;
  });
  field.addEventListener("input", () => {
    const { start } = times();
    if (Number.isNaN(start.valueOf())) return;
    startMoved(start);
    if (!(keepLength >= 0)) return;
    const end = new Date(start.valueOf() + keepLength);
    fields.endDate.value = isoDate(end);
    if (!fields.allDay.checked) fields.endTime.value = clock(end);
  });
}

function showTimes() {
  for (const label of form.querySelectorAll(".time")) label.hidden = fields.allDay.checked;
  form.querySelector("#event-zone").hidden = fields.allDay.checked;
}
fields.allDay.addEventListener("change", showTimes);

function fillCalendars(event, calendars) {
  const choices = calendars.filter((calendar) => calendar.canEdit || calendar.id === event.calendar);
  fields.calendar.replaceChildren(
    ...choices.map((calendar) => new Option(calendar.name, calendar.id, false, calendar.id === event.calendar)),
  );
}

function fillCategories(event, categories) {
  const chosen = event.categories ?? [];
  const listed = categories.map((category) => category.displayName);
  const names = [...listed, ...chosen.filter((name) => !listed.includes(name))];
  const choices = names.map((name) => {
    const label = make("label", "choice");
    const box = make("input");
    Object.assign(box, { type: "checkbox", name: "category", value: name, checked: chosen.includes(name) });
    label.append(box, dot(categoryColor(name, categories)), ` ${name}`);
    return label;
  });
  form.querySelector(".choices").replaceChildren(...choices);
}

function fillPeople(event) {
  const people = dialog.querySelector("#people");
  people.hidden = !event.people?.length;
  people.textContent = event.people?.length ? `With ${event.people.join(", ")}` : "";
}

const buttonNamed = (action) => form.querySelector(`button[value=${action}]`);
