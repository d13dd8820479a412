// Draws one week: a head for each day, the all-day row, and the hours with their events.
import { addDays, clock, dayName, isoDate, lastDay, longDay, minuteOf, offsetName, sameDay, ZONE } from "./dates.js";
import { make } from "./dom.js";
import { partsOfDay, topRows } from "./layout.js";

const HOUR_HEIGHT = 52;
const FIRST_HOUR_SEEN = 6.8;

export const HOUR = HOUR_HEIGHT;
export const minuteAt = (column, y) => ((y - column.getBoundingClientRect().top) / HOUR_HEIGHT) * 60;

// `draw(event)` makes an event's button; `onDay(day)` is called for a day that is chosen where one day is shown.
export function drawWeek(place, { start, day, events }, draw, onDay) {
  const top = place.querySelector(".scroller")?.scrollTop ?? FIRST_HOUR_SEEN * HOUR_HEIGHT;
  const days = Array.from({ length: 7 }, (_, number) => addDays(start, number));
  const box = make("div", "scroller");
  box.append(dayPicker(days, day, onDay), heads(days, day), allDay(days, day, topRows(events, start), draw));
  box.append(hours(days, day, events, draw));
  place.replaceChildren(box);
  box.scrollTop = top;
}

function dayPicker(days, chosen, onDay) {
  const picker = make("div", "day-picker");
  picker.setAttribute("role", "group");
  picker.setAttribute("aria-label", "Day");
  for (const day of days) {
    const button = make("button", sameDay(day, new Date()) ? "today" : "");
    button.type = "button";
    button.setAttribute("aria-pressed", sameDay(day, chosen));
    button.setAttribute("aria-label", longDay(day));
    button.append(make("span", "weekday", dayName(day, { weekday: "narrow" })), make("b", "", String(day.getDate())));
    button.addEventListener("click", () => onDay(day));
    picker.append(button);
  }
  return picker;
}

function heads(days, chosen) {
  const row = make("div", "heads");
  const zone = make("span", "hour zone", offsetName(days[0]));
  zone.title = `Times in ${ZONE}`;
  row.append(zone);
  for (const day of days) {
    const head = marked(make("div", "head"), day, chosen);
    head.append(make("span", "weekday", dayName(day, { weekday: "short" })), make("b", "", String(day.getDate())));
    if (sameDay(day, new Date())) head.setAttribute("aria-current", "date");
    row.append(head);
  }
  return row;
}

function allDay(days, chosen, items, draw) {
  const row = make("div", "all-day");
  row.setAttribute("role", "group");
  row.setAttribute("aria-label", "All day");
  const lines = Math.max(1, ...items.map((item) => item.row + 1));
  row.style.gridTemplateRows = `repeat(${lines}, 25px)`;
  row.append(make("span", "hour", "all day"));
  days.forEach((day, number) => {
    const cell = marked(make("div", "cell"), day, chosen);
    cell.style.gridColumn = String(number + 2);
    cell.dataset.allDay = isoDate(day);
    row.append(cell);
  });
  const chosenNumber = days.findIndex((day) => sameDay(day, chosen));
  for (const { event, first, last, row: line } of items) {
    const button = draw(event);
    button.style.gridColumn = `${first + 2} / ${last + 3}`;
    button.style.gridRow = String(line + 1);
    button.classList.toggle("chosen", first <= chosenNumber && chosenNumber <= last);
    row.append(button);
  }
  return row;
}

function hours(days, chosen, events, draw) {
  const grid = make("div", "hours");
  const scale = make("div", "scale");
  scale.setAttribute("aria-hidden", "true");
  for (let hour = 0; hour < 24; hour++) scale.append(make("span", "hour", hour ? `${String(hour).padStart(2, "0")}:00` : ""));
  grid.append(scale);
  for (const day of days) grid.append(dayColumn(day, chosen, partsOfDay(events, day), draw));
  return grid;
}

function dayColumn(day, chosen, parts, draw) {
  const column = marked(make("div", "day"), day, chosen);
  column.dataset.day = isoDate(day);
  column.setAttribute("role", "group");
  column.setAttribute("aria-label", longDay(day));
  for (const { event, from, to, lane, lanes } of parts) {
    const button = draw(event);
    const minutes = Math.max(to - from, 20);
    placeAt(button, from, minutes);
    button.style.left = `${(lane / lanes) * 100}%`;
    button.style.width = `calc(${100 / lanes}% - 4px)`;
    button.classList.toggle("short", minutes < 45);
    button.classList.toggle("tall", minutes >= 45);
    if (event.editable && sameDay(lastDay(event), day)) button.append(make("span", "edge"));
    column.append(button);
  }
  if (sameDay(day, new Date())) {
    const line = make("div", "now");
    line.style.top = `${(minuteOf(new Date()) / 60) * HOUR_HEIGHT}px`;
    line.title = clock(new Date());
    column.append(line);
  }
  return column;
}

export function placeAt(element, from, minutes) {
  element.style.top = `${(from / 60) * HOUR_HEIGHT}px`;
  element.style.height = `${(minutes / 60) * HOUR_HEIGHT - 2}px`;
}

function marked(element, day, chosen) {
  element.classList.toggle("today", sameDay(day, new Date()));
  element.classList.toggle("weekend", day.getDay() % 6 === 0);
  element.classList.toggle("chosen", sameDay(day, chosen));
  return element;
}
