// The calendar page: keeps what Graph says on the screen, and sends to Graph what the person does.
import { calendarColor, categoryColor, dot } from "./colors.js";
import { ZONE, addDays, isoDate, midnight, startOfWeek, wall, weekName } from "./dates.js";
import { openDialog } from "./dialog.js";
import { Drag } from "./drag.js";
import { Graph } from "./graph.js";
import { drawWeek, make } from "./week.js";

const LOOK_EVERY_MS = 250;
const account = document.body.dataset.account;
const graph = new Graph(account);
const week = document.querySelector("#week");
const newEvent = document.querySelector("#new-event");
const hiddenKey = `hidden calendars of ${account}`;
const hidden = new Set(JSON.parse(localStorage.getItem(hiddenKey) ?? "[]"));

let monday = startOfWeek(new Date());
let chosenDay = midnight(new Date());
let calendars = [];
let categories = [];
let events = [];
let drawn = "";
let drawnAside = "";
let seen = "";
let loading = 0;

const drag = new Drag(week, {
  onMoved: (id, shift) => attempt(() => moveBy(find(id), shift)),
  onDrawn: (start, end) => openNew(start, end),
});

async function load() {
  const turn = ++loading;
  const [newCalendars, newCategories] = await Promise.all([graph.calendars(), graph.categories()]);
  const shown = newCalendars.filter((calendar) => !hidden.has(calendar.id));
  const found = await Promise.all(shown.map((calendar) => graph.events(calendar, monday, addDays(monday, 7))));
  if (turn !== loading) return;
  [calendars, categories, events] = [newCalendars, newCategories, found.flat()];
  newEvent.disabled = false; // there is a calendar to put it into only now
  draw();
}

function draw() {
  const now = new Date();
  const picture = JSON.stringify([monday, chosenDay, isoDate(now), now.getMinutes(), calendars, categories, events]);
  if (picture === drawn || drag.active) return;
  drawn = picture;
  document.querySelector("#range").textContent = weekName(monday);
  drawAside();
  drawWeek(week, { monday, chosenDay, events, calendars, categories }, (day) => {
    chosenDay = day;
    draw();
  });
}

function drawAside() {
  const picture = JSON.stringify([calendars.map(({ changeKey, ...kept }) => kept), categories]);
  if (picture === drawnAside) return;
  drawnAside = picture;
  drawCalendars();
  drawLegend();
}

function drawCalendars() {
  const list = document.querySelector("#calendars");
  const rows = calendars.map((calendar, position) => {
    const label = make("label", "calendar");
    const box = make("input");
    Object.assign(box, { type: "checkbox", value: calendar.id, checked: !hidden.has(calendar.id) });
    box.style.accentColor = calendarColor(calendar, position);
    box.addEventListener("change", () => show(calendar, box.checked));
    label.append(box, dot(calendarColor(calendar, position)), make("span", "", calendar.name));
    if (!calendar.canEdit) label.append(make("span", "read-only", "read-only"));
    return label;
  });
  list.replaceChildren(list.querySelector("legend"), ...rows);
}

function drawLegend() {
  const rows = categories.map(({ displayName }) => {
    const row = make("li");
    row.append(dot(categoryColor(displayName, categories)), displayName);
    return row;
  });
  document.querySelector("#categories").replaceChildren(...rows);
}

function show(calendar, wanted) {
  wanted ? hidden.delete(calendar.id) : hidden.add(calendar.id);
  localStorage.setItem(hiddenKey, JSON.stringify([...hidden]));
  attempt(load);
}

function go(toMonday, day = toMonday) {
  [monday, chosenDay] = [toMonday, day];
  events = [];
  attempt(load);
}

// What the person does to events

const find = (id) => events.find((event) => event.id === id);
const moment = (date) => ({ dateTime: wall(date), timeZone: ZONE });

function openNew(start, end, allDay = false) {
  const writable = calendars.filter((calendar) => calendar.canEdit);
  if (!writable.length) return;
  const calendar = writable.find((entry) => !hidden.has(entry.id)) ?? writable[0];
  openDialog({ start, end, allDay, calendar: calendar?.id }, calendars, categories, async (_, values) => {
    const { calendar: chosen, ...content } = values;
    await graph.create(chosen, { ...body(content), subject: values.subject });
    await load();
    say(`“${values.subject || "(No title)"}” was created.`);
  });
}

function openKnown(event) {
  openDialog(event, calendars, categories, async (action, values) => {
    await (action === "delete" ? graph.remove(event) : save(event, values));
    await load();
    say(`“${event.subject || "(No title)"}” was ${action === "delete" ? "deleted" : "saved"}.`);
  });
}

async function save(event, values) {
  const changes = body(values, event);
  if (Object.keys(changes).length) await graph.update(event, changes);
  if (values.calendar !== event.calendar) await moveToCalendar(event, values.calendar);
}

// Only what differs is sent, as Outlook does.
function body(values, before) {
  const changed = (name) => JSON.stringify(values[name]) !== JSON.stringify(before?.[name]);
  const changes = {};
  if (changed("subject")) changes.subject = values.subject;
  if (changed("start") || changed("end") || changed("allDay"))
    Object.assign(changes, { start: moment(values.start), end: moment(values.end), isAllDay: values.allDay });
  if (before ? changed("location") : values.location) changes.location = { displayName: values.location };
  if (before ? changed("categories") : values.categories.length) changes.categories = values.categories;
  return changes;
}

async function moveBy(event, { days, minutes }) {
  if (!event.editable) throw new Error("This calendar can’t be changed.");
  const start = addDays(event.start, days);
  start.setMinutes(start.getMinutes() + minutes);
  const end = new Date(start.valueOf() + (event.end - event.start));
  await graph.update(event, { start: moment(start), end: moment(end) });
  await load();
  say(`“${event.subject}” was moved.`);
}

// Graph has no request for this; Outlook itself does it another way, and so does this page.
async function moveToCalendar(event, calendar) {
  const response = await fetch(`/sandbox/v1/accounts/${encodeURIComponent(account)}/move`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ event: event.id, calendar }),
  });
  if (!response.ok) throw new Error("The event could not be moved to the other calendar.");
}

// Telling the person, and watching for changes

function say(text, isProblem = false) {
  const toast = document.querySelector("#toast");
  toast.textContent = text;
  toast.classList.toggle("problem", isProblem);
  toast.classList.add("seen");
  clearTimeout(say.timer);
  say.timer = setTimeout(() => toast.classList.remove("seen"), 4000);
}

async function attempt(work) {
  try {
    await work();
  } catch (problem) {
    say(problem.message, true);
  }
}

async function look() {
  try {
    const response = await fetch(`/outlook/version?account=${encodeURIComponent(account)}`);
    const { version } = await response.json();
    if (version !== seen) {
      await load();
      seen = version;
    } else {
      draw();
    }
  } catch {
    say("The sandbox does not answer. Trying again…", true);
  }
  setTimeout(look, LOOK_EVERY_MS);
}

week.addEventListener("click", (click) => {
  const button = click.target.closest(".event");
  if (button) return openKnown(find(button.dataset.id));
  const { day, allDay } = (click.target.closest(".day, .cell") ?? {}).dataset ?? {};
  if (allDay) return openNew(new Date(`${allDay}T00:00:00`), addDays(new Date(`${allDay}T00:00:00`), 1), true);
  if (!day) return undefined;
  const column = click.target.closest(".day");
  const minute = Math.floor(((click.clientY - column.getBoundingClientRect().top) / column.offsetHeight) * 48) * 30;
  const start = new Date(`${day}T00:00:00`);
  start.setMinutes(minute);
  return openNew(start, new Date(start.valueOf() + 30 * 60_000));
});

newEvent.addEventListener("click", () => {
  const day = chosenDay >= monday && chosenDay < addDays(monday, 7) ? chosenDay : monday;
  const start = new Date(day);
  start.setHours(Math.min(new Date().getHours() + 1, 23));
  openNew(start, new Date(start.valueOf() + 30 * 60_000));
});
document.querySelector("#today").addEventListener("click", () => go(startOfWeek(new Date()), midnight(new Date())));
document.querySelector("#previous").addEventListener("click", () => go(addDays(monday, -7)));
document.querySelector("#next").addEventListener("click", () => go(addDays(monday, 7)));
document.querySelector("#account").addEventListener("change", (change) => change.target.form.submit());

if (account) look();
else say("There is no account in this sandbox.", true);
