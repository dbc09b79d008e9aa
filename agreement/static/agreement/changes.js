/* Additions to the page with the changes: which change is at the top of the window, and links and keys to the previous
   and the next one. Without this script each change has these links itself. It sends no requests and stores nothing. */

const bar = document.querySelector(".agreement-stepper");
const changes = [...document.querySelectorAll(".agreement-change > th")];

if (bar) {
  const [back, on] = bar.querySelectorAll("[data-step]");
  const [count, status] = bar.querySelectorAll("span[data-count], [role=status]");
  const keys = bar.querySelector("button");
  const languages = [...document.querySelectorAll(".agreement-languages a")];
  let at;

  const words = (place) => count.dataset.count.replace("{at}", place + 1).replace("{all}", changes.length);

  /* The change whose address the page has: it is in the row, or it is the row itself. */
  const chosen = () => {
    const id = decodeURIComponent(location.hash.slice(1));
    return changes.findIndex((change) => id && [change.id, change.parentElement.id].includes(id));
  };

  const target = (place) => `#change-${Math.min(Math.max(place, 0), changes.length - 1) + 1}`;

  /* The change at the top of the window, below what stays there. At the end of the page, it is the one that the reader
     went to last, which may be too near to the end to reach the top. */
  const follow = () => {
    const line = bar.getBoundingClientRect().bottom + 96;
    let place = changes.findLastIndex((change) => change.getBoundingClientRect().top < line);
    const gone = chosen();
    if (gone > place && scrollY + innerHeight > document.documentElement.scrollHeight - 2) place = gone;
    if (place === at) return;
    at = place;
    if (at >= 0) count.textContent = words(at);
    back.setAttribute("href", target(at - 1));
    on.setAttribute("href", target(at + 1));
    back.setAttribute("aria-disabled", at <= 0);
    on.setAttribute("aria-disabled", at === changes.length - 1);
    for (const link of languages) link.hash = at >= 0 ? target(at) : "";
  };

  const say = () => {
    const place = chosen();
    if (place < 0) return;
    follow();
    const name = changes[place].querySelector("a") ?? changes[place];
    status.textContent = `${words(place)}: ${name.textContent.trim()}`;
  };

  on.querySelector("span").textContent = on.dataset.label;
  back.hidden = false;
  keys.hidden = false;

  let waiting = false;
  addEventListener(
    "scroll",
    () => {
      if (!waiting) requestAnimationFrame(() => ((waiting = false), follow()));
      waiting = true;
    },
    { passive: true },
  );
  addEventListener("hashchange", say);

  /* A reader who dictates can turn the keys off (WCAG 2.1.4). */
  keys.addEventListener("click", () =>
    keys.setAttribute("aria-pressed", keys.getAttribute("aria-pressed") === "true" ? "false" : "true"),
  );
  addEventListener("keydown", (event) => {
    if (keys.getAttribute("aria-pressed") === "false" || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest?.("input, select, textarea")) return;
    const link = { KeyN: on, KeyP: back }[event.code];
    if (link) link.click();
  });
  follow();
}
