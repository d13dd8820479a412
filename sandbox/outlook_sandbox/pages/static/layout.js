// Where events lie: side by side where they overlap, and in rows above the hours when they last days.
import { DAY, addDays, daysBetween, minuteOf, sameDay } from "./dates.js";

const SHORTEST = 20;

const inTopRow = (event) => event.allDay || event.end - event.start >= DAY * 60_000;

// The parts of events that lie on a day, each with its minutes and its lane among those it overlaps.
export function partsOfDay(events, day) {
  const next = addDays(day, 1);
  const parts = events
    .filter((event) => !inTopRow(event) && event.start < next && (event.end > day || sameDay(event.start, day)))
    .map((event) => ({
      event,
      from: event.start < day ? 0 : minuteOf(event.start),
      to: event.end >= next ? DAY : minuteOf(event.end),
    }))
    .sort((one, other) => one.from - other.from || other.to - one.to);
  for (const group of overlapping(parts)) giveLanes(group);
  return parts;
}

// Long events with the columns they cover and a row in which they are free.
export function topRows(events, monday) {
  const long = events.filter(inTopRow).map((event) => {
    const first = Math.max(0, daysBetween(monday, event.start));
    const endsAtMidnight = minuteOf(event.end) === 0;
    const last = Math.min(6, daysBetween(monday, event.end) - (endsAtMidnight ? 1 : 0));
    return { event, first, last };
  });
  const rows = [];
  for (const item of long.sort((one, other) => one.first - other.first || other.last - one.last)) {
    item.row = rows.findIndex((lastTaken) => lastTaken < item.first);
    if (item.row < 0) item.row = rows.length;
    rows[item.row] = item.last;
  }
  return long.filter((item) => item.last >= item.first);
}

function overlapping(parts) {
  const groups = [];
  let end = -1;
  for (const part of parts) {
    if (part.from >= end) groups.push([]);
    groups.at(-1).push(part);
    end = Math.max(part.from >= end ? 0 : end, part.to, part.from + SHORTEST);
  }
  return groups;
}

function giveLanes(group) {
  const lanes = [];
  for (const part of group) {
    part.lane = lanes.findIndex((end) => end <= part.from);
    if (part.lane < 0) part.lane = lanes.length;
    lanes[part.lane] = Math.max(part.to, part.from + SHORTEST);
  }
  for (const part of group) part.lanes = lanes.length;
}
