// Form fields from the JSON Schema of an object whose properties are plain values, and the object from the fields.
import { make } from "./dom.js";
import { Picker } from "./picker.js";

const METHODS = ["GET", "POST", "PATCH", "DELETE"];
const HINTS = {
  path: "such as /me/calendars/*/calendarView/delta",
  app: "a client id",
  probability: "of 1: 0.2 strikes every fifth request or so",
  times: "how often it strikes at most",
  seed: "the same seed strikes the same requests",
};

// Fields for the named properties; each has `name`, `label` and value(), which is undefined where nothing is to be sent.
export function fieldsOf(schema, names, place) {
  const fields = names.map((name) => field(name, schema, schema.required?.includes(name)));
  place.replaceChildren(...fields.map(({ element }) => element));
  return fields;
}

// The object that the fields say. Throws what is missing or wrong.
export function valueOf(fields) {
  const found = {};
  for (const { name, value } of fields) {
    const given = value();
    if (given !== undefined) found[name] = given;
  }
  return found;
}

function field(name, schema, required) {
  const property = schema.properties[name];
  const choices = property.anyOf?.filter((choice) => choice.type !== "null") ?? [property];
  const plain = { ...property, ...choices[0] };
  const label = name === "aadsts" ? "AADSTS number" : name.charAt(0).toUpperCase() + name.slice(1).replaceAll("_", " ");
  if (name === "account") return accountField(label);
  if (plain.type === "boolean") return checkField(name, label, plain);
  if (plain.enum || name === "method") return choiceField(name, label, plain, Boolean(property.anyOf));
  return textField(name, label, plain, required);
}

function textField(name, label, { type, default: initial, minimum, exclusiveMinimum, maximum, description, pattern }, required) {
  const input = make("input");
  const number = type === "integer" || type === "number";
  Object.assign(input, { name, type: number ? "number" : "text", required: Boolean(required), autocomplete: "off" });
  if (number) Object.assign(input, { min: minimum ?? "", max: maximum ?? "", step: type === "integer" ? "1" : "any" });
  if (pattern) input.pattern = pattern;
  input.value = initial ?? "";
  const value = () => {
    const given = input.value.trim();
    const few = exclusiveMinimum !== undefined && Number(given) <= exclusiveMinimum;
    if (!input.validity.valid || (given && number && few)) {
      input.focus();
      throw new Error(`${label}: ${input.validationMessage || `more than ${exclusiveMinimum}, please`}`);
    }
    if (!given) return initial === undefined || initial === null ? undefined : null;
    return number ? Number(given) : given;
  };
  return { name, value, element: labelled(label, input, description ?? HINTS[name]) };
}

function choiceField(name, label, { enum: listed = METHODS, default: initial, description }, optional) {
  const select = make("select");
  select.name = name;
  if (optional) select.append(new Option("any", ""));
  for (const [number, choice] of listed.entries()) select.append(new Option(choice, String(number)));
  select.value = listed.includes(initial) ? String(listed.indexOf(initial)) : optional ? "" : "0";
  return { name, value: () => (select.value ? listed[Number(select.value)] : undefined), element: labelled(label, select, description) };
}

function checkField(name, label, { default: initial, description }) {
  const box = make("input");
  Object.assign(box, { type: "checkbox", name, checked: Boolean(initial) });
  const element = make("label", "check");
  element.append(box, `${label}${description ? `: ${description}` : ""}`);
  return { name, value: () => box.checked, element };
}

function accountField(label) {
  const element = make("div", "field");
  const place = make("div", "picker");
  let chosen;
  place.dataset.label = label;
  new Picker(place, (account) => (chosen = account?.id), { none: "every account" });
  element.append(make("span", "", label), place);
  return { name: "account", value: () => chosen, element };
}

function labelled(text, input, hint) {
  const label = make("label", "field");
  label.append(text, input);
  if (!hint) return label;
  const box = make("div", "hinted");
  const note = make("small", "note", hint);
  note.id = `hint-${input.name}`;
  input.setAttribute("aria-describedby", note.id);
  box.append(label, note);
  return box;
}
