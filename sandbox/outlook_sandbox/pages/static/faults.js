// The faults: those that are on, and switching another one on.
import { ask, attempt, nameOf } from "./control.js";
import { button, make } from "./dom.js";
import { fieldsOf, valueOf } from "./schema-form.js";
import { say } from "./toast.js";

const COMMON = ["account", "app", "method", "path", "probability", "times", "seed"];
const GROUPS = [
  ["Graph’s answers", /^(graph|batch|deleted|category)/],
  ["Change tracking", /^delta/],
  ["Subscriptions and notifications", /^(subscription|delivery|lifecycle)/],
  ["Signing in", /^(token|authorize)/],
  ["Others", /./],
];
const form = document.querySelector("#fault-form");
const named = (id) => document.querySelector(`#fault-${id}`);
let fields = [];
let chosen;
let drawn = "";

export async function openFaults() {
  if (!named("kinds").childElementCount) await attempt(drawKinds);
  await drawOn();
}

// Those that are on

export async function drawOn() {
  const on = await attempt(() => ask("GET", "/faults"));
  if (!on || JSON.stringify(on) === drawn) return;
  drawn = JSON.stringify(on);
  const rows = await Promise.all(on.map(row));
  document.querySelector("#faults-on").replaceChildren(...rows);
  document.querySelector("#faults-none").hidden = on.length > 0;
  document.querySelector("#faults-off").hidden = !on.length;
}

async function row({ id, struck, fault }) {
  const { kind, ...settings } = fault;
  const item = make("li");
  const words = make("div", "words");
  const said = Object.entries(settings).filter(([name, value]) => value !== null && !isUsual(name, value));
  const texts = await Promise.all(said.map(async ([name, value]) => `${name.replaceAll("_", " ")} ${name === "account" ? await nameOf(value) : value}`));
  words.append(make("b", "", titleOf(kind)), make("small", "note", texts.join(" · ") || "every request of its kind"));
  const count = make("span", struck ? "count struck" : "count", struck === 1 ? "struck once" : `struck ${struck} times`);
  item.append(words, count, button("Switch off", () => switchOff(`/${id}`, `${titleOf(kind)} is off.`)));
  return item;
}

const isUsual = (name, value) => (name === "probability" && value === 1) || (name === "seed" && value === 0) || value === false;

async function switchOff(path, text) {
  await attempt(async () => {
    await ask("DELETE", `/faults${path}`);
    say(text);
  });
  await drawOn();
}

document.querySelector("#faults-off").addEventListener("click", () => switchOff("", "All faults are off."));

// Another one

async function drawKinds() {
  const kinds = await ask("GET", "/faults/kinds");
  const left = new Set(kinds);
  for (const [name, pattern] of GROUPS) {
    const here = [...left].filter(({ kind }) => pattern.test(kind));
    if (!here.length) continue;
    const group = make("div", "group");
    group.setAttribute("role", "group");
    group.setAttribute("aria-label", name);
    group.append(make("h2", "", name), ...here.map(choice));
    named("kinds").append(group);
    for (const kind of here) left.delete(kind);
  }
}

function choice(kind) {
  const label = make("label", "kind");
  const box = make("input");
  Object.assign(box, { type: "radio", name: "kind", value: kind.kind });
  box.addEventListener("change", () => show(kind));
  const words = make("span", "words");
  const note = make("small", "note", plain(kind.description));
  note.id = `kind-${kind.kind}`;
  box.setAttribute("aria-label", titleOf(kind.kind));
  box.setAttribute("aria-describedby", note.id);
  words.append(make("b", "", titleOf(kind.kind)), note);
  label.append(box, words);
  return label;
}

function show({ kind, description, schema }) {
  chosen = kind;
  named("settings").hidden = false;
  named("name").textContent = titleOf(kind);
  named("words").textContent = plain(description);
  named("error").textContent = "";
  const names = Object.keys(schema.properties).filter((name) => name !== "kind");
  const own = names.filter((name) => !COMMON.includes(name));
  fields = [
    ...fieldsOf(schema, own, named("fields")),
    ...fieldsOf(schema, COMMON.filter((name) => names.includes(name)), named("common")),
  ];
  if (named("settings").getBoundingClientRect().top > innerHeight) named("settings").scrollIntoView();
}

const titleOf = (kind) => kind.charAt(0).toUpperCase() + kind.slice(1).replaceAll("-", " ");
const plain = (text) => text.replace(/\s+/g, " ").replaceAll("`", "").trim();

form.addEventListener("submit", async (submit) => {
  submit.preventDefault();
  named("error").textContent = "";
  try {
    await ask("POST", "/faults", { kind: chosen, ...valueOf(fields) });
    say(`${titleOf(chosen)} is on.`);
    await drawOn();
  } catch (problem) {
    named("error").textContent = problem.message;
  }
});
