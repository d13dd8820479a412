// The calendar page: keeps what Graph says on the screen, and lets the person go about in it.
import { choose, whichOfSeries } from "./choose.js";
import { calendarColor } from "./colors.js";
import { ZONE, addDays, isoDate, midnight, offsetName, rangeName } from "./dates.js";
import { dialogIsOpen, openDialog, sayInDialog } from "./dialog.js";
import { Drag } from "./drag.js";
import { Editing } from "./editing.js";
import { eventButton, titleOf } from "./event.js";
import { openImport, setUpImport } from "./files.js";
import { Graph } from "./graph.js";
import { listenToKeys } from "./keys.js";
import { drawList } from "./list.js";
import { Picker } from "./picker.js";
import { drawSidebar } from "./sidebar.js";
import { Store } from "./store.js";
import { watchSwipes } from "./swipe.js";
import { hush, say } from "./toast.js";
import { Watch } from "./watch.js";
import { drawWeek } from "./week.js";

const KEYS_PAUSE_MS = 500;
const NOW_LINE_MS = 20_000;
const account = document.body.dataset.account;
const place = document.querySelector("#events");
const named = (id) => document.querySelector(`#${id}`);

const graph = new Graph(account, whileWaiting);
const store = new Store(graph, account);
const drag = new Drag(place, {
  onMoved: (id, shift) => editing.shift(id, shift),
  onResized: (id, shift) => editing.shift(id, shift, { end: true }),
  onDrawn: (start, end) => openNew({ start, end }),
});
const watch = new Watch(account, load, onTrouble);
const editing = new Editing(graph, store, account, { draw, reload: () => watch.now(), attempt, follow });

// On the screen

let drawn = "";
let trouble = 0;

async function load(signal) {
  place.setAttribute("aria-busy", "true");
  await store.load(signal);
  place.setAttribute("aria-busy", "false");
  named("new-event").disabled = !store.writable.length; // there is a calendar to put it into only now
  named("import").disabled = !store.writable.length;
  draw();
}

function draw() {
  const { view, day, search, start, days, end, calendars, categories } = store;
  const events = store.events ?? [];
  const now = new Date();
  const minute = view === "week" ? now.getMinutes() : 0;
  const picture = JSON.stringify([view, day, search, isoDate(now), minute, calendars.map(({ id }) => id), categories, events]);
  if (picture === drawn || drag.active) return;
  drawn = picture;
  drawTools(view, rangeName(start, addDays(end, -1)));
  drawSidebar(store, account, (calendar, wanted) => {
    store.show(calendar, wanted);
    draw();
    watch.now();
  });
  const focused = place.contains(document.activeElement) ? document.activeElement.dataset.id : undefined;
  const button = (event) => eventButton(event, colorOf(event), categories);
  if (view === "week") drawWeek(place, { start, day, events }, button, (chosen) => go({ day: chosen }));
  else drawList(place, { start, days, events, search }, button, page);
  if (focused) focus(focused);
}

function drawTools(view, range) {
  document.body.dataset.view = view;
  named("range").textContent = range;
  named("zone").textContent = `Times in ${ZONE} (${offsetName(store.start)})`;
  named("previous").setAttribute("aria-label", view === "week" ? "Previous week" : "Four weeks earlier");
  named("next").setAttribute("aria-label", view === "week" ? "Next week" : "Four weeks later");
  for (const name of ["week", "list"]) named(`view-${name}`).setAttribute("aria-pressed", view === name);
  named("search-box").hidden = view !== "list";
  if (document.activeElement !== named("search")) named("search").value = store.search;
}

function colorOf(event) {
  const position = store.calendars.findIndex((calendar) => calendar.id === event.calendar);
  return calendarColor(store.calendars[position], position);
}

function focus(id) {
  const button = place.querySelector(`[data-id="${CSS.escape(id)}"]`);
  button?.focus({ preventScroll: true });
  button?.scrollIntoView({ block: "nearest" });
}

function go(to, kept = true) {
  store.go(to, kept);
  draw();
  return watch.now();
}

function page(direction) {
  return go({ day: addDays(store.day, direction * store.days) });
}

function today() {
  return go({ day: midnight(new Date()) });
}

async function follow(event) {
  if (event.start >= store.start && event.start < store.end) return;
  await go({ day: event.start });
  focus(event.id);
}

// What the person does to events

function openNew(draft) {
  const calendar = store.writable.find((one) => !store.isHidden(one)) ?? store.writable[0];
  if (calendar) openDialog({ ...draft, calendar: calendar.id }, store, (_, values) => editing.create(values, draft));
}

function newEvent() {
  const inView = store.view === "week" || store.day <= new Date();
  const start = new Date(store.view === "list" && inView ? midnight(new Date()) : store.day);
  start.setHours(Math.min(new Date().getHours() + 1, 23));
  openNew({ start, end: new Date(start.valueOf() + 30 * 60_000) });
}

async function openKnown(event) {
  const which = event.inSeries && event.editable ? await whichOfSeries(`Open “${titleOf(event)}”`, "Open") : "event";
  if (!which) return;
  await attempt(async () => {
    const opened = which === "series" ? await graph.event(event.series, store.calendar(event.calendar)) : event;
    openDialog(opened, store, (action, values) => (action === "delete" ? removeFromDialog(opened) : editing.save(opened, values)));
  });
}

async function removeFromDialog(event) {
  if (event.recurrence && !(await choose(`Delete “${titleOf(event)}”?`, "Every event of the series will be gone.", SURE))) return false;
  return editing.remove(event.id, event);
}

async function removeByKey(id) {
  const event = store.find(id);
  if (!event.editable) return say("This calendar is read-only.", { problem: true });
  const title = `Delete “${titleOf(event)}”?`;
  const which = await (event.inSeries ? whichOfSeries(title, "Delete") : choose(title, "It can’t be brought back.", SURE));
  return which && attempt(() => editing.remove(which === "series" ? event.series : id, event));
}
const SURE = [["event", "Delete", "danger"]];

// What goes wrong

async function attempt(work) {
  try {
    await work();
  } catch (problem) {
    say(problem.message, { problem: true, again: problem.worthAnotherTry && (() => attempt(work)) });
  }
}

let waiting = 0;

function whileWaiting(seconds, problem) {
  const text = seconds ? `Outlook is busy: trying again in ${Math.ceil(seconds)} s… (${problem.status} ${problem.code})` : "";
  if (dialogIsOpen()) sayInDialog(text);
  else if (text) waiting = say(text, { stays: true });
  else hush(waiting);
}

function onTrouble(problem) {
  if (!problem) {
    if (trouble) hush(trouble);
    trouble = 0;
    return;
  }
  const words = problem instanceof TypeError ? "The sandbox does not answer." : problem.message;
  trouble = say(`${words} Trying again…`, { problem: true });
}

// Hands

place.addEventListener("click", (click) => {
  const button = click.target.closest(".event");
  if (button) return openKnown(store.find(button.dataset.id));
  const { day, allDay } = (click.target.closest(".day, .cell") ?? {}).dataset ?? {};
  if (allDay) return openNew({ start: new Date(`${allDay}T00:00:00`), end: addDays(new Date(`${allDay}T00:00:00`), 1), allDay: true });
  if (!day) return undefined;
  const column = click.target.closest(".day");
  const start = new Date(`${day}T00:00:00`);
  start.setMinutes(Math.floor(((click.clientY - column.getBoundingClientRect().top) / column.offsetHeight) * 48) * 30);
  return openNew({ start, end: new Date(start.valueOf() + 30 * 60_000) });
});

const search = () => {
  if (store.view !== "list") go({ view: "list", day: midnight(new Date()) });
  named("search").focus();
};
const showView = (view) => view !== store.view && go({ view });

named("new-event").addEventListener("click", newEvent);
named("today").addEventListener("click", today);
named("previous").addEventListener("click", () => page(-1));
named("next").addEventListener("click", () => page(1));
named("view-week").addEventListener("click", () => showView("week"));
named("view-list").addEventListener("click", () => showView("list"));
named("search").addEventListener("input", (input) => (store.go({ search: input.target.value }, false), draw()));
named("import").addEventListener("click", () => openImport());
named("help").addEventListener("click", () => named("help-dialog").showModal());
window.addEventListener("popstate", () => {
  store.readAddress();
  draw();
  watch.now();
});

new Picker(named("account"), ({ username }) => {
  const query = new URLSearchParams(location.search);
  query.set("account", username);
  location.search = query;
});

if (account) {
  const byKey = { pause: KEYS_PAUSE_MS };
  listenToKeys(
    place,
    {
      n: newEvent, t: today, w: () => showView("week"), l: () => showView("list"), "<": () => page(-1), ">": () => page(1),
      "/": search, "?": () => named("help-dialog").showModal(),
    },
    {
      move: (id, shift) => editing.shift(id, shift, byKey),
      resize: (id, shift) => editing.shift(id, shift, { ...byKey, end: true }),
      remove: removeByKey,
    },
  );
  watchSwipes(place, (direction) => store.view === "week" && go({ day: addDays(store.day, direction) }));
  setUpImport(place, store, account, () => watch.now());
  setInterval(draw, NOW_LINE_MS);
  draw();
  watch.run();
} else say("There is no such account in this sandbox: choose one above.", { problem: true });
