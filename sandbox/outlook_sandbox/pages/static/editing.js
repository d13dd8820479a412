// What becomes of events: each change is sent to Graph, shown, and told.
import { ZONE, addDays, addMinutes, wall } from "./dates.js";
import { titleOf, whenOf } from "./event.js";
import { announce, say } from "./toast.js";

const moment = (date) => ({ dateTime: wall(date), timeZone: ZONE });

export class Editing {
  #graph;
  #store;
  #account;
  #page;
  #timers = new Map();

  // `page` has draw(), reload(), attempt(work) and follow(event), which shows the days that it went to.
  constructor(graph, store, account, page) {
    this.#graph = graph;
    this.#store = store;
    this.#account = account;
    this.#page = page;
  }

  async create({ calendar, ...values }, draft) {
    draft.transactionId ??= newId();
    await this.#graph.create(calendar, { ...changes(values), transactionId: draft.transactionId });
    await this.#done(`“${titleOf(values)}” was created.`);
  }

  async save(event, values) {
    const changed = changes(values, event);
    if (Object.keys(changed).length) await this.#graph.update(event.id, changed);
    if (values.calendar !== event.calendar) await this.#moveToCalendar(event, values.calendar);
    await this.#done(`“${titleOf(values)}” was saved.`);
  }

  async remove(id, event) {
    await this.#graph.remove(id);
    await this.#done(`“${titleOf(event)}” was deleted.`);
  }

  // Moves an event, or only its end; it is shown there at once and sent after a pause in which more may follow.
  shift(id, by, { end: onlyEnd = false, pause = 0 } = {}) {
    const event = this.#store.find(id);
    if (!event) return undefined;
    if (!event.editable) return say(`“${titleOf(event)}” is in a calendar that is read-only.`, { problem: true });
    const shifted = (date) => addMinutes(addDays(date, by.days), event.allDay ? 0 : by.minutes);
    const length = event.end - event.start;
    const start = onlyEnd ? event.start : shifted(event.start);
    const end = onlyEnd ? shifted(event.end) : new Date(start.valueOf() + length);
    if (end <= start || (+start === +event.start && +end === +event.end)) return undefined;
    const times = { start, end: event.allDay && !onlyEnd ? shifted(event.end) : end };
    this.#store.move(id, times);
    this.#page.draw();
    announce(whenOf({ ...event, ...times }));
    clearTimeout(this.#timers.get(id));
    this.#timers.set(id, setTimeout(() => this.#page.attempt(() => this.#sendTimes({ ...event, ...times }, times)), pause));
    return undefined;
  }

  async #sendTimes(event, times) {
    try {
      await this.#graph.update(event.id, { start: moment(event.start), end: moment(event.end) });
      await this.#page.follow(event);
      await this.#done(`“${titleOf(event)}” is now on ${whenOf(event)}.`);
    } finally {
      this.#store.settle(event.id, times);
      this.#page.draw();
    }
  }

  async #done(text) {
    await this.#page.reload();
    say(text);
  }

  // Graph has no request for this; Outlook itself does it another way, and so does this page.
  async #moveToCalendar(event, calendar) {
    const response = await fetch(`/sandbox/v1/accounts/${encodeURIComponent(this.#account)}/move`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ event: event.id, calendar }),
    });
    if (!response.ok) throw new Error("The event could not be moved to the other calendar.");
  }
}

// Only what differs is sent, as Outlook does.
function changes(values, before) {
  const changed = (name) => JSON.stringify(values[name]) !== JSON.stringify(before?.[name]);
  const found = {};
  if (changed("subject")) found.subject = values.subject;
  if (changed("start") || changed("end") || changed("allDay"))
    Object.assign(found, { start: moment(values.start), end: moment(values.end), isAllDay: values.allDay });
  if (before ? changed("location") : values.location) found.location = { displayName: values.location };
  if (before ? changed("categories") : values.categories.length) found.categories = values.categories;
  if (changed("showAs")) found.showAs = values.showAs;
  if (before ? changed("isPrivate") : values.isPrivate) found.sensitivity = values.isPrivate ? "private" : "normal";
  if (values.recurrence !== undefined && (before || values.recurrence)) found.recurrence = values.recurrence;
  return found;
}

const newId = () => Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
