/* The page that publishes: when another moment is chosen, it states at once what is wrong with it, or displays the
   letter, the forecast and the notice for it. It also fetches the number of users if the page does not have it. Without
   this script the page has a link that counts, and displays the letter again after the form was sent. */
"use strict";
(() => {
    const radios = [...document.querySelectorAll("#id_when input[name=when]")];
    const fields = ["date", "time"].map((name) => document.getElementById(`id_${name}`)).filter(Boolean);
    if (!radios.length || fields.length < 2) return;
    const letter = document.querySelector("input[name=letter]");
    let asked = "";

    function state(name, sentences) {
        const box = document.getElementById(`id_${name}`);
        const place = box.matches("fieldset") ? box : box.parentElement;
        place.querySelector(":scope > .errorlist")?.remove();
        if (!sentences) return;
        const list = document.createElement("ul");
        list.className = "errorlist";
        list.setAttribute("role", "alert");
        list.append(...sentences.map((sentence) => {
            const item = document.createElement("li");
            item.textContent = sentence;
            return item;
        }));
        const legend = place.querySelector(":scope > legend");
        if (legend) legend.after(list);
        else place.prepend(list);
    }

    function replace(id, html) {
        const part = document.getElementById(id);
        if (!part) return;
        const open = [...part.querySelectorAll("details")].map((details) => details.open);
        part.replaceChildren(...new DOMParser().parseFromString(html, "text/html").body.childNodes);
        part.querySelectorAll("details").forEach((details, index) => { details.open = open[index] ?? false; });
    }

    async function update() {
        const when = radios.find((radio) => radio.checked)?.value;
        if (when === "at" && fields.some((field) => !field.value)) return; // The other one is still to come.
        const chosen = new URLSearchParams({when, ...Object.fromEntries(fields.map((field) => [field.name, field.value]))});
        // After test mails were sent, this page has another address.
        const query = `${letter.form.getAttribute("action")}?${chosen}&count`;
        asked = query;
        const answer = await fetch(query, {credentials: "same-origin"});
        if (!answer.ok || answer.redirected || query !== asked) return; // The user is logged out. The links remain.
        const stated = await answer.json();
        for (const name of ["when", "date", "time"]) state(name, stated.errors[name]);
        if (!stated.parts) return;
        for (const [id, html] of Object.entries(stated.parts)) replace(id, html);
        letter.value = stated.letter;
    }

    const later = () => {}; // The site can't be reached. It checks the form when it is sent.
    const changed = () => radios.some((radio) => radio.checked !== radio.defaultChecked)
        || fields.some((field) => field.value !== field.defaultValue);
    for (const field of fields) {
        field.addEventListener("change", () => {
            radios.find((radio) => radio.value === "at").checked = true;
            update().catch(later);
        });
    }
    for (const radio of radios) {
        radio.addEventListener("change", () => {
            // The form refuses a moment beside the choice of publication, so that nobody overlooks either.
            for (const field of fields) field.value = radio.value === "at" ? field.value || field.defaultValue : "";
            update().catch(later);
        });
    }
    // A browser may restore what was chosen before the page was loaded again.
    if (document.querySelector("a[data-count]") || changed()) update().catch(later);
})();
