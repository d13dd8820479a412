// Keeps the page up to date: asks whether the mailbox has changed, which costs Graph nothing, and loads only then.
const ANOTHER_TRY_MS = 3000;
const REST_MS = 300; // between two loads, so that many changes in a row cost few

export class Watch {
  #account;
  #load;
  #onTrouble;
  #seen = "";
  #wanted = true;
  #busy = new AbortController();
  #waiting = [];

  // `load(signal)` fetches everything anew; `onTrouble` gets what it threw, or null when all is well.
  constructor(account, load, onTrouble) {
    this.#account = account;
    this.#load = load;
    this.#onTrouble = onTrouble;
    document.addEventListener("visibilitychange", () => this.#wake?.());
  }

  // Load now, whatever is under way; ends when that is done or has failed.
  now() {
    this.#wanted = true;
    this.#busy.abort();
    this.#wake?.();
    return new Promise((done) => this.#waiting.push(done));
  }

  #wake;

  async run() {
    for (;;) {
      this.#busy = new AbortController();
      try {
        await this.#look(this.#busy.signal);
      } catch (problem) {
        if (this.#busy.signal.aborted) continue;
        this.#finish();
        this.#onTrouble(problem);
        this.#wanted = true;
        await this.#pause(ANOTHER_TRY_MS);
      }
      if (document.hidden && !this.#wanted) await this.#pause();
    }
  }

  async #look(signal) {
    const query = new URLSearchParams({ account: this.#account, seen: this.#wanted ? "" : this.#seen });
    const response = await fetch(`/outlook/version?${query}`, { signal });
    if (!response.ok) throw new Error("This account is gone. Choose another one.");
    const { version } = await response.json();
    if (this.#wanted || version !== this.#seen) {
      this.#wanted = false;
      await this.#load(signal);
      this.#seen = version;
      this.#finish();
      this.#onTrouble(null);
      await this.#pause(REST_MS);
    }
  }

  #finish() {
    for (const done of this.#waiting.splice(0)) done();
  }

  #pause(milliseconds) {
    return new Promise((go) => {
      this.#wake = go;
      if (milliseconds) setTimeout(go, milliseconds);
    });
  }
}
