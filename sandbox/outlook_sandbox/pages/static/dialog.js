// The dialog in which an event is made, changed or deleted.
import { categoryColor, dot } from "./colors.js";
import { addDays, clock, fromWall, isoDate } from "./dates.js";
import { make } from "./week.js";

const dialog = document.querySelector("#event-dialog");
const form = dialog.querySelector("form");
const fields = form.elements;
const error = dialog.querySelector("#event-error");

// Shows an event or a draft (without id); calls act("save" | "delete", values), which may throw what to show.
export function openDialog(event, calendars, categories, act) {
  const known = Boolean(event.id);
  const editable = !known || event.editable;
  dialog.querySelector("h2").textContent = known ? "Edit event" : "New event";
  dialog.querySelector("#series-note").hidden = !event.inSeries;
  fillCalendars(event, calendars);
  fillCategories(event, categories);
  fillPeople(event);
  fields.subject.value = event.subject ?? "";
  fields.location.value = event.location ?? "";
  fields.allDay.checked = Boolean(event.allDay);
  fillTimes(event.start, event.end, event.allDay);
  error.textContent = editable ? "" : "This calendar can’t be changed.";
  for (const field of fields) field.disabled = !editable && field.value !== "cancel";
  fields.calendar.disabled ||= Boolean(event.inSeries);
  buttonNamed("delete").hidden = !known;
  showTimes();

  form.onsubmit = async (submit) => {
    submit.preventDefault();
    await attempt(submit.submitter?.value ?? "save", act, event.categories ?? []);
  };
  buttonNamed("cancel").onclick = () => dialog.close();
  dialog.showModal();
  fields.subject.select();
}

async function attempt(action, act, categoriesBefore) {
  error.textContent = "";
  try {
    if (action === "save") checkTimes();
    await act(action, values(categoriesBefore));
    dialog.close();
  } catch (problem) {
    error.textContent = problem.message;
  }
}

function values(categoriesBefore) {
  const allDay = fields.allDay.checked;
  const { start, end } = times();
  return {
    subject: fields.subject.value.trim(),
    calendar: fields.calendar.value,
    allDay,
    start,
    end: allDay ? addDays(end, 1) : end,
    location: fields.location.value.trim(),
    categories: inOldOrder([...form.querySelectorAll("input[name=category]:checked")].map((box) => box.value), categoriesBefore),
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

function fillTimes(start, end, allDay) {
  const last = allDay ? addDays(end, -1) : end;
  fields.startDate.value = isoDate(start);
  fields.startTime.value = allDay ? "09:00" : clock(start);
  fields.endDate.value = isoDate(last);
  fields.endTime.value = allDay ? "10:00" : clock(end);
  keepLength = null;
}

// When the start moves, the end moves with it.
let keepLength = null;
const startFields = [fields.startDate, fields.startTime];
for (const field of startFields) {
  field.addEventListener("focus", () => {
    const { start, end } = times();
    keepLength = end - start;
  });
  field.addEventListener("input", () => {
    const { start } = times();
    if (!(keepLength >= 0) || Number.isNaN(start.valueOf())) return;
    const end = new Date(start.valueOf() + keepLength);
    fields.endDate.value = isoDate(end);
    if (!fields.allDay.checked) fields.endTime.value = clock(end);
  });
}

function showTimes() {
  for (const label of form.querySelectorAll(".time")) label.hidden = fields.allDay.checked;
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
