// Importing an .ics file: by the button, or by dropping the file onto the events.
const dialog = document.querySelector("#import-dialog");
const form = dialog.querySelector("form");
const fields = form.elements;
const result = dialog.querySelector("#import-result");
const error = dialog.querySelector("#import-error");

let store;
let account;
let onLoaded;

// `loaded()` is called after a file has brought events.
export function setUpImport(place, theStore, theAccount, loaded) {
  [store, account, onLoaded] = [theStore, theAccount, loaded];
  place.addEventListener("dragover", (drag) => {
    if (![...drag.dataTransfer.items].some((item) => item.kind === "file")) return;
    drag.preventDefault();
    place.classList.add("dropping");
  });
  place.addEventListener("dragleave", (drag) => place.contains(drag.relatedTarget) || place.classList.remove("dropping"));
  place.addEventListener("drop", (drop) => {
    place.classList.remove("dropping");
    if (!drop.dataTransfer.files.length) return;
    drop.preventDefault();
    openImport(drop.dataTransfer.files);
  });
  fields.file.addEventListener("change", arrange);
  form.querySelector("[value=cancel]").addEventListener("click", () => dialog.close());
  form.addEventListener("submit", async (submit) => {
    submit.preventDefault();
    await load();
  });
}

export function openImport(files) {
  form.reset();
  if (files) fields.file.files = files;
  const visible = store.writable.find((calendar) => !store.isHidden(calendar));
  fields.calendar.replaceChildren(
    ...store.writable.map((calendar) => new Option(calendar.name, calendar.id, false, calendar === visible)),
  );
  arrange();
  dialog.showModal();
}

function arrange() {
  [result.textContent, error.textContent] = ["", ""];
  form.querySelector("[value=import]").disabled = !fields.file.files.length || !fields.calendar.value;
}

async function load() {
  const [file] = fields.file.files;
  const { value: id, selectedOptions } = fields.calendar;
  const button = form.querySelector("[value=import]");
  arrange();
  button.disabled = true;
  result.textContent = "Loading…";
  try {
    const { loaded } = await send(file, id);
    result.textContent = `“${file.name}” is loaded: ${counted(loaded)} now in ${selectedOptions[0].text}.`;
    fields.file.value = "";
    onLoaded();
  } catch (problem) {
    result.textContent = "";
    error.textContent = `Nothing was loaded. ${problem.message}`;
    button.disabled = false;
  }
}

async function send(file, calendar) {
  const path = `/sandbox/v1/accounts/${encodeURIComponent(account)}/calendars/${encodeURIComponent(calendar)}/ics`;
  const response = await fetch(path, { method: "POST", headers: { "Content-Type": "text/calendar" }, body: file });
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.detail);
  return answer;
}

const counted = (number) => (number === 1 ? "one event or series is" : `${number} events and series are`);
