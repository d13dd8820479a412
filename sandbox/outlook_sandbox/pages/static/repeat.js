// The dialog's part about repetition: from Graph's pattern to fields, and back.
import { ZONE, addDays, dayName, isoDate } from "./dates.js";

const WEEKDAYS = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"];
const POSITIONS = ["first", "second", "third", "fourth"];
const UNITS = { daily: "day(s)", weekly: "week(s)", monthly: "month(s)", yearly: "year(s)" };

const box = document.querySelector("#repetition");
const fields = box.closest("form").elements;
const dayBoxes = [...box.querySelectorAll("input[name=weekday]")];
const part = (name) => box.querySelector(`#repeat-${name}`);

let start;
let before; // the recurrence that was shown
let shown; // what the fields said of it, to see whether somebody changed them

// Shows a recurrence, or none, for an event that begins at `begin`.
export function showRepeat(recurrence, begin) {
  [start, before] = [begin, recurrence];
  const pattern = recurrence?.pattern;
  const range = recurrence?.range;
  fields.repeat.value = pattern ? kindOf(pattern) : "";
  fields.interval.value = pattern?.interval ?? 1;
  for (const day of dayBoxes) day.checked = (pattern?.daysOfWeek ?? [WEEKDAYS[begin.getDay()]]).includes(day.value);
  fields.ends.value = range?.type ?? "noEnd";
  fields.until.value = range?.type === "endDate" ? range.endDate : isoDate(addDays(begin, 90));
  fields.count.value = range?.type === "numbered" ? range.numberOfOccurrences : 10;
  fillPlaces(pattern ? placeOf(pattern) : "day");
  arrange();
  shown = picture();
}

// The event's start moved to another day: what follows from it does so too.
export function startMoved(begin) {
  const own = WEEKDAYS[start.getDay()];
  const chosen = dayBoxes.filter((day) => day.checked);
  start = begin;
  if (chosen.length === 1 && chosen[0].value === own) for (const day of dayBoxes) day.checked = day.value === WEEKDAYS[begin.getDay()];
  fillPlaces(fields.repeatOn.value);
}

// The recurrence that the fields say, null for none, undefined if nobody changed it. Throws what is wrong.
export function repeatValue() {
  if (picture() === shown) return undefined;
  if (!fields.repeat.value) return null;
  if (!(Number(fields.interval.value) >= 1)) throw new Error("Please say after how many it repeats.");
  return { pattern: pattern(), range: range() };
}

function pattern() {
  const kind = fields.repeat.value;
  const interval = Number(fields.interval.value);
  const days = dayBoxes.filter((day) => day.checked).map((day) => day.value);
  const own = WEEKDAYS[start.getDay()];
  if (kind === "daily") return { type: kind, interval };
  if (kind === "weekly") {
    const firstDayOfWeek = before?.pattern.firstDayOfWeek ?? "monday";
    return { type: kind, interval, daysOfWeek: days.length ? days : [own], firstDayOfWeek };
  }
  const place = fields.repeatOn.value;
  if (place === "kept") return { ...before.pattern, interval };
  const month = kind === "yearly" ? { month: start.getMonth() + 1 } : {};
  const name = kind === "yearly" ? "Yearly" : "Monthly";
  return place === "day"
    ? { type: `absolute${name}`, interval, dayOfMonth: start.getDate(), ...month }
    : { type: `relative${name}`, interval, daysOfWeek: [own], index: place, ...month };
}

function range() {
  const recurrenceTimeZone = before?.range.recurrenceTimeZone ?? ZONE;
  const common = { type: fields.ends.value, startDate: isoDate(start), recurrenceTimeZone };
  if (common.type === "endDate") {
    if (!(fields.until.value >= common.startDate)) throw new Error("The last day must not be before the first.");
    return { ...common, endDate: fields.until.value };
  }
  if (common.type === "numbered") {
    if (!(Number(fields.count.value) >= 1)) throw new Error("Please say how many times.");
    return { ...common, numberOfOccurrences: Number(fields.count.value) };
  }
  return common;
}

const kindOf = ({ type }) => (type.endsWith("Monthly") ? "monthly" : type.endsWith("Yearly") ? "yearly" : type);

// Where in the month a pattern lies, as one of the choices that the start's day gives; "kept" for any other.
function placeOf({ type, dayOfMonth, daysOfWeek = [], index, month }) {
  if (type.endsWith("Yearly") && month !== start.getMonth() + 1) return "kept";
  if (type.startsWith("absolute")) return dayOfMonth === start.getDate() ? "day" : "kept";
  const own = daysOfWeek.length === 1 && daysOfWeek[0] === WEEKDAYS[start.getDay()];
  return own && places().includes(index) ? index : "kept";
}

// The positions of the start's day among the same weekdays of its month.
function places() {
  const number = Math.ceil(start.getDate() / 7);
  const last = addDays(start, 7).getMonth() !== start.getMonth();
  return [POSITIONS[number - 1], last ? "last" : ""].filter(Boolean);
}

function fillPlaces(chosen) {
  const weekday = dayName(start, { weekday: "long" });
  const month = fields.repeat.value === "yearly" ? dayName(start, { month: "long" }) : "";
  const choices = [
    ["day", month ? `${start.getDate()} ${month}` : `day ${start.getDate()}`],
    ...places().map((place) => [place, `the ${place} ${weekday}${month && ` of ${month}`}`]),
  ];
  if (chosen === "kept") choices.push(["kept", inWords(before.pattern)]);
  fields.repeatOn.replaceChildren(...choices.map(([value, text]) => new Option(text, value)));
  fields.repeatOn.value = choices.some(([value]) => value === chosen) ? chosen : choices.at(-1)[0];
}

function inWords({ type, dayOfMonth, daysOfWeek = [], index, month }) {
  const when = type.startsWith("absolute") ? `day ${dayOfMonth}` : `the ${index} ${daysOfWeek.join(", ")}`;
  return month ? `${when} of ${dayName(new Date(2000, month - 1), { month: "long" })}` : when;
}

function arrange() {
  const kind = fields.repeat.value;
  for (const field of box.querySelectorAll(".repeating")) field.hidden = !kind;
  part("unit").textContent = UNITS[kind] ?? "";
  part("days").hidden = kind !== "weekly";
  part("on").hidden = kind !== "monthly" && kind !== "yearly";
  part("until").hidden = !kind || fields.ends.value !== "endDate";
  part("count").hidden = !kind || fields.ends.value !== "numbered";
}

function picture() {
  const { repeat, interval, repeatOn, ends, until, count } = fields;
  const days = dayBoxes.filter((day) => day.checked).map((day) => day.value);
  const kind = repeat.value;
  if (!kind) return "";
  const end = { noEnd: "", endDate: until.value, numbered: count.value }[ends.value];
  return JSON.stringify([kind, interval.value, kind === "weekly" ? days : kind === "daily" ? "" : repeatOn.value, ends.value, end]);
}

fields.repeat.addEventListener("change", () => {
  fillPlaces(before && kindOf(before.pattern) === fields.repeat.value ? placeOf(before.pattern) : "day");
  arrange();
});
fields.ends.addEventListener("change", arrange);
