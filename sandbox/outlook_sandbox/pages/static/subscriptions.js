// Subscriptions, and how the addresses that they name answer.
import { choose } from "./choose.js";
import { ask, attempt, nameOf } from "./control.js";
import { button, make } from "./dom.js";
import { say } from "./toast.js";

const LIFECYCLE = ["reauthorizationRequired", "missed", "subscriptionRemoved"];
const STATES = { normal: "normal", slow: "slow: 10 min later", drop: "drops new ones", probe: "probing" };
const TIME = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "short" });
const part = (id) => document.querySelector(`#${id}`);
let drawn = "";

export async function readSubscriptions() {
  await attempt(async () => {
    const [subscriptions, endpoints] = await Promise.all([ask("GET", "/subscriptions"), ask("GET", "/deliveries")]);
    const picture = JSON.stringify([subscriptions, endpoints]);
    if (picture === drawn) return;
    drawn = picture;
    part("subscription-rows").replaceChildren(...(await Promise.all(subscriptions.map(row))));
    part("subscriptions-none").hidden = subscriptions.length > 0;
    part("endpoint-rows").replaceChildren(...endpoints.map(endpointRow));
    part("endpoints-none").hidden = endpoints.length > 0;
  });
}

async function row(subscription) {
  const item = make("li");
  const words = make("div", "words");
  const { resource, changeType, notificationUrl, lifecycleNotificationUrl, expirationDateTime, creatorId, applicationId } = subscription;
  words.append(
    make("b", "", `${resource} · ${changeType}`),
    make("small", "note", `${await nameOf(creatorId)} · app ${applicationId}`),
    make("small", "note", `to ${notificationUrl}`),
    make("small", "note", `ends ${TIME.format(new Date(expirationDateTime))}`),
  );
  item.append(words);
  const buttons = LIFECYCLE.map((event) => button(event, () => send(subscription, event)));
  if (lifecycleNotificationUrl) item.append(make("span", "note", "Send"), ...buttons);
  else item.append(make("span", "note", "no lifecycle address"));
  return item;
}

async function send({ id, resource }, event) {
  if (event === "subscriptionRemoved" && !(await choose("Remove the subscription?", resource, [["yes", "Remove", "danger"]]))) return;
  await attempt(async () => {
    await ask("POST", `/subscriptions/${id}/lifecycle`, { events: [event] });
    say(`${event} is on its way.`);
  });
  await readSubscriptions();
}

function endpointRow({ address, state, until, posts, responses, slow, late, waiting, held }) {
  const made = make("tr");
  const mark = make("span", `state ${state}`, STATES[state] ?? state);
  if (until) mark.title = `until ${TIME.format(new Date(until))}`;
  const cells = [address, mark].map((content) => {
    const cell = make("td");
    cell.append(content);
    return cell;
  });
  made.append(...cells, ...[posts, responses, slow, late, waiting, held].map((count) => make("td", "number", String(count))));
  return made;
}
