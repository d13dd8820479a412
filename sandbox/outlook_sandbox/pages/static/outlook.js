// The calendar page: keeps what Graph says on the screen, and lets the person go about in it.
import { calendarColor } from "./colors.js";
import { ZONE, addDays, addMinutes, isoDate, midnight, offsetName, rangeName } from "./dates.js";
import { dialogIsOpen, sayInDialog } from "./dialog.js";
import { Drag } from "./drag.js";
import { Editing } from "./editing.js";
import { eventButton } from "./event.js";
import { openImport, setUpImport } from "./files.js";
import { Graph } from "./graph.js";
import { listenToKeys } from "./keys.js";
import { drawList } from "./list.js";
import { Opening } from "./opening.js";
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
  onDrawn: (start, end) => opening.draft({ start, end }),
  onEnd: draw, // what came meanwhile
});
const watch = new Watch(account, load, onTrouble);
const editing = new Editing(graph, store, account, { draw, reload: () => watch.now(), attempt, follow });
const opening = new Opening(graph, store, editing, attempt);

// On the screen

let drawn = "";
let troubled; // what is wrong with keeping up to date, and the message that says so
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
  const shown = calendars.map(({ changeKey, ...kept }) => kept);
  const picture = JSON.stringify([view, day, search, isoDate(now), minute, shown, categories, events]);
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
  if (focused) buttonOf(focused)?.focus({ preventScroll: true });
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

const buttonOf = (id) => place.querySelector(`[data-id="${CSS.escape(id)}"]`);

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
  buttonOf(event.id)?.focus();
}

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
  const words = problem instanceof TypeError ? "The sandbox does not answer." : problem?.message;
  if (words === troubled) return;
  if (troubled) hush(trouble);
  troubled = words;
  if (words) trouble = say(`${words} Trying again…`, { problem: true });
}

// Hands

place.addEventListener("click", (click) => {
  const button = click.target.closest(".event");
  if (button) return opening.event(button.dataset.id);
  const { day, allDay } = (click.target.closest(".day, .cell") ?? {}).dataset ?? {};
  const start = new Date(`${day ?? allDay}T00:00:00`);
  if (allDay) return opening.draft({ start, end: addDays(start, 1), allDay: true });
  if (!day) return undefined;
  const column = click.target.closest(".day");
  start.setMinutes(Math.floor(((click.clientY - column.getBoundingClientRect().top) / column.offsetHeight) * 48) * 30);
  return opening.draft({ start, end: addMinutes(start, 30) });
});

// What had the focus may have been drawn anew while a dialog was open.
let last = "";
place.addEventListener("focusin", ({ target }) => (last = target.dataset.id ?? last));
document.addEventListener("close", () => document.activeElement === document.body && (buttonOf(last) ?? place).focus(), true);

const search = () => {
  if (store.view !== "list") go({ view: "list", day: midnight(new Date()) });
  named("search").focus();
};
const showView = (view) => view !== store.view && go({ view });

named("new-event").addEventListener("click", () => opening.blank());
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
  const shiftByKey = (id, shift, more) => {
    editing.shift(id, shift, { ...more, pause: KEYS_PAUSE_MS });
    buttonOf(id)?.scrollIntoView({ block: "nearest" });
  };
  listenToKeys(
    place,
    {
      n: () => opening.blank(), t: today, w: () => showView("week"), l: () => showView("list"), "<": () => page(-1), ">": () => page(1),
      "/": search, "?": () => named("help-dialog").showModal(),
    },
    {
      move: (id, shift) => shiftByKey(id, shift, {}),
      resize: (id, shift) => shiftByKey(id, shift, { end: true }),
      remove: (id) => opening.removal(id),
    },
  );
  watchSwipes(place, (direction) => store.view === "week" && go({ day: addDays(store.day, direction) }));
  setUpImport(place, store, account, () => watch.now());
  setInterval(draw, NOW_LINE_MS);
  draw();
  watch.run();
} else say("There is no such account in this sandbox: choose one above.", { problem: true });
