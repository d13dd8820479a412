// What the page knows: where it is (kept in the address), what Graph said, and moves that Graph has not answered yet.
import { addDays, isoDate, midnight, startOfWeek } from "./dates.js";

const LIST_DAYS = 28;
const WINDOWS_KEPT = 20;

export class Store {
  calendars = [];
  categories = [];
  loaded = false;
  #graph;
  #account;
  #windows = new Map();
  #moving = new Map();
  #hidden;

  constructor(graph, account) {
    this.#graph = graph;
    this.#account = account;
    this.#hidden = new Set(JSON.parse(localStorage.getItem(this.#hiddenKey) ?? "[]"));
    this.readAddress();
  }

  // Where the page is

  readAddress() {
    const query = new URLSearchParams(location.search);
    const day = new Date(`${query.get("day")}T00:00:00`);
    this.view = query.get("view") === "list" ? "list" : "week";
    this.day = Number.isNaN(day.valueOf()) ? midnight(new Date()) : day;
    this.search = query.get("search") ?? "";
  }

  // `kept` says whether the way back leads here.
  go({ view = this.view, day = this.day, search = this.search }, kept = true) {
    Object.assign(this, { view, day: midnight(day), search });
    const query = new URLSearchParams(location.search);
    query.set("view", view);
    query.set("day", isoDate(day));
    search ? query.set("search", search) : query.delete("search");
    history[kept ? "pushState" : "replaceState"](null, "", `?${query}`);
  }

  get start() {
    return this.view === "week" ? startOfWeek(this.day) : this.day;
  }

  get days() {
    return this.view === "week" ? 7 : LIST_DAYS;
  }

  get end() {
    return addDays(this.start, this.days);
  }

  // What is in it

  async load(signal) {
    const { start, end, days } = this;
    const [calendars, categories] = await Promise.all([this.#graph.calendars(signal), this.#graph.categories(signal)]);
    const shown = calendars.filter((calendar) => !this.#hidden.has(calendar.id));
    const found = await Promise.all(shown.map((calendar) => this.#graph.events(calendar, start, end, signal)));
    Object.assign(this, { calendars, categories, loaded: true });
    this.#keep(`${isoDate(start)} ${days}`, found.flat());
  }

  // The events of what is shown, as last seen; undefined if it never was.
  get events() {
    const known = this.#windows.get(`${isoDate(this.start)} ${this.days}`);
    return known
      ?.filter((event) => !this.#hidden.has(event.calendar))
      .map((event) => (this.#moving.has(event.id) ? { ...event, ...this.#moving.get(event.id) } : event));
  }

  find = (id) => this.events?.find((event) => event.id === id);
  calendar = (id) => this.calendars.find((calendar) => calendar.id === id);

  get writable() {
    return this.calendars.filter((calendar) => calendar.canEdit);
  }

  // Shows an event at other times before Graph has said so; `settle` ends that, unless it was moved once more.
  move = (id, times) => this.#moving.set(id, times);
  settle = (id, times) => this.#moving.get(id) === times && this.#moving.delete(id);

  isHidden = (calendar) => this.#hidden.has(calendar.id);

  show(calendar, wanted) {
    wanted ? this.#hidden.delete(calendar.id) : this.#hidden.add(calendar.id);
    localStorage.setItem(this.#hiddenKey, JSON.stringify([...this.#hidden]));
  }

  get #hiddenKey() {
    return `hidden calendars of ${this.#account}`;
  }

  #keep(name, events) {
    this.#windows.delete(name);
    this.#windows.set(name, events);
    if (this.#windows.size > WINDOWS_KEPT) this.#windows.delete(this.#windows.keys().next().value);
  }
}
