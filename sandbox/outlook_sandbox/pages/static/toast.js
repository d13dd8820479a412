// The page's one message at a time, and what is only said to those who listen.
import { button, make } from "./dom.js";

const toast = document.querySelector("#toast");
const live = document.querySelector("#live");
const STAYS_MS = 4000;
let timer;
let shown = 0;

// Gives a number to `hush` this message with. What `stays` or is a problem is there until then, or until it is closed.
export function say(text, { problem = false, stays = problem, again } = {}) {
  toast.setAttribute("aria-live", problem ? "assertive" : "polite");
  toast.classList.toggle("problem", problem);
  toast.replaceChildren(make("span", "", text));
  if (again) toast.append(button("Try again", () => (hush(), again()), ""));
  if (problem) toast.append(button("Close", () => hush(), "close"));
  toast.classList.add("seen");
  clearTimeout(timer);
  if (!stays) timer = setTimeout(() => hush(), STAYS_MS);
  return ++shown;
}

// Takes the message away, if it is still that one.
export function hush(number = shown) {
  if (number !== shown) return;
  clearTimeout(timer);
  toast.classList.remove("seen", "problem");
  toast.replaceChildren();
}

export function announce(text) {
  live.textContent = text;
}
