// Small questions with a few answers.
import { make } from "./dom.js";

// Asks, and gives the value of the answer that was chosen, or null. Answers are [value, text, class].
export function choose(title, text, answers) {
  const dialog = make("dialog", "choose");
  const form = make("form");
  form.method = "dialog";
  const heading = make("h2", "", title);
  heading.id = "choose-title";
  dialog.setAttribute("aria-labelledby", heading.id);
  const buttons = make("div", "buttons");
  for (const [value, words, style] of [["", "Cancel", ""], ...answers]) {
    const answer = make("button", style, words);
    answer.value = value;
    buttons.append(answer);
  }
  buttons.firstChild.after(make("span", "gap"));
  form.append(heading, make("p", "note", text), buttons);
  dialog.append(form);
  document.body.append(dialog);
  dialog.showModal();
  buttons.lastChild.focus();
  return new Promise((answer) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      answer(dialog.returnValue || null);
    });
  });
}

export const whichOfSeries = (title, verb) =>
  choose(title, "This event is one of a series.", [
    ["series", `${verb} the series`, ""],
    ["event", `${verb} this event`, "primary"],
  ]);
