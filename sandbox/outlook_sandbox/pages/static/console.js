// Behind the scenes: shows one section at a time, named by the address, and keeps it up to date while it is looked at.
import { openAccounts, readAccounts } from "./accounts.js";
import { choose } from "./choose.js";
import { readClock } from "./clock.js";
import { ask, attempt } from "./control.js";
import { drawOn, openFaults } from "./faults.js";
import { readJournal } from "./journal.js";
import { readSubscriptions } from "./subscriptions.js";
import { say } from "./toast.js";

const EVERY_MS = 1000;
const nothing = () => undefined;
const SECTIONS = {
  faults: { open: openFaults, read: drawOn },
  clock: { open: readClock, read: nothing },
  journal: { open: readJournal, read: readJournal },
  subscriptions: { open: readSubscriptions, read: readSubscriptions },
  accounts: { open: openAccounts, read: readAccounts },
  reset: { open: nothing, read: nothing },
};

const current = () => (location.hash.slice(1) in SECTIONS ? location.hash.slice(1) : "faults");

function show() {
  const name = current();
  for (const section of document.querySelectorAll("main > section")) section.hidden = section.dataset.name !== name;
  for (const link of document.querySelectorAll("nav a")) {
    if (link.hash === `#${name}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  scrollTo(0, 0);
  SECTIONS[name].open();
}

async function keepUp() {
  if (!document.hidden) await SECTIONS[current()].read();
  setTimeout(keepUp, EVERY_MS);
}

document.querySelector("#reset-button").addEventListener("click", async () => {
  const sure = await choose("Reset the sandbox?", "Everything in it is lost.", [["yes", "Reset", "danger"]]);
  if (!sure) return;
  await attempt(async () => {
    await ask("POST", "/reset");
    await readClock();
    say("The sandbox has begun again.");
  });
});
window.addEventListener("hashchange", show);
readClock();
show();
setTimeout(keepUp, EVERY_MS);
