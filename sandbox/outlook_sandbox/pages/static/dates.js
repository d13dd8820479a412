// Days, weeks and times on the wall, in the browser's own zone.
export const ZONE = Intl.DateTimeFormat().resolvedOptions().timeZone;
export const DAY = 24 * 60;

const two = (number) => String(number).padStart(2, "0");

export const isoDate = (date) => `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
export const clock = (date) => `${two(date.getHours())}:${two(date.getMinutes())}`;
export const wall = (date) => `${isoDate(date)}T${clock(date)}:00`;
export const fromWall = (text) => new Date(text.slice(0, 19));
export const midnight = (date) => new Date(date.getFullYear(), date.getMonth(), date.getDate());
export const addDays = (date, days) =>
  new Date(date.getFullYear(), date.getMonth(), date.getDate() + days, date.getHours(), date.getMinutes());
export const addMinutes = (date, minutes) => new Date(date.valueOf() + minutes * 60_000);
export const atMinute = (day, minutes) => new Date(day.getFullYear(), day.getMonth(), day.getDate(), 0, minutes);
export const minuteOf = (date) => date.getHours() * 60 + date.getMinutes();
export const sameDay = (one, other) => isoDate(one) === isoDate(other);
export const startOfWeek = (date) => addDays(midnight(date), -((date.getDay() + 6) % 7));
export const daysBetween = (one, other) => Math.round((midnight(other) - midnight(one)) / 86_400_000);

export const dayName = (date, options) => new Intl.DateTimeFormat("en-GB", options).format(date);
export const longDay = (date) => dayName(date, { weekday: "long", day: "numeric", month: "long" });

export function rangeName(first, last) {
  const long = { day: "numeric", month: "long", year: "numeric" };
  return new Intl.DateTimeFormat("en-GB", long).formatRange(first, last);
}

// Such as "GMT+1": how far the browser's clock is from UTC on a day.
export function offsetName(date) {
  const parts = new Intl.DateTimeFormat("en-GB", { timeZoneName: "shortOffset" }).formatToParts(date);
  const { value } = parts.find((part) => part.type === "timeZoneName");
  return value === "GMT" ? "UTC" : value;
}

// The last day on which an event is seen: one that ends at midnight is not on the day that begins then.
export const lastDay = (event) => midnight(event.end > event.start ? new Date(event.end - 1) : event.end);

export function timeRange(event) {
  if (event.allDay) return sameDay(event.start, lastDay(event)) ? "all day" : `all day until ${dayName(lastDay(event), SHORT_DAY)}`;
  if (sameDay(event.start, lastDay(event))) return `${clock(event.start)}–${clock(event.end)}`;
  return `${clock(event.start)}–${dayName(event.end, SHORT_DAY)} ${clock(event.end)}`;
}
const SHORT_DAY = { weekday: "short", day: "numeric", month: "short" };
