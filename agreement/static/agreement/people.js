/* The field for a user: proposes users while a person types, and says who the named user is. Without this script, the
   form is displayed again to say who that is. */
"use strict";
for (const field of document.querySelectorAll("[data-people]")) {
    const WAIT = 250;
    const proposed = field.list;
    const box = field.parentElement.querySelector(".agreement-person");
    let timer;
    let asked = field.value.trim();

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
        propose(found.people);
        identify(found.person);
    }

    field.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(ask, WAIT); });
}
