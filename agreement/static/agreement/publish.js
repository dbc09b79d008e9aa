/* The page that publishes: fetches the number of users if the page does not have it, and states at once what is wrong
   with the date and the time. Without this script the page has a link that counts, and the form is checked when it is
   sent. */
"use strict";
(() => {
    const PARTS = ["agreement-forecast", "agreement-last-words", "agreement-publish"];
    const link = document.querySelector("a[data-count]");
    const fields = ["date", "time"].map((name) => document.getElementById(`id_${name}`)).filter(Boolean);
    let asked = "";

    async function count() {
        const answer = await fetch(link.href, {credentials: "same-origin"});
        if (!answer.ok || answer.redirected) return; // The user is logged out. The link remains.
        const counted = new DOMParser().parseFromString(await answer.text(), "text/html");
        for (const id of PARTS) {
            const part = counted.getElementById(id);
            if (part) document.getElementById(id)?.replaceChildren(...part.childNodes);
        }
    }

    function state(field, sentences) {
        const place = field.parentElement;
        place.querySelector(".errorlist")?.remove();
        if (!sentences) return;
        const list = document.createElement("ul");
        list.className = "errorlist";
        list.setAttribute("role", "alert");
        list.append(...sentences.map((sentence) => {
            const item = document.createElement("li");
            item.textContent = sentence;
            return item;
        }));
        place.prepend(list);
    }

    async function check() {
        if (fields.some((field) => !field.value)) return; // The other one is still to come.
        const query = String(new URLSearchParams(fields.map((field) => [field.name, field.value])));
        asked = query;
        const answer = await fetch(`?${query}`, {credentials: "same-origin"});
        if (!answer.ok || answer.redirected || query !== asked) return;
        const errors = await answer.json();
        for (const field of fields) state(field, errors[field.name]);
    }

    const later = () => {}; // The site can't be reached. It checks the form when it is sent.
    if (link) count().catch(later);
    if (fields.length === 2) for (const field of fields) field.addEventListener("change", () => check().catch(later));
})();
