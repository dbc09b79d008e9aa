/* Additions to the public pages: the current section in the contents, and a search in the text. The pages work without
   this script. It sends no requests, and it stores nothing. */

const text = document.querySelector(".agreement-text");
const headings = [...document.querySelectorAll(".agreement-text h2[id]")];
const quick = matchMedia("(prefers-reduced-motion: no-preference)").matches ? "smooth" : "auto";

/* Contents: mark the last section that begins above a line at a third of the window's height. */

const links = new Map(
  [...document.querySelectorAll(".agreement-contents a")].map((link) => [decodeURIComponent(link.hash.slice(1)), link]),
);

function follow() {
  const line = innerHeight * 0.34;
  const entered = headings.findLast((heading) => heading.getBoundingClientRect().top < line);
  for (const [id, link] of links) {
    if (id === entered?.id) link.setAttribute("aria-current", "location");
    else link.removeAttribute("aria-current");
  }
}

if (links.size) {
  /* The observed box contains everything above the line, so a jump over a heading is also observed. */
  const watch = new IntersectionObserver(follow, { rootMargin: "9999999px 0px -66% 0px" });
  headings.forEach((heading) => watch.observe(heading));
}

/* The links to the other languages lead to the clause at the top of the window, if the text reaches it. */

const clauses = text ? [...text.querySelectorAll("[id]")] : [];
const languages = [...document.querySelectorAll(".agreement-languages a, .agreement-switch")];
const guide = document.querySelector(".agreement-guide");
const fold = document.querySelector(".agreement-fold");
let asked = 0;

/* How much of the window the bar covers. In a wide window the contents stand beside the text. */
function covered() {
  const { top, bottom } = guide?.getBoundingClientRect() ?? {};
  return fold?.checkVisibility() && top < 1 ? bottom : 0;
}

function keepPlace() {
  asked = 0;
  const top = covered() + 24;
  const begun = clauses[0]?.getBoundingClientRect().top < top;
  const read = begun && clauses.find((clause) => clause.getBoundingClientRect().bottom > top);
  for (const link of languages) link.hash = read ? read.id : "";
}

if (clauses.length) {
  addEventListener("scroll", () => (asked ||= requestAnimationFrame(keepPlace)), { passive: true });
  keepPlace();
}

/* A link in the contents folds the bar that contains them. */

for (const link of links.values()) link.addEventListener("click", () => fold?.removeAttribute("open"));

/* The card of a clause: buttons that copy its citations, and Escape closes it. */

const labels = document.querySelector(".agreement-edition")?.dataset;

addEventListener(
  "toggle",
  (event) => {
    const card = event.target;
    if (!card.open || !card.matches(".agreement-card")) return;
    for (const citation of navigator.clipboard ? card.querySelectorAll(".agreement-cite:not(:has(button))") : []) {
      const words = citation.textContent;
      const button = document.createElement("button");
      button.type = "button";
      button.lang = card.lang;
      button.textContent = labels.copy;
      button.addEventListener("click", async () => {
        await navigator.clipboard.writeText(words);
        button.textContent = labels.copied;
      });
      citation.append(button);
    }
    /* A card below the window would open unseen. */
    if (card.getBoundingClientRect().bottom > innerHeight) card.scrollIntoView({ block: "nearest", behavior: quick });
  },
  true,
);

addEventListener("keydown", (event) => {
  const card = event.key === "Escape" && event.target.closest?.(".agreement-card[open]");
  if (!card) return;
  card.open = false;
  card.querySelector("summary").focus();
});

/* Search: matches are highlighted without changing the document, so that no link, number or line of the text moves. */

const form = document.querySelector(".agreement-find");
const LIMIT = 2000;

if (form && text && globalThis.Highlight && CSS.highlights) {
  const field = form.querySelector("input");
  const status = form.querySelector("[role=status]");
  const all = new Highlight();
  const one = new Highlight();
  one.priority = 1;
  CSS.highlights.set("agreement-hits", all);
  CSS.highlights.set("agreement-hit", one);
  let pieces;
  let whole;
  let hits = [];
  let at = -1;

  /* The folded text has the same length, so that its positions are those of the page. */
  const fold = (string) =>
    [...string]
      .map((letter) => {
        const small = letter.toLowerCase().replace("ё", "е").replace(/[\s\u00a0]/, " ");
        return small.length === letter.length ? small : letter;
      })
      .join("");

  const read = () => {
    pieces = [];
    whole = "";
    let block;
    for (const one of document.querySelectorAll(".agreement-text")) {
      const walker = document.createTreeWalker(one, NodeFilter.SHOW_TEXT, (node) =>
        node.parentElement.closest(".agreement-beside") ? NodeFilter.FILTER_REJECT : NodeFilter.FILTER_ACCEPT,
      );
      while (walker.nextNode()) {
        const node = walker.currentNode;
        const own = node.parentElement.closest("p, li, td, th, pre, h2, h3, h4, h5, h6, div");
        if (own !== block) whole += "\n";
        block = own;
        pieces.push({ node, start: whole.length });
        whole += fold(node.data);
      }
    }
  };

  const place = (offset) => {
    const piece = pieces.findLast(({ start }) => start <= offset);
    return [piece.node, Math.min(offset - piece.start, piece.node.length)];
  };

  const find = () => {
    const wanted = fold(field.value).trim().replace(/ +/g, " ");
    if (!pieces) read();
    hits = [];
    at = -1;
    for (let from = whole.indexOf(wanted); wanted && from >= 0 && hits.length < LIMIT; ) {
      const range = new Range();
      range.setStart(...place(from));
      range.setEnd(...place(from + wanted.length - 1));
      range.setEnd(range.endContainer, range.endOffset + 1);
      hits.push(range);
      from = whole.indexOf(wanted, from + wanted.length);
    }
    all.clear();
    hits.forEach((hit) => all.add(hit));
    form.toggleAttribute("data-active", wanted !== "");
    if (hits.length) step(1);
    else one.clear();
    say(wanted);
  };

  const step = (by) => {
    if (!hits.length) return;
    at = (at + by + hits.length) % hits.length;
    one.clear();
    one.add(hits[at]);
    const { top, bottom } = hits[at].getBoundingClientRect();
    if (top < covered() + 60 || bottom > innerHeight - 40) {
      scrollBy({ top: top - covered() - innerHeight * 0.2, behavior: quick });
    }
  };

  const say = (wanted) => {
    const { found, none } = status.dataset;
    const counted = found.replace("{at}", at + 1).replace("{all}", hits.length);
    status.textContent = wanted && (hits.length ? counted : none);
  };

  const go = (by) => {
    step(by);
    say(field.value.trim());
  };

  field.addEventListener("input", find);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    go(1);
  });
  form.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (button) go(Number(button.dataset.step));
  });
  form.addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
      field.value = "";
      find();
    }
  });
  form.dataset.ready = "";
}
