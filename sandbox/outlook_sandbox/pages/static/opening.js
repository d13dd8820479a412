// The ways to an event's dialog: a new one, one event, or the series that it is one of; and to its end.
import { choose, whichOfSeries } from "./choose.js";
import { addMinutes, midnight } from "./dates.js";
import { openDialog } from "./dialog.js";
import { titleOf } from "./event.js";
import { say } from "./toast.js";

const SURE = [["event", "Delete", "danger"]];

export class Opening {
  #graph;
  #store;
  #editing;
  #attempt;

  // `attempt(work)` does it, and says what goes wrong.
  constructor(graph, store, editing, attempt) {
    this.#graph = graph;
    this.#store = store;
    this.#editing = editing;
    this.#attempt = attempt;
  }

  // A new event with these times, in the first calendar that is seen and may be written.
  draft(times) {
    const { writable } = this.#store;
    const calendar = writable.find((one) => !this.#store.isHidden(one)) ?? writable[0];
    if (calendar) openDialog({ ...times, calendar: calendar.id }, this.#store, (_, values) => this.#editing.create(values, times));
  }

  // A new event on the chosen day, or today if the list has it, at the next full hour.
  blank() {
    const today = midnight(new Date());
    const listed = this.#store.view === "list" && this.#store.day <= today && today < this.#store.end;
    const start = new Date(listed ? today : this.#store.day);
    start.setHours(Math.min(new Date().getHours() + 1, 23));
    this.draft({ start, end: addMinutes(start, 30) });
  }

  async event(id) {
    const event = this.#store.find(id);
    if (!event) return;
    const which = event.inSeries && event.editable ? await whichOfSeries(`Open “${titleOf(event)}”`, "Open") : "event";
    if (!which) return;
    await this.#attempt(async () => {
      const series = which === "series" && (await this.#graph.event(event.series, this.#store.calendar(event.calendar)));
      const opened = series || event;
      openDialog(opened, this.#store, (action, values) =>
        action === "delete" ? this.#removeOpened(opened) : this.#editing.save(opened, values),
      );
    });
  }

  // Asks, and deletes: the event, or the series that it is one of.
  async removal(id) {
    const event = this.#store.find(id);
    if (!event) return undefined;
    if (!event.editable) return say(`“${titleOf(event)}” is in a calendar that is read-only.`, { problem: true });
    const title = `Delete “${titleOf(event)}”?`;
    const which = await (event.inSeries ? whichOfSeries(title, "Delete") : choose(title, "It can’t be brought back.", SURE));
    return which && this.#attempt(() => this.#editing.remove(which === "series" ? event.series : id, event));
  }

  async #removeOpened(event) {
    const title = `Delete “${titleOf(event)}”?`;
    if (event.recurrence && !(await choose(title, "Every event of the series will be gone.", SURE))) return false;
    return this.#editing.remove(event.id, event);
  }
}
