// The first page's accounts: the first ones, or those that are looked for.
import { make } from "./dom.js";
import { findAccounts } from "./picker.js";

const PAUSE_MS = 120;
const search = document.querySelector("#search");
const list = document.querySelector("#accounts");
const note = document.querySelector("#more");
let typing;

async function show() {
  try {
    const { accounts, more } = await findAccounts(search.value.trim());
    list.replaceChildren(...accounts.map(row));
    note.textContent = more ? "There are more: type to find them." : accounts.length ? "" : "There is no such account.";
  } catch (problem) {
    note.textContent = problem.message;
  }
}

function row({ name, username }) {
  const item = make("li");
  const link = make("a");
  link.href = `/outlook?account=${encodeURIComponent(username)}`;
  link.append(make("b", "", name), make("small", "", username));
  item.append(link);
  return item;
}

search.addEventListener("input", () => {
  clearTimeout(typing);
  typing = setTimeout(show, PAUSE_MS);
});
show();
