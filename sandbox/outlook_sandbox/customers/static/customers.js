// The Customers page: keeps the list as the feed has it, and sends what a customer answers.
const LOOK_EVERY_MS = 250;
const ANSWERS = [
  ["confirmed", "I’ll come"],
  ["cancelled", "I can’t"],
  ["pending", "Undo"],
];

const body = document.querySelector("#appointments");
const line = document.querySelector("#line");
const problem = document.querySelector("#problem");
const find = document.querySelector("#find");
const rows = new Map();

let seen = -1;
let offset = 0;
let count = 0;

async function look() {
  try {
    const response = await fetch(`/customers/appointments?seen=${seen}`);
    const told = await response.json();
    offset = Date.now() - Date.parse(told.now);
    tell(told.problem);
    if (told.appointments) draw(told);
    seen = told.version;
  } catch {
    tell("The sandbox does not answer. Trying again…");
  }
  setTimeout(look, LOOK_EVERY_MS);
}

function tell(trouble) {
  line.textContent = trouble ?? "Connected to the broker.";
  line.dataset.state = trouble ? "away" : "live";
}

function draw({ appointments, count: total }) {
  count = total;
  const ids = new Set(appointments.map((item) => item.id));
  for (const [id, row] of rows) {
    if (!ids.has(id)) {
      row.element.remove();
      rows.delete(id);
    }
  }
  let before = body.firstElementChild;
  for (const item of appointments) {
    const row = rows.get(item.id) ?? newRow(item.id);
    fill(row, item);
    if (row.element === before) before = before.nextElementSibling;
    else body.insertBefore(row.element, before);
  }
  filter();
}

function newRow(id) {
  const element = document.createElement("tr");
  const cells = {};
  const labels = { when: "When", subject: "Subject", organization: "Organization", status: "Status", label: "Label in Outlook", changed: "Changed", says: "The customer says" };
  for (const [name, label] of Object.entries(labels)) {
    cells[name] = document.createElement(name === "subject" ? "th" : "td");
    if (name === "subject") cells[name].scope = "row";
    cells[name].dataset.label = label;
    element.append(cells[name]);
  }
  cells.buttons = ANSWERS.map(([status, text]) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = text;
    button.addEventListener("click", () => answer(id, status));
    cells.says.append(button);
    return button;
  });
  const row = { element, cells, item: null };
  rows.set(id, row);
  return row;
}

function fill(row, item) {
  const { cells, element } = row;
  const changed = row.item && row.item.sequence !== item.sequence;
  row.item = item;
  element.dataset.id = item.id;
  element.classList.toggle("called-off", item.called_off);
  cells.when.textContent = when(item);
  cells.subject.textContent = item.private ? "Private" : item.subject || "(No title)";
  cells.organization.textContent = item.organization;
  put(cells.status, item.status, item.status);
  put(cells.label, item.label_failed ? "failed" : item.label, labelText(item));
  cells.buttons.forEach((button, number) => {
    const [status, text] = ANSWERS[number];
    button.disabled = status === "pending" && item.status === "pending";
    button.classList.toggle("given", status === item.status && status !== "pending");
    button.setAttribute("aria-label", `${text}: ${cells.subject.textContent}, ${cells.when.textContent}`);
  });
  if (changed) flash(element);
}

function put(cell, state, text) {
  const mark = document.createElement("span");
  mark.className = `mark ${state}`;
  mark.textContent = text;
  cell.replaceChildren(mark);
}

function labelText(item) {
  if (item.label_failed) return `failed: ${item.label_failed}`;
  if (item.label === "none") return "none";
  const took = (Date.parse(item.written_at) - Date.parse(item.answered_at)) / 1000;
  return took >= 0 && item.label === item.status ? `${item.label}, after ${took.toFixed(2)}\u00a0s` : item.label;
}

function when(item) {
  const day = { weekday: "short", day: "numeric", month: "short" };
  if (item.all_day) return `${format(new Date(`${item.start_date ?? item.start.slice(0, 10)}T00:00:00`), day)}, all day`;
  const time = { hour: "2-digit", minute: "2-digit" };
  return `${format(new Date(item.start), { ...day, ...time })}–${format(new Date(item.end), time)}`;
}

const format = (date, options) => new Intl.DateTimeFormat("en-GB", options).format(date);

function flash(element) {
  element.classList.remove("fresh");
  void element.offsetWidth;
  element.classList.add("fresh");
}

function showAges() {
  const now = Date.now() - offset;
  for (const { cells, item } of rows.values()) {
    cells.changed.textContent = item.changed_at ? age((now - Date.parse(item.changed_at)) / 1000) : "";
  }
}

function age(seconds) {
  if (seconds < 10) return `${Math.max(seconds, 0).toFixed(1)} s ago`;
  if (seconds < 120) return `${Math.floor(seconds)} s ago`;
  if (seconds < 7200) return `${Math.floor(seconds / 60)} min ago`;
  return seconds < 172_800 ? `${Math.floor(seconds / 3600)} h ago` : `${Math.floor(seconds / 86_400)} days ago`;
}

function filter() {
  const wanted = find.value.trim().toLowerCase();
  let shown = 0;
  for (const { element, cells } of rows.values()) {
    element.hidden = !cells.subject.textContent.toLowerCase().includes(wanted);
    if (!element.hidden) shown++;
  }
  const all = count > rows.size ? `the next ${rows.size} of ${count}` : `${count}`;
  document.querySelector("#count").textContent = wanted ? `${shown} of ${all}` : `${all} coming`;
  document.querySelector("#empty").hidden = count > 0;
}

async function answer(id, status) {
  problem.textContent = "";
  try {
    const response = await fetch(`/customers/appointments/${encodeURIComponent(id)}/status`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ status }),
    });
    if (!response.ok) throw new Error((await response.json()).detail);
    flash(rows.get(id).element);
  } catch (trouble) {
    problem.textContent = `The answer was not sent. ${trouble.message}`;
  }
}

find.addEventListener("input", filter);
setInterval(showAges, 100);
look();
