// The 25 category presets and the colours of calendars that have none of their own.
const PRESETS = [
  "#d83b3b", "#e8762c", "#9b6a3c", "#e6b800", "#2f9e44", "#1aa39a", "#7f8c2d", "#2f74d0", "#7d4cc2", "#b5275e",
  "#7c8ba1", "#4a5a70", "#8f8f8f", "#5c5c5c", "#2b2b2b", "#8f1f1f", "#a4500f", "#5e3f22", "#93760b", "#1c6430",
  "#0f6a64", "#525c1a", "#1d4785", "#4c2c80", "#751a3e",
];
const CALENDARS = ["#2f74d0", "#1aa39a", "#b5652c", "#7d4cc2", "#5f8a2c", "#b5275e"];

const NO_COLOR = "#8a8f98";

export function categoryColor(name, categories) {
  const known = categories.find((category) => category.displayName === name);
  return PRESETS[Number(known?.color.replace("preset", ""))] ?? NO_COLOR;
}

export const calendarColor = (calendar, position) => calendar.hexColor || CALENDARS[position % CALENDARS.length];

export function dot(color) {
  const mark = document.createElement("span");
  mark.className = "dot";
  mark.style.background = color;
  return mark;
}
