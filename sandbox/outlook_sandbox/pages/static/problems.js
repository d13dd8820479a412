// What went wrong, in words for people, with the code for those who look it up.
const BY_CODE = {
  ErrorOccurrenceCrossingBoundary: "An event of a series can’t be moved past its neighbours in the series.",
  ErrorItemNotFound: "This event is not there any more.",
  ErrorQuotaExceeded: "The mailbox is full.",
};
const BY_STATUS = {
  0: "Outlook can’t be reached.",
  401: "Outlook no longer accepts this page’s sign-in.",
  403: "This may not be done here: the calendar belongs to somebody else, or access was refused.",
  404: "This is not there any more.",
  409: "There is such a thing already.",
  410: "Outlook has forgotten where we were.",
  412: "This was changed at the same moment by somebody else.",
  429: "Outlook is being asked too much at once.",
  503: "Outlook can’t answer just now.",
};
const GARBLED = "garbled";
const WORTH_ANOTHER_TRY = [0, 401, 408, 410, 412, 429];

export class Problem extends Error {
  constructor(words, { status = 0, code = "", retryAfter = null } = {}) {
    const numbers = [status || "", code].filter(Boolean).join(" ");
    super(numbers ? `${words} (${numbers})` : words);
    Object.assign(this, { status, code, retryAfter });
  }

  get worthAnotherTry() {
    return WORTH_ANOTHER_TRY.includes(this.status) || this.status >= 500 || this.code === GARBLED;
  }

  // Seconds to wait before asking again by itself; null if that would be wrong or no use.
  waitFor(attempt) {
    if (this.status === 429 || (this.status === 503 && this.retryAfter !== null)) return this.retryAfter ?? 2 ** (attempt - 1);
    return null;
  }
}

export async function fromAnswer(response) {
  const error = await response.json().then(
    (body) => body.error,
    () => null,
  );
  if (!error) return notGraph(response);
  const { status } = response;
  const words = BY_CODE[error.code] ?? BY_STATUS[status] ?? (status >= 500 ? "Outlook has a problem of its own." : error.message);
  return new Problem(words, { status, code: error.code, retryAfter: seconds(response) });
}

export const notGraph = ({ status }) => new Problem("An answer came that is not Outlook’s.", { status, code: GARBLED });

export const unreachable = () => new Problem(BY_STATUS[0]);

function seconds(response) {
  const value = Number.parseFloat(response.headers.get("Retry-After"));
  return Number.isNaN(value) ? null : value;
}
