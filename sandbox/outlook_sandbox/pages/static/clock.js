// The sandbox's clock: what it says, and moving it.
import { ask, attempt } from "./control.js";
import { announce, say } from "./toast.js";

const shown = document.querySelector("#clock-now");
const ahead = document.querySelector("#clock-ahead");
const small = document.querySelector("#time");
const LONG = new Intl.DateTimeFormat("en-GB", { dateStyle: "full", timeStyle: "medium" });
const SHORT = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });
let offset = 0;

export async function readClock() {
  const answer = await attempt(() => ask("GET", "/clock"));
  if (answer) take(answer);
}

function take({ now }) {
  offset = new Date(now) - Date.now();
  tick();
}

function tick() {
  const now = new Date(Date.now() + offset);
  shown.textContent = LONG.format(now);
  shown.dateTime = now.toISOString();
  ahead.textContent = isAhead() ? `${inWords(offset)} ahead of real time` : "real time";
  small.textContent = `${SHORT.format(now)}${isAhead() ? ` · ${inWords(offset)} ahead` : ""}`;
  small.classList.toggle("ahead", isAhead());
  document.querySelector("#clock-back").disabled = !isAhead();
}

const isAhead = () => offset > 30_000;

function inWords(milliseconds) {
  const hours = Math.round(milliseconds / 3_600_000);
  const days = Math.floor(hours / 24);
  const parts = [days && `${days} ${days === 1 ? "day" : "days"}`, hours % 24 && `${hours % 24} h`].filter(Boolean);
  return parts.join(" ") || `${Math.round(milliseconds / 60_000)} min`;
}

async function move(work, text) {
  await attempt(async () => {
    take(await work());
    say(text);
    announce(shown.textContent);
  });
}

document.querySelector("#clock-buttons").addEventListener("click", (click) => {
  const { seconds } = click.target.closest("button")?.dataset ?? {};
  if (seconds) move(() => ask("POST", "/clock/advance", { seconds: Number(seconds) }), "The clock has moved.");
});
document.querySelector("#clock-back").addEventListener("click", () => move(() => ask("POST", "/clock/reset"), "It is real time again."));
setInterval(tick, 1000);
