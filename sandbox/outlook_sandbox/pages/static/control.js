// The sandbox's control API, /sandbox/v1: everything that this page does.
import { say } from "./toast.js";

export async function ask(method, path, body) {
  const headers = body === undefined ? {} : { "Content-Type": "application/json" };
  let response;
  try {
    response = await fetch(`/sandbox/v1${path}`, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
  } catch {
    throw new Error("The sandbox does not answer.");
  }
  const answer = response.status === 204 ? null : await response.json();
  if (!response.ok) throw new Error(words(answer, response.status));
  return answer;
}

// The reason of a refusal; of a field that is wrong its name is enough, without the way to it.
function words(answer, status) {
  const detail = answer?.detail ?? `The sandbox answered ${status}.`;
  return detail.replaceAll(/\b(?:body|query)(?:\.[\w-]+)*\.(\w+): /g, (_, name) => `${name.replaceAll("_", " ")}: `);
}

export async function attempt(work) {
  try {
    return await work();
  } catch (problem) {
    say(problem.message, { problem: true });
    return undefined;
  }
}

const names = new Map();

// The user name of an account, by its id; the id itself for one that is gone.
export function nameOf(id) {
  if (!names.has(id)) {
    const found = ask("GET", `/accounts/${encodeURIComponent(id)}`);
    names.set(id, found.then((account) => account.username, () => id));
  }
  return names.get(id);
}
