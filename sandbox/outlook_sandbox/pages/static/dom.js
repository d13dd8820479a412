// Small helpers to make elements.
export function make(name, className = "", text = "") {
  const element = document.createElement(name);
  if (className) element.className = className;
  if (text) element.textContent = text;
  return element;
}

export function button(text, work, className = "button") {
  const made = make("button", className, text);
  made.type = "button";
  made.addEventListener("click", work);
  return made;
}
