// The mouse on the week: drag an event elsewhere, drag its lower edge, or draw a new one on an empty slot.
import { atMinute, clock, daysBetween, fromWall } from "./dates.js";
import { make } from "./dom.js";
import { HOUR, minuteAt, placeAt } from "./week.js";

const STEP = 15;
const FAR_ENOUGH = 4;

const snap = (minutes) => Math.round(minutes / STEP) * STEP;
const dayOf = (column) => fromWall(`${column.dataset.day ?? column.dataset.allDay}T00:00:00`);

// Calls onMoved(id, shift), onResized(id, shift) and onDrawn(start, end), where a shift has days and minutes; before them,
// and for a drag that was given up, onEnd(). `active` says whether a drag is under way.
export class Drag {
  active = false;
  #place;
  #grip = null;
  #swallowClick = false;

  constructor(place, { onMoved, onResized, onDrawn, onEnd }) {
    this.#place = place;
    Object.assign(this, { onMoved, onResized, onDrawn, onEnd });
    place.addEventListener("pointerdown", (event) => this.#press(event));
    window.addEventListener("pointermove", (event) => this.#move(event));
    window.addEventListener("pointerup", (event) => this.#release(event));
    window.addEventListener("pointercancel", () => this.#end());
    window.addEventListener("keydown", (event) => event.key === "Escape" && this.active && this.#end());
    place.addEventListener("click", (event) => this.#click(event), true);
  }

  #press(event) {
    this.#swallowClick = false;
    if (event.button !== 0 || event.pointerType === "touch") return;
    const button = event.target.closest(".event");
    const top = Boolean(button?.closest(".all-day"));
    const column = top ? this.#columnAt(event.clientX, ".cell") : event.target.closest(".day");
    if (!column || button?.classList.contains("fixed")) return;
    const kind = !button ? "draw" : event.target.closest(".edge") ? "resize" : top ? "slide" : "carry";
    const minute = minuteAt(column, event.clientY);
    this.#grip = { kind, column, button, x: event.clientX, y: event.clientY, minute };
    if (!button) event.preventDefault();
  }

  #move(event) {
    const grip = this.#grip;
    if (!grip) return;
    const far = Math.hypot(event.clientX - grip.x, event.clientY - grip.y) > FAR_ENOUGH;
    if (!this.active && far) this.#begin(grip);
    if (this.active) this.#follow(grip, event);
  }

  #begin(grip) {
    this.active = true;
    document.body.classList.add(grip.kind === "resize" ? "resizing" : "dragging");
    grip.ghost = grip.button ? grip.button.cloneNode(true) : make("div", "event drawn");
    grip.ghost.classList.add("ghost");
    grip.ghost.removeAttribute("data-id");
    if (grip.kind === "carry" || grip.kind === "draw") Object.assign(grip.ghost.style, { left: "0", width: "calc(100% - 4px)" });
    grip.button?.classList.add("dragged");
  }

  #follow(grip, event) {
    const minute = minuteAt(grip.column, event.clientY);
    if (grip.kind === "draw") this.#stretch(grip, minute);
    if (grip.kind === "resize") this.#pull(grip, minute);
    if (grip.kind === "slide") this.#slide(grip, event);
    if (grip.kind === "carry") this.#carry(grip, event);
  }

  #carry(grip, event) {
    const column = this.#columnAt(event.clientX, ".day") ?? grip.column;
    const minutes = snap(minuteAt(column, event.clientY) - grip.minute);
    grip.shift = { days: daysBetween(dayOf(grip.column), dayOf(column)), minutes };
    grip.ghost.style.top = `${grip.button.offsetTop + (minutes / 60) * HOUR}px`;
    column.append(grip.ghost);
  }

  #slide(grip, event) {
    const days = daysBetween(dayOf(grip.column), dayOf(this.#columnAt(event.clientX, ".cell") ?? grip.column));
    grip.shift = { days, minutes: 0 };
    const [from, to] = grip.button.style.gridColumn.split("/").map(Number);
    grip.ghost.style.gridColumn = `${Math.max(from + days, 2)} / ${Math.min(to + days, 9)}`;
    grip.button.parentElement.append(grip.ghost);
  }

  #pull(grip, minute) {
    const [from, to] = [grip.button.offsetTop, grip.button.offsetTop + grip.button.offsetHeight + 2].map((y) => (y / HOUR) * 60);
    const minutes = Math.max(snap(minute - grip.minute), snap(from - to) + STEP);
    grip.shift = { days: 0, minutes };
    placeAt(grip.ghost, from, to - from + minutes);
    grip.column.append(grip.ghost);
  }

  #stretch(grip, minute) {
    const from = Math.floor(grip.minute / STEP) * STEP;
    const to = Math.min(Math.max(snap(minute), from + STEP), 24 * 60);
    grip.drawn = [from, to];
    placeAt(grip.ghost, from, to - from);
    grip.ghost.textContent = grip.drawn.map((at) => clock(atMinute(dayOf(grip.column), at))).join("–");
    grip.column.append(grip.ghost);
  }

  #release() {
    const grip = this.#grip;
    const wasActive = this.active;
    this.#end();
    if (!wasActive) return;
    this.#swallowClick = true;
    const shifted = grip.shift?.days || grip.shift?.minutes;
    if (shifted) (grip.kind === "resize" ? this.onResized : this.onMoved)(grip.button.dataset.id, grip.shift);
    if (grip.drawn) this.onDrawn(...grip.drawn.map((minute) => atMinute(dayOf(grip.column), minute)));
  }

  #end() {
    this.#grip?.ghost?.remove();
    this.#grip?.button?.classList.remove("dragged");
    this.#grip = null;
    document.body.classList.remove("dragging", "resizing");
    if (!this.active) return;
    this.active = false;
    this.onEnd();
  }

  #click(event) {
    if (this.#swallowClick) {
      this.#swallowClick = false;
      event.stopPropagation();
    }
  }

  #columnAt(x, kind) {
    return [...this.#place.querySelectorAll(kind)].find((column) => {
      const { left, right } = column.getBoundingClientRect();
      return left <= x && x < right;
    });
  }
}
