// What the pages do beyond forms and htmx: dialogs that are modal, the CSRF header, a word when refreshing fails.
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
