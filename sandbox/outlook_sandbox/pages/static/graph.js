// Microsoft Graph's REST API as a well-behaved client uses it: few requests at once, and it waits when it is told to.
import { ZONE, fromWall } from "./dates.js";
import { Problem, fromAnswer, notGraph, unreachable } from "./problems.js";

const READS_AT_ONCE = 3; // Exchange takes four per app and mailbox; one is left for what the person does
const ATTEMPTS = 5;
const LONGEST_WAIT_S = 30;
const FIELDS =
  "id,subject,start,end,isAllDay,location,categories,attendees,organizer,isOrganizer,type,seriesMasterId,recurrence," +
  "isCancelled,showAs,sensitivity,originalStartTimeZone";

export class Graph {
  #account;
  #token;
  #reading = 0;
  #queue = [];

  // `onWait(seconds, problem)` is told before each pause that Graph asked for, and with 0 after it.
  constructor(account, onWait) {
    this.#account = account;
    this.onWait = onWait;
  }

  calendars = (signal) => this.#all("/me/calendars?$top=100", signal);
  categories = (signal) => this.#all("/me/outlook/masterCategories?$top=100", signal);

  async events(calendar, start, end, signal) {
    const window = new URLSearchParams({
      startDateTime: start.toISOString(),
      endDateTime: end.toISOString(),
      $top: "250",
      $select: FIELDS,
    });
    const found = await this.#all(`/me/calendars/${encodeURIComponent(calendar.id)}/calendarView?${window}`, signal);
    return found.map((event) => read(event, calendar));
  }

  async event(id, calendar) {
    return read(await this.#send("GET", `/me/events/${encodeURIComponent(id)}?$select=${FIELDS}`), calendar);
  }

  // With a `transactionId` in it, a create that is repeated after a lost answer makes no second event.
  create = (calendar, event) => this.#send("POST", `/me/calendars/${encodeURIComponent(calendar)}/events`, event);
  update = (id, changes) => this.#send("PATCH", `/me/events/${encodeURIComponent(id)}`, changes);
  remove = (id) => this.#send("DELETE", `/me/events/${encodeURIComponent(id)}`);

  async #all(path, signal) {
    const items = [];
    for (let next = path; next; ) {
      const page = await this.#inTurn(() => this.#send("GET", next, undefined, signal));
      items.push(...page.value);
      next = page["@odata.nextLink"]?.split("/v1.0").slice(1).join("/v1.0");
    }
    return items;
  }

  async #inTurn(work) {
    if (this.#reading >= READS_AT_ONCE) await new Promise((go) => this.#queue.push(go));
    else this.#reading++;
    try {
      return await work();
    } finally {
      const next = this.#queue.shift();
      if (next) next();
      else this.#reading--;
    }
  }

  async #send(method, path, body, signal) {
    for (let attempt = 1; ; attempt++) {
      const response = await this.#fetch(method, path, body, signal);
      if (response.status === 401 && attempt === 1) {
        this.#token = undefined;
        continue;
      }
      if (response.ok) return response.status === 204 ? null : await json(response);
      const problem = await fromAnswer(response);
      const wait = problem.waitFor(attempt);
      if (wait === null || attempt >= ATTEMPTS || wait > LONGEST_WAIT_S) throw problem;
      this.onWait(wait, problem);
      await new Promise((go) => setTimeout(go, wait * 1000));
      this.onWait(0, problem);
      signal?.throwIfAborted();
    }
  }

  async #fetch(method, path, body, signal) {
    this.#token ??= await newToken(this.#account);
    const headers = {
      Authorization: `Bearer ${this.#token}`,
      Prefer: `IdType="ImmutableId", outlook.timezone="${ZONE}"`,
    };
    if (body) headers["Content-Type"] = "application/json";
    try {
      return await fetch(`/v1.0${path}`, { method, headers, body: body && JSON.stringify(body), signal });
    } catch {
      signal?.throwIfAborted();
      throw unreachable();
    }
  }
}

async function json(response) {
  try {
    return await response.json();
  } catch {
    throw notGraph(response);
  }
}

async function newToken(account) {
  const response = await fetch("/outlook/token", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ account }),
  }).catch(() => {
    throw unreachable();
  });
  if (!response.ok) throw new Problem("This account is gone. Choose another one.", { status: response.status });
  return (await response.json()).access_token;
}

function read(event, calendar) {
  const at = (side) => fromWall(event.isAllDay ? `${event[side].dateTime.slice(0, 10)}T00:00:00` : event[side].dateTime);
  const organizer = event.isOrganizer === false ? [event.organizer] : [];
  return {
    id: event.id,
    calendar: calendar.id,
    editable: calendar.canEdit,
    start: at("start"),
    end: at("end"),
    allDay: event.isAllDay,
    subject: event.subject ?? "",
    location: event.location?.displayName ?? "",
    categories: event.categories ?? [],
    people: [...organizer, ...(event.attendees ?? [])].map(({ emailAddress }) => emailAddress.name || emailAddress.address),
    series: event.seriesMasterId ?? (event.type === "seriesMaster" ? event.id : null),
    inSeries: event.type === "occurrence" || event.type === "exception",
    changed: event.type === "exception",
    recurrence: event.recurrence ?? null,
    calledOff: event.isCancelled,
    showAs: event.showAs,
    isPrivate: event.sensitivity === "private",
    madeIn: event.originalStartTimeZone,
  };
}
