// The mouse on the hours: drag an event elsewhere, or draw a new one on an empty slot.
import { atMinute, clock, fromWall } from "./dates.js";
import { HOUR, make, minuteAt, placeAt } from "./week.js";

const STEP = 15;
const FAR_ENOUGH = 4;

const snap = (minutes) => Math.round(minutes / STEP) * STEP;
const dayOf = (column) => fromWall(`${column.dataset.day}T00:00:00`);

// Calls onMoved(id, minutes to shift by) and onDrawn(start, end); `active` says whether a drag is under way.
export class Drag {
  active = false;
  #place;
  #grip = null;
  #swallowClick = false;

  constructor(place, { onMoved, onDrawn }) {
    this.#place = place;
    this.onMoved = onMoved;
    this.onDrawn = onDrawn;
    place.addEventListener("pointerdown", (event) => this.#press(event));
    window.addEventListener("pointermove", (event) => this.#move(event));
    window.addEventListener("pointerup", (event) => this.#release(event));
    window.addEventListener("pointercancel", () => this.#end());
    window.addEventListener("keydown", (event) => event.key === "Escape" && this.active && this.#end());
    place.addEventListener("click", (event) => this.#click(event), true);
  }

  #press(event) {
    const column = event.target.closest(".day");
    this.#swallowClick = false;
    if (!column || event.button !== 0 || event.pointerType === "touch") return;
    const button = event.target.closest(".event");
    this.#grip = { column, button, x: event.clientX, y: event.clientY, minute: minuteAt(column, event.clientY) };
    if (!button) event.preventDefault();
  }

  #move(event) {
    const grip = this.#grip;
    if (!grip) return;
    const far = Math.hypot(event.clientX - grip.x, event.clientY - grip.y) > FAR_ENOUGH;
    if (!this.active && far) this.#begin(grip);
    if (this.active) grip.button ? this.#carry(event) : this.#stretch(event);
  }

  #begin(grip) {
    this.active = true;
    document.body.classList.add("dragging");
    grip.ghost = grip.button ? grip.button.cloneNode(true) : make("div", "event drawn");
    grip.ghost.classList.add("ghost");
    grip.ghost.style.left = "0";
    grip.ghost.style.width = "calc(100% - 4px)";
    grip.button?.classList.add("dragged");
  }

  #carry(event) {
    const grip = this.#grip;
    const column = this.#columnAt(event.clientX) ?? grip.column;
    const minutes = snap(minuteAt(column, event.clientY) - grip.minute);
    const days = Math.round((dayOf(column) - dayOf(grip.column)) / 86_400_000);
    grip.shift = { days, minutes };
    grip.ghost.style.top = `${grip.button.offsetTop + (minutes / 60) * HOUR}px`;
    column.append(grip.ghost);
  }

  #stretch(event) {
    const grip = this.#grip;
    const from = Math.floor(grip.minute / STEP) * STEP;
    const to = Math.min(Math.max(snap(minuteAt(grip.column, event.clientY)), from + STEP), 24 * 60);
    grip.drawn = [from, to];
    placeAt(grip.ghost, from, to - from);
    grip.ghost.textContent = grip.drawn.map((minute) => clock(atMinute(dayOf(grip.column), minute))).join("–");
    grip.column.append(grip.ghost);
  }

  #release() {
    const grip = this.#grip;
    const wasActive = this.active;
    this.#end();
    if (!wasActive) return;
    this.#swallowClick = true;
    if (grip.shift?.days || grip.shift?.minutes) this.onMoved(grip.button.dataset.id, grip.shift);
    if (grip.drawn) this.onDrawn(...grip.drawn.map((minute) => atMinute(dayOf(grip.column), minute)));
  }

  #end() {
    this.#grip?.ghost?.remove();
    this.#grip?.button?.classList.remove("dragged");
    this.#grip = null;
    this.active = false;
    document.body.classList.remove("dragging");
  }

  #click(event) {
    if (this.#swallowClick) {
      this.#swallowClick = false;
      event.stopPropagation();
    }
  }

  #columnAt(x) {
    return [...this.#place.querySelectorAll(".day")].find((column) => {
      const { left, right } = column.getBoundingClientRect();
      return left <= x && x < right;
    });
  }
}
