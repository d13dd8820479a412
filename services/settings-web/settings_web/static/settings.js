// What the pages do beyond forms and htmx: dialogs that are modal, the CSRF header, a word when refreshing fails,
// times in the reader’s own zone, and buttons that copy.
let opener = null;

function show(dialog) {
  dialog.removeAttribute("open"); // close() would tell the listener below, later
  dialog.showModal();
  dialog.addEventListener("close", () => {
    if (dialog.dataset.page) location.href = dialog.dataset.page;
    dialog.remove();
    document.getElementById(opener)?.focus();
  });
}

document.querySelectorAll("#dialog > dialog").forEach((dialog) => {
  const away = dialog.querySelector("[data-close]");
  dialog.dataset.page = away ? away.form.action : "/settings/providers";
  show(dialog);
});

document.body.addEventListener("htmx:configRequest", ({ detail }) => {
  detail.headers["X-CSRF-Token"] = document.querySelector("meta[name=csrf]").content;
});

document.body.addEventListener("htmx:beforeRequest", ({ detail }) => {
  if (detail.target.id === "dialog") opener = detail.elt.querySelector("button")?.id ?? null;
});

document.body.addEventListener("htmx:afterSwap", ({ detail }) => {
  if (detail.target.id === "dialog") detail.target.querySelectorAll("dialog").forEach(show);
});

document.body.addEventListener("click", (event) => {
  const away = event.target.closest("[data-close]");
  if (!away) return;
  event.preventDefault();
  away.closest("dialog").close();
});

const offline = (is) => { document.getElementById("offline").hidden = !is; };
document.body.addEventListener("htmx:sendError", () => offline(true));
document.body.addEventListener("htmx:responseError", () => offline(true));
document.body.addEventListener("htmx:beforeOnLoad", ({ detail }) => offline(detail.xhr.status >= 400));

const ZONED = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "long", year: "numeric", hour: "2-digit", minute: "2-digit", timeZoneName: "short" });

function dress(part) {
  part.querySelectorAll("time").forEach((time) => {
    const here = ZONED.format(new Date(time.dateTime));
    if ("exact" in time.dataset) time.textContent = here;
    else time.title = here;
  });
  part.querySelectorAll("[data-copy]").forEach((button) => { button.hidden = false; });
}
document.body.addEventListener("htmx:load", ({ detail }) => dress(detail.elt));

document.body.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const field = document.getElementById(button.dataset.copy);
  const copied = await navigator.clipboard?.writeText(field.value).then(() => true, () => false);
  if (!copied) field.select();
  document.getElementById(`${field.id}-done`).textContent = copied ? "Copied." : "Press Ctrl+C to copy.";
});
