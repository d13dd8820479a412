// Choosing one of many accounts: a field to search in, and the first twenty that match.
import { make } from "./dom.js";

const MOST = 20;
const PAUSE_MS = 120;
let pickers = 0;

export async function findAccounts(search) {
  const query = new URLSearchParams({ search, limit: MOST + 1 });
  const response = await fetch(`/sandbox/v1/accounts?${query}`);
  if (!response.ok) throw new Error("The accounts can’t be read.");
  const found = await response.json();
  return { accounts: found.slice(0, MOST), more: found.length > MOST };
}

// Fills an element of class "picker"; `onChosen(account)` gets the account, or null where `none` may be chosen.
export class Picker {
  #input = make("input", "entry");
  #list = make("ul");
  #onChosen;
  #none;
  #found = [];
  #on = -1;
  #timer;

  constructor(place, onChosen, { none = "" } = {}) {
    const id = `accounts-${++pickers}`;
    [this.#onChosen, this.#none] = [onChosen, none];
    Object.assign(this.#list, { id, hidden: true, role: "listbox" });
    this.#list.setAttribute("aria-label", place.dataset.label);
    for (const [name, value] of Object.entries({
      role: "combobox", "aria-label": place.dataset.label, "aria-expanded": "false", "aria-controls": id,
      "aria-autocomplete": "list", autocomplete: "off", spellcheck: "false", placeholder: none || "Search accounts",
    })) this.#input.setAttribute(name, value);
    this.shown = place.dataset.shown ?? "";
    this.#input.addEventListener("focus", () => (this.#input.select(), this.#search("")));
    this.#input.addEventListener("input", () => this.#search(this.#input.value));
    this.#input.addEventListener("blur", () => this.#close());
    this.#input.addEventListener("keydown", (press) => this.#key(press));
    this.#list.addEventListener("pointerdown", (press) => press.preventDefault());
    this.#list.addEventListener("click", (click) => this.#choose(click.target.closest("[role=option]")));
    place.append(this.#input, this.#list);
  }

  set shown(text) {
    this.#input.value = this.kept = text;
    this.#input.title = text;
  }

  #search(text) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(async () => {
      const { accounts, more } = await findAccounts(text.trim());
      if (document.activeElement === this.#input) this.#show(this.#none && !text ? [null, ...accounts] : accounts, more);
    }, PAUSE_MS);
  }

  #show(found, more) {
    [this.#found, this.#on] = [found, -1];
    const options = found.map((account, number) => {
      const option = make("li");
      Object.assign(option, { id: `${this.#list.id}-${number}`, role: "option" });
      option.append(account?.name ?? this.#none);
      if (account) option.append(make("small", "", account.username));
      return option;
    });
    if (more) options.push(make("li", "more", "There are more: type to find them."));
    if (!options.length) options.push(make("li", "more", "There is no such account."));
    this.#list.replaceChildren(...options);
    this.#list.hidden = false;
    this.#input.setAttribute("aria-expanded", "true");
    if (found.length) this.#mark(0);
  }

  #mark(number) {
    this.#on = number;
    for (const [at, option] of [...this.#list.querySelectorAll("[role=option]")].entries()) {
      option.classList.toggle("on", at === number);
      option.setAttribute("aria-selected", at === number);
      if (at === number) {
        this.#input.setAttribute("aria-activedescendant", option.id);
        option.scrollIntoView({ block: "nearest" });
      }
    }
  }

  #key(press) {
    const steps = { ArrowDown: 1, ArrowUp: -1 };
    if (press.key === "Escape") this.#close();
    if (press.key === "Enter" && !this.#list.hidden) this.#choose(this.#list.querySelector(".on"));
    if (press.key in steps && this.#found.length) this.#mark((this.#on + steps[press.key] + this.#found.length) % this.#found.length);
    if (press.key in steps || press.key === "Enter") press.preventDefault();
  }

  #choose(option) {
    if (!option) return;
    const account = this.#found[[...this.#list.children].indexOf(option)];
    this.shown = account ? `${account.name} · ${account.username}` : "";
    this.#close();
    this.#onChosen(account);
  }

  #close() {
    clearTimeout(this.#timer);
    this.#list.hidden = true;
    this.#input.setAttribute("aria-expanded", "false");
    this.#input.removeAttribute("aria-activedescendant");
    this.#input.value = this.kept;
  }
}
