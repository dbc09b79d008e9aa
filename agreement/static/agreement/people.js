/* The field for a user: proposes users while a person types, and says who the named user is. Without this script, the
   form is displayed again to say who that is. */
"use strict";
for (const field of document.querySelectorAll("[data-people]")) {
    const WAIT = 250;
    const proposed = field.list;
    const box = field.parentElement.querySelector(".agreement-person");
    const add = field.parentElement.querySelector("[data-adds]");
    let timer;
    let asked = field.value.trim();
    let named = null;

    function propose(people) {
        proposed.replaceChildren(...people.map(({value, label}) => {
            const option = document.createElement("option");
            Object.assign(option, {value, label});
            return option;
        }));
    }

    function identify(person) {
        if (!box) return;
        const tick = box.querySelector("input");
        if (!person || tick.value !== person.key) tick.checked = false;
        tick.value = person?.key ?? "";
        box.querySelector("strong").textContent = person?.who ?? "";
        box.hidden = !person;
    }

    async function ask() {
        const text = field.value.trim();
        if (text === asked) return;
        asked = text;
        let found = {people: [], person: null};
        if (text) {
            try {
                const address = `${field.dataset.people}?${new URLSearchParams({q: text})}`;
                const answer = await fetch(address, {credentials: "same-origin"});
                if (answer.ok && !answer.redirected) found = await answer.json();
            } catch { /* The site can't be reached. The form asks when it is sent. */ }
            if (text !== asked) return; // A later answer counts.
        }
        named = found.person;
        propose(found.people);
        identify(found.person);
    }

    async function append() {
        clearTimeout(timer);
        await ask();
        const status = add.parentElement.querySelector("[role=status]");
        status.textContent = named || !field.value.trim() ? "" : status.dataset.nobody;
        if (!named) return;
        const lines = document.getElementById(add.dataset.adds);
        const written = lines.value.split("\n").map((line) => line.trim()).filter(Boolean);
        if (!written.includes(named.value)) written.push(named.value);
        lines.value = written.join("\n");
        status.textContent = named.who;
        field.value = asked = "";
        named = null;
        propose([]);
        field.focus();
    }

    if (add) {
        add.hidden = false;
        add.addEventListener("click", append);
        field.addEventListener("keydown", (event) => {
            if (event.key !== "Enter" || !field.value.trim()) return;
            event.preventDefault(); // Otherwise the form is sent.
            append();
        });
    }
    field.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(ask, WAIT); });
}
