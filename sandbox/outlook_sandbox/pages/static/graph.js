// Microsoft Graph's REST API, as any client uses it.
import { ZONE, fromWall } from "./dates.js";

export class GraphProblem extends Error {}

export class Graph {
  #account;
  #token;

  constructor(account) {
    this.#account = account;
  }

  calendars = () => this.#all("/me/calendars?$top=100");
  categories = () => this.#all("/me/outlook/masterCategories?$top=100");

  async events(calendar, start, end) {
    const window = new URLSearchParams({
      startDateTime: start.toISOString(),
      endDateTime: end.toISOString(),
      $top: "250",
    });
    const found = await this.#all(`/me/calendars/${encodeURIComponent(calendar.id)}/calendarView?${window}`);
    return found.map((event) => read(event, calendar));
  }

  create = (calendar, changes) => this.#send("POST", `/me/calendars/${encodeURIComponent(calendar)}/events`, changes);
  update = (event, changes) => this.#send("PATCH", `/me/events/${encodeURIComponent(event.id)}`, changes);
  remove = (event) => this.#send("DELETE", `/me/events/${encodeURIComponent(event.id)}`);

  async #all(path) {
    const items = [];
    for (let next = path; next; ) {
      const page = await this.#send("GET", next);
      items.push(...page.value);
      next = page["@odata.nextLink"]?.split("/v1.0").slice(1).join("/v1.0");
    }
    return items;
  }

  async #send(method, path, body, again = true) {
    this.#token ??= await newToken(this.#account);
    const headers = {
      Authorization: `Bearer ${this.#token}`,
      Prefer: `IdType="ImmutableId", outlook.timezone="${ZONE}"`,
    };
    if (body) headers["Content-Type"] = "application/json";
    const response = await fetch(`/v1.0${path}`, { method, headers, body: body && JSON.stringify(body) });
    if (response.status === 401 && again) {
      this.#token = undefined;
      return this.#send(method, path, body, false);
    }
    const answer = response.status === 204 ? null : await response.json();
    if (!response.ok) throw new GraphProblem(answer.error?.message ?? `Graph answered ${response.status}`);
    return answer;
  }
}

async function newToken(account) {
  const response = await fetch("/outlook/token", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ account }),
  });
  if (!response.ok) throw new GraphProblem("This account is gone. Reload the page.");
  return (await response.json()).access_token;
}

function read(event, calendar) {
  const times = event.isAllDay
    ? { start: fromWall(`${event.start.dateTime.slice(0, 10)}T00:00:00`), end: fromWall(`${event.end.dateTime.slice(0, 10)}T00:00:00`) }
    : { start: fromWall(event.start.dateTime), end: fromWall(event.end.dateTime) };
  return {
    ...times,
    id: event.id,
    calendar: calendar.id,
    editable: calendar.canEdit,
    subject: event.subject ?? "",
    allDay: event.isAllDay,
    location: event.location?.displayName ?? "",
    categories: event.categories ?? [],
    people: (event.attendees ?? []).map((attendee) => attendee.emailAddress.name || attendee.emailAddress.address),
    inSeries: event.type === "occurrence" || event.type === "exception",
    calledOff: event.isCancelled,
    quiet: event.showAs === "free",
  };
}
