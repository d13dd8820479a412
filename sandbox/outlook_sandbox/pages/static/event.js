// One event as a button, in the week and in the list, and as it is said to those who listen.
import { categoryColor, dot } from "./colors.js";
import { longDay, timeRange } from "./dates.js";
import { make } from "./dom.js";

export const titleOf = (event) => event.subject || "(No title)";

export function eventButton(event, color, categories) {
  const button = make("button", "event");
  button.type = "button";
  button.dataset.id = event.id;
  button.style.setProperty("--tint", color);
  button.classList.toggle("called-off", event.calledOff);
  button.classList.add(`as-${event.showAs}`);
  button.classList.toggle("fixed", !event.editable);
  button.setAttribute("aria-label", describe(event));
  button.title = describe(event);
  const line = make("span", "line");
  const dots = make("span", "dots");
  for (const name of event.categories) dots.append(dot(categoryColor(name, categories)));
  line.append(dots, make("b", "", titleOf(event)), ...marks(event));
  button.append(line);
  if (event.categories.length) button.append(make("span", "names", event.categories.join(", ")));
  const place = event.location ? ` · ${event.location}` : "";
  button.append(make("span", "when", `${timeRange(event)}${place}`));
  return button;
}

function marks(event) {
  const found = [];
  if (event.isPrivate) found.push(["private", "⚿"]);
  if (event.inSeries) found.push(["series", event.changed ? "↻*" : "↻"]);
  return found.map(([name, sign]) => make("span", `mark ${name}`, sign));
}

function describe(event) {
  const parts = [titleOf(event), timeRange(event)];
  if (event.categories.length) parts.push(`categories ${event.categories.join(", ")}`);
  if (event.isPrivate) parts.push("private");
  if (event.inSeries) parts.push(event.changed ? "changed in its series" : "repeats");
  if (event.calledOff) parts.push("called off");
  if (!event.editable) parts.push("read-only");
  return parts.join(", ");
}

export const whenOf = (event) => `${longDay(event.start)}, ${timeRange(event)}`;
