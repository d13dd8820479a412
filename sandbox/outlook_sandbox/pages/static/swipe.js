// A finger that wipes to the side, where one day is shown at a time.
const ONE_DAY = matchMedia("(max-width: 700px)");
const FAR = 60;

// Calls back with 1 for the next day, -1 for the one before.
export function watchSwipes(place, onSwipe) {
  let from = null;
  place.addEventListener("touchstart", ({ touches: [touch, another] }) => (from = another ? null : touch), { passive: true });
  place.addEventListener("touchend", ({ changedTouches: [to] }) => {
    if (!from || !ONE_DAY.matches) return;
    const [across, down] = [to.clientX - from.clientX, to.clientY - from.clientY];
    if (Math.abs(across) > FAR && Math.abs(across) > 2 * Math.abs(down)) onSwipe(across < 0 ? 1 : -1);
  });
}
