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
export const atMinute = (day, minutes) => new Date(day.getFullYear(), day.getMonth(), day.getDate(), 0, minutes);
export const minuteOf = (date) => date.getHours() * 60 + date.getMinutes();
export const sameDay = (one, other) => isoDate(one) === isoDate(other);
export const startOfWeek = (date) => addDays(midnight(date), -((date.getDay() + 6) % 7));
export const daysBetween = (one, other) => Math.round((midnight(other) - midnight(one)) / 86_400_000);

export function weekName(monday) {
  const sunday = addDays(monday, 6);
  const long = { day: "numeric", month: "long", year: "numeric" };
  return new Intl.DateTimeFormat("en-GB", long).formatRange(monday, sunday);
}

export const dayName = (date, options) => new Intl.DateTimeFormat("en-GB", options).format(date);
