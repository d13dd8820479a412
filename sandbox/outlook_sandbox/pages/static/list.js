// Draws the list: four weeks, day by day, those days on which there is something.
import { addDays, dayName, daysBetween, lastDay, longDay, sameDay, startOfWeek } from "./dates.js";
import { button, make } from "./dom.js";

// `draw(event)` makes an event's button; `onPage(-1 | 1)` is called for the four weeks before or after.
export function drawList(place, { start, days, events, search }, draw, onPage) {
  const top = place.querySelector(".list")?.scrollTop ?? 0;
  const wanted = search.trim().toLocaleLowerCase();
  const found = wanted ? events.filter((event) => event.subject.toLocaleLowerCase().includes(wanted)) : events;
  const box = make("div", "list");
  box.append(button("‹ Earlier", () => onPage(-1), "button page"));
  const sections = Array.from({ length: days }, (_, number) => addDays(start, number))
    .map((day) => [day, eventsOn(found, day)])
    .filter(([day, here]) => here.length || (!wanted && sameDay(day, new Date())));
  for (const [day, here] of sections) box.append(section(day, here, draw));
  if (!found.length) box.append(make("p", "nothing", nothing(wanted ? search.trim() : "")));
  box.append(button("Later ›", () => onPage(1), "button page"));
  place.replaceChildren(box);
  box.scrollTop = top;
}

const nothing = (search) =>
  search ? `No event in these four weeks has “${search}” in its title.` : "There is nothing in these four weeks.";

function eventsOn(events, day) {
  const here = events.filter((event) => sameDay(event.start, day) || (event.start < day && lastDay(event) >= day));
  return here.sort((one, other) => other.allDay - one.allDay || one.start - other.start || one.end - other.end);
}

function section(day, events, draw) {
  const made = make("div", sameDay(day, new Date()) ? "date today" : "date");
  const head = make("h2", "", dayName(day, { weekday: "short", day: "numeric", month: "short" }));
  head.append(make("small", "", relative(day)));
  const list = make("ul");
  list.setAttribute("aria-label", longDay(day));
  for (const event of events) list.append(row(event, day, draw));
  if (!events.length) list.append(make("li", "nothing", "Nothing today"));
  made.append(head, list);
  return made;
}

function row(event, day, draw) {
  const item = make("li");
  const shown = draw(event);
  const count = daysBetween(event.start, lastDay(event)) + 1;
  if (count > 1) shown.querySelector(".line").append(make("span", "mark", `day ${daysBetween(event.start, day) + 1} of ${count}`));
  item.append(shown);
  return item;
}

function relative(day) {
  const away = daysBetween(new Date(), day);
  if (away >= -1 && away <= 1) return ["yesterday", "today", "tomorrow"][away + 1];
  const weeks = daysBetween(startOfWeek(new Date()), startOfWeek(day)) / 7;
  return weeks === 0 ? "this week" : weeks === 1 ? "next week" : weeks === -1 ? "last week" : "";
}
