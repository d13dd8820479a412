// The accounts: found by name, opened, and what an administrator or Microsoft may do to one.
import { choose } from "./choose.js";
import { ask, attempt } from "./control.js";
import { button, make } from "./dom.js";
import { findAccounts } from "./picker.js";
import { say } from "./toast.js";

const REASONS = [
  ["password-reset", "An administrator resets the password"],
  ["admin", "An administrator signs the account out everywhere"],
  ["user", "The person signs out everywhere"],
  ["password-change", "The person changes the password"],
  ["disabled", "The account is disabled"],
];
const POLICIES = [
  ["allowed", "People may consent to apps themselves"],
  ["forbidden", "Only an administrator may consent"],
  ["by-request", "People may ask an administrator to consent"],
];
const part = (id) => document.querySelector(`#${id}`);
const search = part("accounts-search");
const creating = part("account-new");
let chosen;

export const readAccounts = () => undefined;

export async function openAccounts() {
  await attempt(async () => {
    const { accounts, more } = await findAccounts(search.value.trim());
    part("accounts-found").replaceChildren(...accounts.map(row));
    part("accounts-more").hidden = !more;
  });
  await draw();
}

function row(account) {
  const item = make("li");
  const open = button("", () => show(account.id), "found");
  open.setAttribute("aria-pressed", account.id === chosen);
  open.append(make("b", "", account.name), make("small", "note", account.username));
  item.append(open);
  if (account.kind === "personal") item.append(make("span", "note", "personal"));
  if (account.admin) item.append(make("span", "note", "admin"));
  if (account.disabled) item.append(make("span", "state drop", "disabled"));
  return item;
}

async function show(id) {
  chosen = id;
  await openAccounts();
  part("account").querySelector("h2")?.focus();
}

// One account

async function draw() {
  part("account").hidden = !chosen;
  if (!chosen) return;
  await attempt(async () => {
    const path = `/accounts/${encodeURIComponent(chosen)}`;
    const [account, consents, tenants] = await Promise.all([ask("GET", path), ask("GET", `${path}/consents`), ask("GET", "/tenants")]);
    const tenant = tenants.find(({ id }) => id === account.tid);
    part("account").replaceChildren(
      head(account),
      grants(path, consents),
      ending(path, account),
      ...(tenant ? [policy(tenant)] : []),
      removal(path, account),
    );
  });
}

function head(account) {
  const box = make("div");
  const title = make("h2", "", account.name);
  title.tabIndex = -1;
  const facts = make("dl", "facts");
  const calendars = account.calendars.map(({ name, events }) => `${name} (${events})`).join(", ");
  for (const [name, value] of Object.entries({ "User name": account.username, Id: account.id, Tenant: account.tid, Calendars: calendars })) {
    const pair = make("div");
    pair.append(make("dt", "", name), make("dd", "", value));
    facts.append(pair);
  }
  const link = make("a", "button", "Open the calendar");
  link.href = `/outlook?account=${encodeURIComponent(account.username)}`;
  box.append(title, facts, link);
  return box;
}

function grants(path, consents) {
  const rows = make("ul", "rows");
  for (const { app, name, scopes } of consents) {
    const item = make("li");
    const words = make("div", "words");
    words.append(make("b", "", name), make("small", "note", scopes.join(" ")));
    const withdraw = () => act(() => ask("DELETE", `${path}/consents/${encodeURIComponent(app)}`), `${name} may do nothing any more.`);
    item.append(words, button("Withdraw", withdraw));
    rows.append(item);
  }
  return section("Consents", consents.length ? rows : make("p", "note", "The account has allowed no app anything."));
}

function ending(path, account) {
  const reason = select("What happens", REASONS, "password-reset");
  const box = make("label", "check");
  const atOnce = make("input");
  atOnce.type = "checkbox";
  box.append(atOnce, "Access tokens end at once too");
  const buttons = make("div", "buttons");
  buttons.append(
    button("End the grants", () =>
      act(() => ask("POST", `${path}/revoke`, { reason: reason.value, at_once: atOnce.checked }), "The account’s grants have ended."),
    ""),
    button("Challenge its tokens (CAE)", () =>
      act(() => ask("POST", `${path}/challenge`), "Graph challenges the tokens of clients that declared cp1."),
    ""),
  );
  if (account.disabled) buttons.append(button("Enable it again", () => act(() => ask("PATCH", path, { disabled: false }), "It is enabled."), ""));
  return section("Signing in", reason.parentElement, box, buttons);
}

function policy({ id, domain, user_consent: current }) {
  const chosenPolicy = select(`Consent in ${domain}`, POLICIES, current);
  chosenPolicy.addEventListener("change", () =>
    act(() => ask("PUT", `/tenants/${id}`, { user_consent: chosenPolicy.value }), `The policy of ${domain} has changed.`),
  );
  return section("Tenant", chosenPolicy.parentElement);
}

function removal(path, account) {
  const buttons = make("div", "buttons");
  const remove = async () => {
    const sure = await choose(`Delete ${account.name}?`, "Its calendars, tokens and subscriptions are lost.", [["yes", "Delete", "danger"]]);
    if (!sure) return;
    chosen = undefined;
    await act(() => ask("DELETE", path), `${account.name} is gone.`);
  };
  buttons.append(button("Delete the account…", remove, "danger"));
  return section("", buttons);
}

async function act(work, text) {
  await attempt(async () => {
    await work();
    say(text);
  });
  await openAccounts();
}

function section(title, ...contents) {
  const box = make("section");
  if (title) box.append(make("h2", "", title));
  box.append(...contents);
  return box;
}

function select(label, choices, value) {
  const field = make("label", "field", label);
  const list = make("select");
  list.append(...choices.map(([name, text]) => new Option(text, name)));
  list.value = value;
  field.append(list);
  return list;
}

// Another one

creating.addEventListener("submit", async (submit) => {
  submit.preventDefault();
  const { username, name, kind, events } = creating.elements;
  part("account-new-error").textContent = "";
  try {
    const wanted = { username: username.value.trim(), name: name.value.trim(), kind: kind.value, events: Number(events.value) };
    const made = await ask("POST", "/accounts", wanted);
    creating.reset();
    say(`${made.name} is there.`);
    await show(made.id);
  } catch (problem) {
    part("account-new-error").textContent = problem.message;
  }
});

let typing;
search.addEventListener("input", () => {
  clearTimeout(typing);
  typing = setTimeout(openAccounts, 120);
});
