// The journal: the requests that came, newest first, looked for by account, method, path and status.
import { ask, attempt, nameOf } from "./control.js";
import { make } from "./dom.js";
import { Picker } from "./picker.js";

const MOST = 300;
const form = document.querySelector("#journal-filter");
const rows = document.querySelector("#journal-rows");
const none = document.querySelector("#journal-none");
const error = document.querySelector("#journal-error");
const TIME = new Intl.DateTimeFormat("en-GB", { dateStyle: "short", timeStyle: "medium" });
let account = "";
let last = 0;
let turn = 0;

new Picker(document.querySelector("#journal-account"), (chosen) => ((account = chosen?.id ?? ""), again()), { none: "any" });

// Takes in what came since; everything anew with `again`.
export async function readJournal() {
  const mine = turn;
  if (last && !form.elements.live.checked) return;
  const query = new URLSearchParams({ since: last, limit: MOST, newest: true });
  for (const [name, value] of Object.entries(filters())) if (value) query.set(name, value);
  try {
    const found = await ask("GET", `/journal?${query}`);
    if (mine !== turn) return;
    error.textContent = "";
    last = Math.max(found.last, 1);
    rows.prepend(...(await Promise.all(found.entries.reverse().map(entryRows))).flat());
    while (rows.rows.length > 2 * MOST) rows.lastChild.remove();
    none.hidden = rows.rows.length > 0;
  } catch (problem) {
    error.textContent = problem.message;
  }
}

function filters() {
  const { method, path, status } = form.elements;
  return { account, method: method.value, contains: path.value.trim(), status: status.validity.valid ? status.value : "" };
}

function again() {
  turn++;
  last = 0;
  rows.replaceChildren();
  readJournal();
}

async function entryRows(entry) {
  const row = make("tr");
  const detail = make("tr", "detail");
  detail.hidden = true;
  const time = make("time", "", TIME.format(new Date(entry.at)));
  time.dateTime = entry.at;
  const request = make("button", "request");
  request.type = "button";
  request.setAttribute("aria-expanded", "false");
  request.append(make("b", "", entry.method), make("span", "", short(entry.path)));
  request.addEventListener("click", () => {
    detail.hidden = !detail.hidden;
    request.setAttribute("aria-expanded", !detail.hidden);
    if (!detail.childElementCount) detail.append(details(entry));
  });
  const status = make("span", `status ${entry.status < 400 ? "good" : "bad"}`, String(entry.status));
  const account = entry.account ? await nameOf(entry.account) : "";
  row.append(...[time, request, status].map(cell), make("td", "number", String(Math.round(entry.took_ms))), cell(account));
  return [row, detail];
}

function details(entry) {
  const cellOfAll = make("td");
  cellOfAll.colSpan = 5;
  const list = make("dl", "facts");
  const facts = { Number: entry.number, Path: entry.path, Query: entry.query, App: entry.app, ...entry.headers };
  if (entry.batch) facts["In a batch"] = "yes";
  for (const [name, value] of Object.entries(facts)) {
    if (value === undefined || value === "" || value === null) continue;
    const pair = make("div");
    pair.append(make("dt", "", name), make("dd", "", String(value)));
    list.append(pair);
  }
  cellOfAll.append(list);
  if (entry.body) cellOfAll.append(make("pre", "", indented(entry.body)));
  return cellOfAll;
}

function indented(body) {
  try {
    return JSON.stringify(JSON.parse(body), null, 2);
  } catch {
    return body;
  }
}

// Ids are long and say little: their beginning and end do.
const short = (path) => path.replace(/[\w%-]{40,}/g, (id) => `${id.slice(0, 8)}…${id.slice(-6)}`).replaceAll("%24", "$");

function cell(content) {
  const made = make("td");
  made.append(content);
  return made;
}

let typing;
form.addEventListener("input", () => {
  clearTimeout(typing);
  typing = setTimeout(again, 200);
});
form.addEventListener("submit", (submit) => submit.preventDefault());
document.querySelector("#journal-clear").addEventListener("click", () => attempt(async () => (await ask("DELETE", "/journal"), again())));
